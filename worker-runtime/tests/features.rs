//! The table of `docs/worker/features.md`: what the guide to Python workers describes, how it is written with either SDK, and the
//! tests that show it. `make generate` writes the page; a page that is not fresh, or a row whose test is not in the tree, fails here.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

/// A feature. Without tests it must be a gap, and say so.
struct Row {
    feature: &'static str,
    python: &'static str,
    rust: &'static str,
    /// `file::function`, the file below `worker-runtime/` unless it begins with `/`.
    tests: &'static [&'static str],
}

/// What a row begins with that the Rust runtime does not have.
const GAP: &str = "**Gap.**";

const fn row(feature: &'static str, python: &'static str, rust: &'static str, tests: &'static [&'static str]) -> Row {
    Row {
        feature,
        python,
        rust,
        tests,
    }
}

const SECTIONS: &[(&str, &[Row])] = &[
    ("Connecting", CONNECTING),
    ("Workflows", WORKFLOWS),
    ("Activities", ACTIVITIES),
    ("Data", DATA),
    ("Registering, running, ending", LIFECYCLE),
    ("Concurrency", CONCURRENCY),
];

const CONNECTING: &[Row] = &[
    row(
        "connect to an address, with a Temporal namespace",
        "`Client.connect(address, namespace=…)`",
        "`FleetWorker::from_env()`: `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`",
        &[
            "tests/server/seed.rs::it_takes_signals_queries_and_updates_and_gives_its_result",
            "tests/server/outage.rs::a_temporal_namespace_that_does_not_exist_is_named",
        ],
    ),
    row(
        "local development server",
        "`localhost:7233`",
        "the same, when no variable is set",
        &["src/settings_tests.rs::without_variables_a_worker_serves_a_development_server"],
    ),
    row(
        "a client need not be closed",
        "no `close()`",
        "dropped with the worker",
        &["tests/wire/worker.rs::running_tasks_finish_and_late_ones_are_handed_back"],
    ),
    row(
        "a server that is not there yet",
        "`connect` raises",
        "tries for ever, not ready meanwhile, and says why",
        &["tests/server/outage.rs::a_worker_waits_for_a_server_that_is_not_there_yet"],
    ),
    row(
        "a server that goes away",
        "polls are tried again",
        "the same; results that are at hand are kept until it is back",
        &["tests/server/outage.rs::a_server_that_is_killed_and_comes_back_costs_no_task"],
    ),
    row(
        "Temporal Cloud: client certificate",
        "`tls=TLSConfig(client_cert=…, client_private_key=…)`",
        "`TEMPORAL_TLS_CLIENT_CERT_PATH`, `TEMPORAL_TLS_CLIENT_KEY_PATH`",
        &[
            "tests/server/tls.rs::who_is_refused_says_why_in_words",
            "tests/server/tls.rs::a_certificate_is_replaced_while_tasks_run_and_the_old_one_is_needed_no_more",
        ],
    ),
    row(
        "Temporal Cloud: API key",
        "`api_key=…`",
        "`TEMPORAL_FLEET_API_KEY_FILE` or `TEMPORAL_API_KEY`; never without TLS",
        &[
            "tests/server/tls.rs::an_api_key_is_demanded_replaced_and_revoked_while_tasks_run",
            "src/settings_tests.rs::an_api_key_never_travels_in_the_clear_nor_into_a_message",
        ],
    ),
    row(
        "self-hosted: own address, own authority",
        "`TLSConfig(server_root_ca_cert=…, domain=…)`",
        "`TEMPORAL_TLS_SERVER_CA_CERT_PATH`, `TEMPORAL_TLS_SERVER_NAME`, `TEMPORAL_GRPC_META_*`",
        &[
            "tests/server/tls.rs::who_is_refused_says_why_in_words",
            "src/settings_tests.rs::a_pod_gets_all_that_the_operator_sets",
        ],
    ),
    row(
        "new credentials without a restart",
        "a new worker",
        "files are watched; a new certificate, authority or key is taken into use once it works",
        &[
            "tests/server/tls.rs::a_certificate_is_replaced_while_tasks_run_and_the_old_one_is_needed_no_more",
            "tests/server/tls.rs::an_api_key_is_demanded_replaced_and_revoked_while_tasks_run",
            "tests/wire/worker.rs::a_new_api_key_is_used_without_a_restart_and_a_bad_file_changes_nothing",
        ],
    ),
    row(
        "settings that would do nothing",
        "ignored",
        "refused at the start, all mistakes together",
        &["src/settings_tests.rs::all_mistakes_are_reported_together_with_what_is_allowed"],
    ),
];

const WORKFLOWS: &[Row] = &[
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
        &["tests/server/workflows.rs::time_chance_and_names_are_the_same_in_every_replay"],
    ),
    row(
        "sandbox against what is not deterministic",
        "on by default",
        "none in native code: a detector for foreign waits, a `clippy.toml` for workflow crates, replay of histories in `cargo test`",
        &[
            "tests/server/workflows.rs::a_workflow_that_waits_for_anything_but_temporal_fails_its_task_and_harms_no_other",
            "tests/server/workflows.rs::histories_of_the_server_are_replayed_and_changed_code_is_found",
            "tests/wire/workflows.rs::recorded_histories_are_replayed_and_changed_code_is_found",
        ],
    ),
    row(
        "workflows of any type",
        "`dynamic=True`",
        "`.dynamic_workflows::<W>([…])`: names known when the worker starts. **Gap:** a true catch-all; updates",
        &[
            "tests/server/workflows.rs::one_handler_serves_workflows_and_activities_whose_names_are_known_at_the_start",
            "tests/server/workflows.rs::a_workflow_of_an_unknown_type_waits_for_a_worker_that_knows_it",
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
        &["tests/server/workflows.rs::a_change_behind_a_patch_lets_open_runs_end_on_the_old_way"],
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

const ACTIVITIES: &[Row] = &[
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
            "tests/server/queues.rs::an_activity_in_a_child_process_goes_on_with_its_details_after_a_failure",
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
        &["tests/server/workflows.rs::one_handler_serves_workflows_and_activities_whose_names_are_known_at_the_start"],
    ),
];

const BOTH_WAYS: &[&str] = &[
    "tests/server/interop.rs::python_runs_the_activities_of_our_workflow",
    "tests/server/interop.rs::we_run_the_activities_of_a_python_workflow",
];

const DATA: &[Row] = &[
    row("nothing", "`None`", "`()`, `Option::None`", BOTH_WAYS),
    row("bytes", "`bytes`", "`Vec<u8>`", BOTH_WAYS),
    row(
        "protobuf messages",
        "`google.protobuf.message.Message`",
        "`ProtoJson<T>`",
        BOTH_WAYS,
    ),
    row("records", "dataclass", "struct with `serde`", BOTH_WAYS),
    row(
        "Pydantic models",
        "`pydantic_data_converter`",
        "struct with `serde`; the JSON is that of a dataclass, Pydantic itself is not part of the tests",
        BOTH_WAYS,
    ),
    row("iterables", "`list`, `set`", "`Vec`, sets, tuples", BOTH_WAYS),
    row(
        "`IntEnum`, `StrEnum`",
        "enumerations",
        "enumerations with `serde`, as number or text",
        BOTH_WAYS,
    ),
    row(
        "UUID",
        "`uuid.UUID`",
        "hyphenated text, as `uuid::Uuid` writes it; the tests use the text",
        BOTH_WAYS,
    ),
    row(
        "not date, time, datetime",
        "RFC 3339 text",
        "RFC 3339 text, as `jiff::Timestamp` writes it",
        BOTH_WAYS,
    ),
    row(
        "text, numbers, several arguments",
        "as they are",
        "as they are",
        BOTH_WAYS,
    ),
    row(
        "how each is written",
        "default data converter",
        "the same encodings, see [data](data.md)",
        &[
            "tests/server/values.rs::every_kind_of_value_goes_through_a_server_and_back",
            "src/convert_tests.rs::every_kind_of_value_is_written_as_the_table_says_and_read_back",
            "src/convert_tests.rs::a_message_is_written_as_json_with_its_type_and_read_from_both_forms",
        ],
    ),
    row(
        "custom payload converters",
        "`CompositePayloadConverter`",
        "a wrapper type with `TemporalSerializable`, or one `serde` format for all. **Gap:** an own list of converters",
        &["src/convert_tests.rs::raw_payloads_pass_unchanged"],
    ),
    row(
        "encryption",
        "`PayloadCodec`",
        "`.codec(…)`, `.encode_failures()`",
        &[
            "tests/server/data.rs::the_server_sees_nothing_readable_and_a_wrong_key_fails_the_task_and_not_the_process",
            "tests/wire/encryption.rs::nothing_readable_leaves_the_worker_and_old_keys_are_still_read",
        ],
    ),
    row(
        "values beyond the server's limits",
        "the task fails",
        "the same; the worker goes on",
        &["tests/server/data.rs::a_result_beyond_the_servers_limits_fails_its_activity_and_harms_no_other"],
    ),
    row(
        "both languages in one conversation",
        "`examples/python`",
        "`examples/data_processing.rs`: same names, same values",
        &[
            "tests/server/interop.rs::a_python_client_talks_with_our_worker",
            "tests/server/interop.rs::our_client_talks_with_a_python_worker",
        ],
    ),
];

const LIFECYCLE: &[Row] = &[
    row(
        "register workflows and activities for a queue",
        "`Worker(client, task_queue=…, workflows=[…], activities=[…])`",
        "`.workflow::<W>()`, `.activities(…)`, `.default_queue(…)`",
        &[
            "tests/server/seed.rs::it_takes_signals_queries_and_updates_and_gives_its_result",
            "tests/wire/register.rs::what_a_queue_misses_or_has_twice_is_refused",
        ],
    ),
    row(
        "several queues",
        "several workers",
        "one process: `TEMPORAL_FLEET_TASK_QUEUES`, `.on_queue(…)`",
        &[
            "tests/server/queues.rs::one_process_serves_several_queues_each_with_its_own_types",
            "tests/wire/register.rs::a_registration_on_one_queue_is_on_no_other",
        ],
    ),
    row(
        "run until told to stop",
        "`await worker.run()`, `async with worker`",
        "`run()`, `run_until(token)`, `spawn()`",
        &[
            "tests/server/ending.rs::sigterm_under_load_costs_no_task",
            "tests/server/ending.rs::a_worker_that_is_stopped_finishes_what_runs",
            "tests/wire/register.rs::a_token_ends_the_worker_as_a_signal_does",
        ],
    ),
    row(
        "SIGTERM, SIGINT",
        "handlers in the program",
        "built in; every accepted task is finished or handed back",
        &[
            "tests/server/ending.rs::sigterm_under_load_costs_no_task",
            "tests/server/ending.rs::nor_does_it_on_a_server_that_keeps_its_polls_open",
            "tests/wire/ending.rs::a_task_that_ignores_everything_meets_the_hard_deadline",
        ],
    ),
    row(
        "stop while tasks run",
        "`worker.shutdown()`",
        "`WorkerHandle::stop()`",
        &[
            "tests/server/ending.rs::a_worker_that_is_stopped_finishes_what_runs",
            "tests/server/ending.rs::so_it_does_on_a_server_that_keeps_its_polls_open",
        ],
    ),
    row(
        "graceful shutdown: told first, cancelled later",
        "`graceful_shutdown_timeout` (0)",
        "`TEMPORAL_FLEET_GRACEFUL_SHUTDOWN_SECONDS` (60)",
        &["tests/server/ending.rs::what_outlives_the_grace_period_is_told_first_then_cancelled_and_goes_on_elsewhere"],
    ),
    row(
        "a worker that dies",
        "tasks are retried elsewhere",
        "the same",
        &["tests/server/seed.rs::its_long_activity_goes_on_where_it_was_after_its_process_was_killed"],
    ),
    row(
        "Worker Deployments",
        "`WorkerDeploymentConfig`",
        "`TEMPORAL_DEPLOYMENT_NAME`, `TEMPORAL_WORKER_BUILD_ID`, `.versioning(…)`. **Gap:** one behaviour per worker, not per workflow",
        &[
            "tests/server/queues.rs::open_runs_stay_on_their_version_and_new_ones_take_the_current_one",
            "tests/server/queues.rs::open_runs_move_to_the_current_version_if_the_worker_says_so",
        ],
    ),
    row(
        "the same as a fleet of Python workers",
        "`examples/python`",
        "**Gap.** Any image can be a fleet, see `examples/python/README.md`; `make test-python` does not pass in every run yet",
        &[],
    ),
];

const CONCURRENCY: &[Row] = &[
    row(
        "limit of activities at once",
        "`max_concurrent_activities`",
        "`TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES` (100 per pod); also workflow tasks and local activities",
        &[
            "tests/server/queues.rs::no_more_tasks_run_at_once_than_there_are_slots",
            "src/gate_tests.rs::slots_stay_within_the_limit_and_the_integral_is_exact",
            "src/gate_tests.rs::each_lane_keeps_a_slot_however_busy_its_neighbour_is",
        ],
    ),
    row(
        "activities per second of a worker",
        "`max_activities_per_second`",
        "`TEMPORAL_FLEET_MAX_ACTIVITIES_PER_SECOND`, shared out among the pod's queues",
        &["src/settings_tests.rs::a_pod_gets_all_that_the_operator_sets"],
    ),
    row(
        "activities per second of a queue",
        "`max_task_queue_activities_per_second`",
        "`TEMPORAL_FLEET_MAX_TASK_QUEUE_ACTIVITIES_PER_SECOND`; in a fleet the operator sets it at the server, once per queue",
        &[
            "src/settings_tests.rs::a_pod_gets_all_that_the_operator_sets",
            "/operator/core/tests/plan.rs::the_rate_of_a_queue_is_set_once_changed_and_taken_back",
            "/e2e/tests/shared/queues.rs::a_fleet_serves_all_its_queues",
        ],
    ),
    row(
        "workflows kept in memory",
        "`max_cached_workflows` (1000; the guide says 10 000)",
        "`TEMPORAL_FLEET_MAX_CACHED_WORKFLOWS` (1000 per queue); 0 replays every task",
        &[
            "src/settings_tests.rs::a_pod_gets_all_that_the_operator_sets",
            "tests/server/workflows.rs::time_chance_and_names_are_the_same_in_every_replay",
        ],
    ),
    row(
        "pollers",
        "`workflow_task_poller_behavior`, `activity_task_poller_behavior`",
        "`TEMPORAL_FLEET_WORKFLOW_TASK_POLLERS`, `TEMPORAL_FLEET_ACTIVITY_TASK_POLLERS`",
        &["src/settings_tests.rs::a_pod_gets_all_that_the_operator_sets"],
    ),
    row(
        "slots by CPU and memory",
        "`WorkerTuner.create_resource_based(…)`",
        "`TEMPORAL_FLEET_TUNER`, `.tuner(…)`: the SDK's own, within the limits of the pod; see [options](options.md)",
        &[
            "src/settings_tests.rs::a_tuner_is_fixed_or_has_targets_with_defaults",
            "tests/wire/tuner.rs::without_room_for_more_activities_run_one_at_a_time_and_nobody_is_told_a_number_of_slots",
            "tests/wire/tuner.rs::without_room_for_more_workflows_and_their_activities_go_on_in_either_shape",
            "tests/wire/tuner.rs::a_drain_waits_for_tasks_and_not_for_resources",
            "tests/wire/ending.rs::sigterm_while_resources_withhold_slots_is_as_any_other",
        ],
    ),
    row(
        "how far heartbeats are batched",
        "`max_heartbeat_throttle_interval`",
        "`TEMPORAL_FLEET_MAX_HEARTBEAT_THROTTLE_INTERVAL_SECONDS` (60), `TEMPORAL_FLEET_DEFAULT_HEARTBEAT_THROTTLE_INTERVAL_SECONDS` (30)",
        &["src/settings_tests.rs::a_pod_gets_all_that_the_operator_sets"],
    ),
    row(
        "low schedule-to-start latency",
        "to be watched",
        "reported for each queue, and what the operator scales by",
        &[
            "tests/wire/worker.rs::a_pod_becomes_ready_and_reports_what_runs",
            "src/queues.rs::a_time_falls_into_the_bucket_whose_bound_it_does_not_exceed",
        ],
    ),
];

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// File from the repository's root, and function.
fn located(test: &str) -> (String, &str) {
    let (file, function) = test.rsplit_once("::").expect("file::function");
    let file = file
        .strip_prefix('/')
        .map_or_else(|| format!("worker-runtime/{file}"), str::to_owned);
    (file, function)
}

/// Whether a text holds a test of that name which is not left out.
fn holds(text: &str, function: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let head = format!("fn {function}(");
    lines.iter().enumerate().any(|(at, line)| {
        let attributes: Vec<&&str> = lines[..at]
            .iter()
            .rev()
            .take_while(|line| line.starts_with("#["))
            .collect();
        let is = |name: &str| attributes.iter().any(|attribute| attribute.starts_with(name));
        line.contains(&head) && (is("#[test]") || is("#[tokio::test")) && !is("#[ignore")
    })
}

fn page() -> String {
    let mut page = "<!-- Generated from worker-runtime/tests/features.rs by `make generate`; do not edit. -->\n\
        # What a worker can do\n\n\
        Every feature of a standalone worker that the guide to Python workers describes, and the tests that show it for the Rust\n\
        runtime. Tests below `tests/server` run against a real Temporal server, those in `interop.rs` with the Python SDK on the other\n\
        side: `make test-worker`. Others need no server: `make test-unit`. A row without a test is a gap.\n"
        .to_owned();
    for (title, rows) in SECTIONS {
        let _ = write!(
            page,
            "\n## {title}\n\n| feature | Python SDK | Rust runtime | tests |\n|---|---|---|---|\n"
        );
        for Row {
            feature,
            python,
            rust,
            tests,
        } in *rows
        {
            let mut files: BTreeMap<String, Vec<&str>> = BTreeMap::new();
            for test in *tests {
                let (file, function) = located(test);
                files.entry(file).or_default().push(function);
            }
            let links: Vec<String> = files
                .iter()
                .flat_map(|(file, functions)| functions.iter().map(move |function| (file, function)))
                .map(|(file, function)| format!("[{}](../../{file})", function.replace('_', " ")))
                .collect();
            let _ = writeln!(page, "| {feature} | {python} | {rust} | {} |", links.join("; "));
        }
    }
    page
}

#[test]
fn every_feature_has_a_test_or_is_a_gap() {
    for Row {
        feature, rust, tests, ..
    } in SECTIONS.iter().flat_map(|(_, rows)| *rows)
    {
        assert_eq!(
            tests.is_empty(),
            rust.starts_with(GAP),
            "{feature}: without a test it is a gap, and only then"
        );
        for test in *tests {
            let (file, function) = located(test);
            let text = std::fs::read_to_string(repository().join(&file)).unwrap_or_default();
            assert!(
                holds(&text, function),
                "{feature}: there is no test {function} in {file}"
            );
        }
    }
}

#[test]
fn a_test_that_is_not_there_or_is_left_out_does_not_count() {
    let text =
        "#[test]\nfn a() {}\n\n#[tokio::test]\nasync fn b() {}\n\n#[test]\n#[ignore = \"x\"]\nfn c() {}\n\nfn d() {}\n";
    assert_eq!(
        ["a", "b", "c", "d", "e"].map(|name| holds(text, name)),
        [true, true, false, false, false]
    );
}

#[test]
fn the_page_is_fresh() {
    let path = repository().join("docs/worker/features.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).expect("written");
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        there == page(),
        "docs/worker/features.md is not fresh; run `make generate` and commit the result"
    );
}
