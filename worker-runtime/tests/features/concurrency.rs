//! How much runs at once.

use crate::{Row, row};

pub(crate) const CONCURRENCY: &[Row] = &[
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
        &[
            "src/settings_tests.rs::a_pod_gets_all_that_the_operator_sets",
            "tests/server/queues.rs::no_more_tasks_start_in_a_second_than_the_worker_may",
        ],
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
            "tests/server/determinism.rs::time_chance_and_names_are_the_same_in_every_replay",
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
