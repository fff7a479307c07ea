//! `Drain`: no new task, no deadline, nothing lost, and a pod that stays.

use std::{
    path::PathBuf,
    sync::{Arc, LazyLock},
    time::Duration,
};

use fleet_worker::{Ended, FleetWorker, Settings, WorkerHandle};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio::sync::Semaphore;

use crate::{
    control::{Operator, control_dir},
    fake::Frontend,
    support::{Activities, eventually, get, settings},
    workflows,
};

/// Lets `long` activities end, one per permit.
static GO_ON: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(0));

struct Long;

#[activities]
impl Long {
    /// Ends when the test lets it; a cancellation makes it fail.
    #[activity(name = "long")]
    async fn long(ctx: ActivityContext) -> Result<(), ActivityError> {
        tokio::select! {
            permit = GO_ON.acquire() => permit?.forget(),
            () = ctx.cancelled() => return Err(ActivityError::cancelled()),
        }
        Ok(())
    }
}

struct Pod {
    frontend: Arc<Frontend>,
    worker: WorkerHandle,
    operator: Operator,
    directory: PathBuf,
}

impl Pod {
    fn new(name: &str, frontend: Arc<Frontend>, mut settings: Settings) -> Self {
        let (directory, certificate) = control_dir(name);
        settings.control_dir = Some(directory.clone());
        let worker = FleetWorker::from_settings(settings)
            .default_queue("q")
            .workflow::<workflows::Echo>()
            .activities(Activities)
            .activities(Long)
            .customise_connection(frontend.customise())
            .spawn()
            .expect("started");
        Self {
            operator: Operator::new(worker.ports().control, &certificate, "the-token"),
            frontend,
            worker,
            directory,
        }
    }

    fn ready(&self) -> (u16, String) {
        get(self.worker.ports().health, "/readyz")
    }

    fn drained(&self) -> bool {
        let report = self.operator.report().expect("a report");
        report.drain.is_some_and(|drain| drain.drained)
    }

    fn end(self) -> Ended {
        self.worker.stop();
        let ended = self.worker.wait().expect("ended");
        let _ = std::fs::remove_dir_all(self.directory);
        ended
    }
}

#[test]
fn a_drain_lets_tasks_run_as_long_as_they_want_and_then_the_pod_stays() {
    let mut settings = settings(&[]);
    // The time that the ending of the process would give them.
    settings.graceful_shutdown = Duration::from_millis(100);
    let pod = Pod::new("drain-long", Arc::default(), settings);
    let (frontend, operator) = (&pod.frontend, &pod.operator);
    frontend.schedule("long", 2);
    eventually("both run", || {
        operator.report().is_ok_and(|report| report.inflight.len() == 2)
    });

    let first = operator.drain().expect("accepted");
    assert!(!first.drained && first.running == 2, "{first:?}");
    assert_eq!(pod.ready(), (503, "draining: no new task is accepted\n".to_owned()));
    eventually("open polls run out", || {
        operator.drain().is_ok_and(|progress| progress.open_polls == 0)
    });
    frontend.schedule("quick", 5);
    // Beyond the grace of an ending: nothing was cancelled, and nothing new was taken.
    eventually("time passes", || {
        operator.drain().is_ok_and(|progress| progress.elapsed_ms > 500)
    });
    let report = operator.report().expect("a report");
    let progress = report.drain.expect("the progress");
    assert!(report.draining && !progress.drained, "{progress:?}");
    assert_eq!((progress.running, progress.open_polls), (2, 0));
    assert!(progress.oldest_age_ms >= progress.elapsed_ms, "{progress:?}");

    GO_ON.add_permits(2);
    eventually("drained", || pod.drained());
    let after = operator.drain().expect("asked again");
    assert!(
        after.drained && (after.running, after.oldest_age_ms) == (0, 0),
        "{after:?}"
    );
    assert_eq!(pod.ready(), (503, "drained: waiting for the end\n".to_owned()));
    assert_eq!(get(pod.worker.ports().health, "/livez").0, 200);
    {
        let state = frontend.state();
        assert_eq!((state.completed, state.failed.len(), state.cancelled), (2, 0, 0));
        assert_eq!((state.lost, state.waiting.len()), (0, 5));
    }
    assert!(!pod.worker.is_finished(), "it stays until it is told to end");
    assert_eq!(pod.end(), Ended::Clean);
}

#[test]
fn a_drain_under_load_loses_nothing_whatever_the_server_can() {
    for completes_polls in [true, false] {
        let frontend = Arc::new(Frontend::default());
        frontend.state().completes_polls = completes_polls;
        let variables = [("TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES", "8")];
        let pod = Pod::new("drain-load", frontend, settings(&variables));
        let frontend = &pod.frontend;
        frontend.schedule("quick", 5_000);
        eventually("tasks flow", || frontend.state().completed > 50);
        pod.operator.drain().expect("accepted");
        eventually("drained", || pod.drained());
        {
            let state = frontend.state();
            assert!(!state.waiting.is_empty(), "the load ended before the drain");
            assert_eq!((state.lost, state.failed.len()), (0, 0), "{completes_polls}");
            assert_eq!(state.completed, state.handed_out, "{completes_polls}");
        }
        assert_eq!(pod.end(), Ended::Clean);
    }
}

#[test]
fn an_ending_in_the_middle_of_a_drain_is_as_any_other() {
    let mut settings = settings(&[]);
    settings.graceful_shutdown = Duration::from_millis(300);
    let pod = Pod::new("drain-end", Arc::default(), settings);
    pod.frontend.schedule("until_cancelled", 1);
    eventually("it runs", || {
        pod.operator.report().is_ok_and(|report| report.inflight.len() == 1)
    });
    pod.operator.drain().expect("accepted");
    let frontend = Arc::clone(&pod.frontend);
    assert_eq!(pod.end(), Ended::Clean);
    let failure = format!("{:?}", frontend.state().failed);
    assert!(
        failure.contains("WorkerShutdown"),
        "handed back at the deadline: {failure}"
    );
}

#[test]
fn a_pod_that_is_not_connected_yet_is_drained_at_once() {
    let frontend = Arc::new(Frontend::default());
    frontend.state().no_namespace = true;
    let pod = Pod::new("drain-early", frontend, settings(&[]));
    eventually("it tries", || pod.ready().1.contains("does not exist"));
    pod.operator.drain().expect("accepted");
    eventually("drained", || pod.drained());
    pod.frontend.state().no_namespace = false;
    assert!(!pod.worker.is_finished());
    assert_eq!(pod.end(), Ended::Clean);
}
