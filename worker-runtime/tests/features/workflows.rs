//! What workflows are made of.

use crate::{Row, row};

pub(crate) const WORKFLOWS: &[Row] = &[
    row(
        "a workflow, its name, its start",
        "`@workflow.defn(name=…)`, `@workflow.run`, `@workflow.init`",
        "`#[workflow]`, `#[run(name = \"…\")]`, `#[init]`; the input reaches `init` *or* `run`",
        &["tests/server/seed.rs::it_takes_signals_queries_and_updates_and_gives_its_result"],
    ),
    row(
        "signals, async or not",
        "`@workflow.signal`",
        "`#[signal]`; signal with start by the client",
        &[
            "tests/server/seed.rs::it_takes_signals_queries_and_updates_and_gives_its_result",
            "tests/server/workflows.rs::handlers_run_activities_and_take_several_arguments",
        ],
    ),
    row(
        "queries: not async, change nothing",
        "`@workflow.query`",
        "`#[query]` with `&self`: the compiler sees to both",
        &[
            "tests/server/seed.rs::it_takes_signals_queries_and_updates_and_gives_its_result",
            "tests/server/workflows.rs::handlers_run_activities_and_take_several_arguments",
        ],
    ),
    row(
        "updates, async or not, with a result",
        "`@workflow.update`",
        "`#[update]`",
        &[
            "tests/server/seed.rs::it_takes_signals_queries_and_updates_and_gives_its_result",
            "tests/server/workflows.rs::handlers_run_activities_and_take_several_arguments",
        ],
    ),
    row(
        "a validator refuses an update before it is history",
        "`@append_to_data.validator`",
        "`#[update_validator(append_to_data)]`",
        &["tests/server/seed.rs::it_takes_signals_queries_and_updates_and_gives_its_result"],
    ),
    row(
        "several arguments",
        "positional",
        "of an activity: several parameters; of workflows and handlers: `MultiArgs2` to `MultiArgs6`",
        &[
            "tests/server/workflows.rs::handlers_run_activities_and_take_several_arguments",
            "tests/server/values.rs::every_kind_of_value_goes_through_a_server_and_back",
        ],
    ),
    row(
        "time, chance, unique names",
        "`workflow.now()`, `random()`, `uuid4()`",
        "`ctx.workflow_time()`, `ctx.random()`, `ctx.uuid4()`",
        &["tests/server/determinism.rs::time_chance_and_names_are_the_same_in_every_replay"],
    ),
    row(
        "logs of a workflow",
        "`workflow.logger`",
        "`tracing`: with type and IDs of the workflow, silent while history is replayed (not in `#[init]`)",
        &["tests/server/determinism.rs::what_a_workflow_logs_is_written_once_with_whose_it_is"],
    ),
    row(
        "sandbox against what is not deterministic",
        "on by default",
        "none in native code: a detector for foreign waits, a `clippy.toml` for workflow crates, replay of histories in `cargo test`",
        &[
            "tests/server/determinism.rs::a_workflow_that_waits_for_anything_but_temporal_fails_its_task_and_harms_no_other",
            "tests/server/determinism.rs::histories_of_the_server_are_replayed_and_changed_code_is_found",
            "tests/wire/workflows.rs::recorded_histories_are_replayed_and_changed_code_is_found",
        ],
    ),
    row(
        "workflow code that blocks its thread",
        "its task fails after 2 s",
        "`/livez` and the log name the workflow; activities go on, its task is handed out again",
        &[
            "tests/server/blocked.rs::a_workflow_that_blocks_its_thread_is_named_and_its_task_is_handed_out_again",
            "tests/wire/watchdog.rs::workflow_code_that_blocks_its_thread_is_named_and_activities_go_on",
        ],
    ),
    row(
        "workflows of any type",
        "`dynamic=True`",
        "`.dynamic_workflows::<W>([…])`: names known when the worker starts. **Gap:** a true catch-all; updates",
        &[
            "tests/server/dynamic.rs::one_handler_serves_workflows_and_activities_whose_names_are_known_at_the_start",
            "tests/server/dynamic.rs::a_workflow_of_an_unknown_type_waits_for_a_worker_that_knows_it",
        ],
    ),
    row(
        "timers, conditions, waiting for the first",
        "`asyncio.sleep`, `workflow.wait_condition`",
        "`ctx.timer`, `ctx.wait_condition`, `workflows::{select, join_all}`",
        &["tests/server/workflows.rs::timers_fire_in_time_lose_to_others_and_are_dropped"],
    ),
    row(
        "child workflows, signals between workflows",
        "`workflow.execute_child_workflow`",
        "`ctx.start_child_workflow`, `ctx.external_workflow`",
        &[
            "tests/server/workflows.rs::a_workflow_has_children_that_it_starts_signals_and_cancels_and_whose_failures_it_learns",
            "tests/server/workflows.rs::handlers_run_activities_and_take_several_arguments",
        ],
    ),
    row(
        "continue as new",
        "`workflow.continue_as_new`",
        "`ctx.continue_as_new`",
        &["tests/server/workflows.rs::a_workflow_continues_as_new_and_takes_its_state_along"],
    ),
    row(
        "changes while runs are open",
        "`workflow.patched`",
        "`ctx.patched`",
        &["tests/server/determinism.rs::a_change_behind_a_patch_lets_open_runs_end_on_the_old_way"],
    ),
    row(
        "cancellation and clean-up",
        "`asyncio.CancelledError`",
        "`ctx.cancelled()`; an activity after it needs a token of its own",
        &["tests/server/workflows.rs::a_cancelled_workflow_cleans_up_with_an_activity"],
    ),
    row(
        "failure of a workflow",
        "`ApplicationError`",
        "`ApplicationFailure`",
        &["tests/server/workflows.rs::a_workflow_that_fails_says_why"],
    ),
];
