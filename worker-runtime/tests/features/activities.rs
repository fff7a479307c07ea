//! What activities can do.

use crate::{Row, row};

pub(crate) const ACTIVITIES: &[Row] = &[
    row(
        "an activity and its name",
        "`@activity.defn(name=…)`",
        "`#[activity(name = \"…\")]`; a name left out is warned about",
        &[
            "tests/server/seed.rs::it_takes_signals_queries_and_updates_and_gives_its_result",
            "src/activity.rs::names_are_found_and_those_of_methods_told_apart",
        ],
    ),
    row(
        "asynchronous activities",
        "`async def`",
        "`async fn`, on Tokio",
        &["tests/server/seed.rs::its_async_activity_waits_without_a_thread"],
    ),
    row(
        "synchronous activities on threads",
        "`activity_executor=ThreadPoolExecutor(max_workers)`",
        "plain `fn`; there is a thread for each slot",
        &[
            "tests/server/activities.rs::plain_functions_block_as_many_threads_as_there_are_slots",
            "tests/wire/activities.rs::each_slot_has_a_thread_for_plain_functions",
        ],
    ),
    row(
        "activities in processes",
        "`activity_executor=ProcessPoolExecutor(…)`",
        "`process::Pool`, see [processes](processes.md)",
        &[
            "tests/server/pool.rs::an_activity_in_a_child_process_goes_on_with_its_details_after_a_failure",
            "tests/server/pool.rs::a_child_that_hangs_is_killed_once_its_attempt_has_timed_out",
            "tests/server/pool.rs::a_child_that_floods_standard_error_neither_stops_nor_fills_anything",
            "tests/server/pool.rs::a_child_that_runs_out_of_memory_ends_alone",
            "tests/wire/process.rs::a_crash_is_retried_with_the_details_of_the_last_heartbeat",
            "tests/wire/process.rs::a_body_that_ignores_its_cancellation_is_killed",
            "tests/wire/process.rs::no_child_outlives_its_worker",
        ],
    ),
    row(
        "heartbeats; a retry goes on where the last attempt was",
        "`activity.heartbeat(…)`, `info().heartbeat_details`",
        "`ctx.record_heartbeat(…)`, `ctx.heartbeat_blocking(…)`, `ctx.heartbeat_details()`",
        &[
            "tests/server/activities.rs::a_retry_finds_the_details_of_the_last_heartbeat",
            "tests/server/seed.rs::its_long_activity_goes_on_where_it_was_after_its_process_was_killed",
        ],
    ),
    row(
        "cancellation and clean-up",
        "`CancelledError` at the next heartbeat",
        "`ctx.is_cancelled()`, `ctx.cancelled()`; return `ActivityError::cancelled()`",
        &[
            "tests/server/seed.rs::its_long_activity_ends_when_it_is_cancelled_at_its_third_step",
            "tests/server/activities.rs::a_plain_function_learns_of_its_cancellation_and_says_how_it_left_things",
        ],
    ),
    row(
        "an activity that ignores its cancellation",
        "keeps its slot until it ends",
        "the same; in a [child process](processes.md) it is killed, and at the end of the worker cut off",
        &[
            "tests/server/activities.rs::an_activity_that_ignores_its_cancellation_keeps_its_slot_until_it_ends_and_harms_no_other",
            "tests/server/signals.rs::an_activity_that_ignores_the_end_is_cut_off_at_the_hard_deadline_and_runs_elsewhere",
            "tests/wire/process.rs::a_body_that_ignores_its_cancellation_is_killed",
        ],
    ),
    row(
        "why it was cancelled",
        "`activity.cancellation_details()`",
        "`fleet_worker::shutdown_token()` tells the end of the worker from all else. **Gap:** other reasons",
        &["tests/server/ending.rs::what_outlives_the_grace_period_is_told_first_then_cancelled_and_goes_on_elsewhere"],
    ),
    row(
        "completion by somebody else",
        "`activity.raise_complete_async()`",
        "`Err(ActivityError::WillCompleteAsync)`, then by token or id",
        &["tests/server/activities.rs::an_activity_is_completed_by_somebody_else_by_token_and_by_id"],
    ),
    row(
        "errors, retries, timeouts",
        "exceptions, `RetryPolicy`",
        "`Result`, `RetryPolicy`; a panic is an error too",
        &["tests/server/activities.rs::panics_errors_and_timeouts_are_retried_as_far_as_the_policy_goes"],
    ),
    row(
        "local activities",
        "`workflow.execute_local_activity`",
        "`ctx.execute_local_activity`",
        &["tests/server/workflows.rs::a_local_activity_is_retried_within_its_worker"],
    ),
    row(
        "a client within an activity",
        "`activity.client()`",
        "`ctx.client()`, `ctx.workflow_handle()`",
        &["tests/server/activities.rs::an_activity_has_a_client"],
    ),
    row(
        "activities of any type",
        "`dynamic=True`",
        "`.dynamic_activities([…], handler)`: names known when the worker starts. **Gap:** a true catch-all",
        &["tests/server/dynamic.rs::one_handler_serves_workflows_and_activities_whose_names_are_known_at_the_start"],
    ),
];
