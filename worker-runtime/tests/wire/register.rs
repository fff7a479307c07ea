//! What is registered where, versions, and the end by a token.

use std::{process::ExitCode, sync::Arc};

use fleet_worker::{Ended, FleetWorker, Versioning};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio_util::sync::CancellationToken;

use crate::{
    fake::{Frontend, Task},
    history::json,
    support::{eventually, get, settings},
    workflows::{Echo, Parts},
};

struct Heavy;

#[activities]
impl Heavy {
    #[activity(name = "lift")]
    async fn lift(_: ActivityContext) -> Result<(), ActivityError> {
        Ok(())
    }
}

fn task(activity: &str, queue: &'static str) -> Task {
    Task {
        activity: activity.to_owned(),
        queue: Some(queue),
        input: if activity == "shout" {
            json(&"x").payloads
        } else {
            Vec::new()
        },
        ..Task::default()
    }
}

#[test]
fn a_registration_on_one_queue_is_on_no_other() {
    let frontend = Arc::new(Frontend::default());
    frontend.state().completes_polls = true;
    let queues = r#"[{"name":"light"},{"name":"heavy"}]"#;
    let worker = FleetWorker::from_settings(settings(&[("TEMPORAL_FLEET_TASK_QUEUES", queues)]))
        .activities(Parts)
        .on_queue("heavy", |queue| queue.activities(Heavy))
        .on_queue("elsewhere", |queue| queue.workflow::<Echo>())
        .customise_connection(frontend.customise())
        .spawn()
        .expect("started");
    for (activity, queue) in [("shout", "light"), ("shout", "heavy"), ("lift", "heavy")] {
        frontend.schedule_task(task(activity, queue));
    }
    eventually("all that are known complete", || frontend.state().completed == 3);
    let unregistered = || {
        let scrape = get(worker.ports().metrics, "/metrics").1;
        let line = scrape
            .lines()
            .find_map(|line| line.strip_prefix("temporal_fleet_runtime_unregistered_tasks_total "));
        line.map(str::to_owned)
    };
    assert_eq!(unregistered().as_deref(), Some("0"));
    frontend.schedule_task(task("lift", "light"));
    eventually("the other fails", || frontend.state().failed.len() == 1);
    assert_eq!(unregistered().as_deref(), Some("1"));
    worker.stop();
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
}

#[test]
fn what_a_queue_misses_or_has_twice_is_refused() {
    let queues = r#"[{"name":"light","types":["Workflow"]},{"name":"heavy"}]"#;
    let error = FleetWorker::from_settings(settings(&[("TEMPORAL_FLEET_TASK_QUEUES", queues)]))
        .activities(Heavy)
        .on_queue("heavy", |queue| queue.workflow::<Echo>().activities(Heavy))
        .spawn()
        .expect_err("refused")
        .to_string();
    assert!(error.contains("queue \"light\" has type Workflow"), "{error}");
    assert!(error.contains("\"lift\" is already registered"), "{error}");
}

#[test]
fn a_version_is_told_with_each_poll_and_each_workflow_task() {
    for (versioning, expected) in [
        (None, "VERSIONING_BEHAVIOR_PINNED"),
        (Some(Versioning::AutoUpgrade), "VERSIONING_BEHAVIOR_AUTO_UPGRADE"),
    ] {
        let frontend = Arc::new(Frontend::default());
        frontend.state().completes_polls = true;
        let mut worker = FleetWorker::from_settings(settings(&[
            ("TEMPORAL_DEPLOYMENT_NAME", "shop.orders"),
            ("TEMPORAL_WORKER_BUILD_ID", "b7"),
            ("TEMPORAL_FLEET_MAX_CACHED_WORKFLOWS", "0"),
        ]))
        .default_queue("q")
        .workflow::<Echo>()
        .activities(Heavy)
        .customise_connection(frontend.customise());
        if let Some(versioning) = versioning {
            worker = worker.versioning(versioning);
        }
        let worker = worker.spawn().expect("started");
        let run = frontend.runs(|runs| runs.start("Echo", Some(json(&"x"))));
        eventually("the workflow ends", || {
            frontend.runs(|runs| runs.all[run].ending.is_some())
        });
        assert_eq!(frontend.runs(|runs| runs.behaviour), expected);
        eventually("activities are polled", || !frontend.state().versions.is_empty());
        let versions: Vec<String> = frontend.state().versions.iter().cloned().collect();
        assert_eq!(versions, ["shop.orders/b7/WORKER_VERSIONING_MODE_VERSIONED"]);
        worker.stop();
        assert_eq!(worker.wait().expect("ended"), Ended::Clean);
    }
}

#[test]
fn a_token_ends_the_worker_as_a_signal_does() {
    let frontend = Arc::new(Frontend::default());
    frontend.state().completes_polls = true;
    let stop = CancellationToken::new();
    let worker = FleetWorker::from_settings(settings(&[]))
        .default_queue("q")
        .activities(Heavy)
        .customise_connection(frontend.customise());
    let stopped = stop.clone();
    let running = std::thread::spawn(move || worker.run_until(&stopped));
    frontend.schedule("lift", 1);
    eventually("it runs", || frontend.state().completed == 1);
    stop.cancel();
    let code = running.join().expect("ended");
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
}
