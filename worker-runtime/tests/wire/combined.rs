//! The combined shape: one SDK Worker per queue, eager activities, and the same promises.

use std::{sync::Arc, time::Duration};

use fleet_worker::{Ended, FleetWorker, Settings, WorkerHandle};

use crate::{
    control::{Operator, control_dir},
    fake::Frontend,
    history::json,
    support::{Activities, eventually, get, settings, value, within},
    workflows::{Echo, Parts, Steps},
};

fn start(frontend: &Arc<Frontend>, settings: Settings) -> WorkerHandle {
    FleetWorker::from_settings(settings)
        .default_queue("q")
        .workflow::<Steps>()
        .workflow::<Echo>()
        .activities(Parts)
        .activities(Activities)
        .combined()
        .customise_connection(frontend.customise())
        .spawn()
        .expect("started")
}

#[test]
fn an_activity_comes_with_the_answer_to_the_task_that_asked_for_it() {
    let frontend = Arc::new(Frontend::default());
    frontend.state().completes_polls = true;
    let worker = start(&frontend, settings(&[("TEMPORAL_FLEET_MAX_CACHED_WORKFLOWS", "0")]));
    eventually("ready", || get(worker.ports().health, "/readyz").0 == 200);
    assert_eq!(value(&worker, "workers{thread=\"Combined:q\"}"), 1);
    let run = frontend.runs(|runs| runs.start("Steps", Some(json(&"word"))));
    eventually("the run ends", || frontend.runs(|runs| runs.all[run].ending.is_some()));
    let result = frontend.runs(|runs| runs.all[run].result());
    assert_eq!(result.as_deref(), Some(r#"["WORD","WORD","child word"]"#));
    {
        let state = frontend.state();
        assert_eq!((state.eager, state.completed), (1, 1));
    }
    worker.stop();
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
}

#[test]
fn the_environment_decides_the_shape() {
    let frontend = Arc::new(Frontend::default());
    let worker = start(&frontend, settings(&[("TEMPORAL_FLEET_COMBINED", "false")]));
    eventually("two halves", || {
        ["Workflow:q", "Activity:q"]
            .iter()
            .all(|thread| value(&worker, &format!("workers{{thread=\"{thread}\"}}")) == 1)
    });
    worker.stop();
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
}

#[test]
fn recycling_and_a_drain_lose_nothing() {
    let frontend = Arc::new(Frontend::default());
    let (directory, certificate) = control_dir("combined");
    let mut settings = settings(&[
        ("TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES", "8"),
        ("TEMPORAL_FLEET_RECYCLE_AFTER_ACTIVITIES", "100"),
    ]);
    settings.graceful_shutdown = Duration::ZERO;
    settings.control_dir = Some(directory.clone());
    let worker = start(&frontend, settings);
    let operator = Operator::new(worker.ports().control, &certificate, "the-token");
    frontend.schedule("quick", 20_000);
    let recycled = || value(&worker, "rebuilds_total{reason=\"recycled\"}");
    within(Duration::from_secs(30), "it is recycled under load", || recycled() >= 2);
    let runs: Vec<usize> = (0..5)
        .map(|_| frontend.runs(|runs| runs.start("Echo", Some(json(&"a")))))
        .collect();
    eventually("workflows go on", || {
        frontend.runs(|all| runs.iter().all(|run| all.all[*run].ending.is_some()))
    });
    operator.drain().expect("accepted");
    eventually("drained", || operator.drain().is_ok_and(|progress| progress.drained));
    {
        let state = frontend.state();
        assert!(!state.waiting.is_empty(), "the load ended before the drain");
        assert_eq!((state.lost, state.failed.len(), state.cancelled), (0, 0, 0));
        assert_eq!(state.completed, state.handed_out);
        assert!(state.runs.failures.is_empty(), "{:?}", state.runs.failures);
    }
    worker.stop();
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
    let _ = std::fs::remove_dir_all(directory);
}
