//! Recycling: SDK Workers follow each other under load, no task notices, and what the old ones kept is freed.

use std::{sync::Arc, time::Duration};

use fleet_worker::{Ended, FleetWorker, Settings, WorkerHandle};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio::sync::Notify;

use crate::{
    fake::Frontend,
    support::{Activities, eventually, get, settings, value, within},
    workflows,
};

/// Lets `outlives` end.
static GO_ON: Notify = Notify::const_new();

struct Outlives;

#[activities]
impl Outlives {
    /// Ends when the test lets it; a cancellation makes it fail.
    #[activity(name = "outlives")]
    async fn outlives(ctx: ActivityContext) -> Result<(), ActivityError> {
        tokio::select! {
            () = GO_ON.notified() => Ok(()),
            () = ctx.cancelled() => Err(ActivityError::cancelled()),
        }
    }
}

fn start(frontend: &Arc<Frontend>, settings: Settings, age: Option<Duration>) -> WorkerHandle {
    let worker = FleetWorker::from_settings(settings)
        .default_queue("q")
        .workflow::<workflows::Echo>()
        .activities(Activities)
        .activities(Outlives)
        .customise_connection(frontend.customise());
    let worker = match age {
        Some(age) => worker.recycle_after(age),
        None => worker,
    };
    worker.spawn().expect("started")
}

const RECYCLED: &str = "rebuilds_total{reason=\"recycled\"}";
const IN_MEMORY: &str = "workers{thread=\"Activity:q\"}";

#[test]
fn thousands_of_activities_outlive_their_workers_and_none_is_lost() {
    for (slots, tasks) in [("1", 60), ("20", 2_000)] {
        let frontend = Arc::new(Frontend::default());
        let mut settings = settings(&[
            ("TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES", slots),
            ("TEMPORAL_FLEET_RECYCLE_AFTER_ACTIVITIES", "10"),
        ]);
        // A shutdown that begins too early would cancel at once.
        settings.graceful_shutdown = Duration::ZERO;
        let worker = start(&frontend, settings, None);
        frontend.schedule("quick", tasks);
        let patience = Duration::from_mins(2);
        within(patience, "all are completed", || frontend.state().completed == tasks);
        eventually("the old ones are gone", || {
            value(&worker, RECYCLED) >= 2 && value(&worker, IN_MEMORY) == 1
        });
        {
            let state = frontend.state();
            assert_eq!((state.lost, state.failed.len(), state.cancelled), (0, 0, 0), "{slots}");
            assert_eq!(state.handed_out, tasks, "{slots}: no task ran twice");
        }
        worker.stop();
        assert_eq!(worker.wait().expect("ended"), Ended::Clean);
    }
}

#[test]
fn a_long_activity_keeps_its_worker_until_it_ends_and_is_neither_cancelled_nor_in_the_way() {
    let frontend = Arc::new(Frontend::default());
    let mut settings = settings(&[
        ("TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES", "4"),
        ("TEMPORAL_FLEET_RECYCLE_AFTER_ACTIVITIES", "50"),
    ]);
    settings.graceful_shutdown = Duration::ZERO;
    let worker = start(&frontend, settings, None);
    frontend.schedule("outlives", 1);
    eventually("it runs", || frontend.state().running.len() == 1);
    frontend.schedule("quick", 1_000);
    within(Duration::from_mins(1), "others flow", || {
        frontend.state().completed == 1_000
    });
    eventually("its worker waits for it", || {
        value(&worker, RECYCLED) >= 2 && value(&worker, IN_MEMORY) == 2
    });
    assert_eq!(frontend.state().running.len(), 1);
    GO_ON.notify_one();
    eventually("its worker is gone", || value(&worker, IN_MEMORY) == 1);
    {
        let state = frontend.state();
        assert_eq!((state.completed, state.failed.len(), state.cancelled), (1_001, 0, 0));
    }
    worker.stop();
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
}

#[test]
fn age_recycles_what_polls_for_activities_and_leaves_workflows_alone() {
    let frontend = Arc::new(Frontend::default());
    let worker = start(&frontend, settings(&[]), Some(Duration::from_millis(300)));
    eventually("two of them", || value(&worker, RECYCLED) >= 2);
    eventually("one worker for workflows was ever made", || {
        let page = get(worker.ports().metrics, "/metrics").1;
        let of = |name| {
            let line = page
                .lines()
                .find_map(|line| line.strip_prefix(name)?.rsplit(' ').next());
            line.map_or(0, |value| value.parse::<u64>().expect("a whole number"))
        };
        of("temporal_worker_start{") == 2 + of("temporal_fleet_runtime_rebuilds_total{reason=\"recycled\"}")
    });
    assert_eq!(value(&worker, "workers{thread=\"Workflow:q\"}"), 1);
    worker.stop();
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
}
