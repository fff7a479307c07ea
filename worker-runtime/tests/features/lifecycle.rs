//! Registering, running, ending.

use crate::{Row, row};

pub(crate) const LIFECYCLE: &[Row] = &[
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
        "SIGTERM before there is a connection, twice, or while Temporal is away",
        "as the program is written",
        "ends at once; changes nothing; keeps results until Temporal is back or the time is up",
        &[
            "tests/server/signals.rs::sigterm_before_there_is_a_connection_ends_the_process_at_once",
            "tests/server/signals.rs::a_second_sigterm_takes_no_time_from_what_runs",
            "tests/server/signals.rs::sigterm_while_temporal_is_away_keeps_results_until_it_is_back",
            "tests/server/signals.rs::a_process_does_not_wait_for_ever_for_a_temporal_that_is_away",
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
        "any SDK's image can be a fleet, see `examples/python/README.md`",
        &["/e2e/tests/shared/python.rs::a_python_fleet_follows_its_load_and_loses_no_task"],
    ),
];
