//! The watchdog on real SDK Workers, with limits of fractions of a second.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use fleet_worker::{Ended, FleetWorker, WorkerHandle};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{WorkflowContext, WorkflowResult};

use crate::{
    fake::Frontend,
    history::json,
    support::{Activities, eventually, get, settings},
};

/// Whether the workflow may go on.
static GO_ON: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

#[workflow]
#[derive(Default)]
pub(crate) struct Blocks;

#[workflow_methods]
impl Blocks {
    /// What no workflow should do: waits for something else than Temporal, and holds its thread.
    #[run(name = "Blocks")]
    pub(crate) async fn run(_: &mut WorkflowContext<Self>, word: String) -> WorkflowResult<String> {
        let (may, changed) = &GO_ON;
        let guard = may.lock().expect("no panic");
        drop(changed.wait_while(guard, |may| !*may).expect("no panic"));
        Ok(word)
    }
}

fn start(frontend: &Arc<Frontend>) -> WorkerHandle {
    let mut settings = settings(&[]);
    settings.watchdog.tell_after = Duration::from_millis(300);
    settings.watchdog.stuck_after = Duration::from_secs(2);
    settings.watchdog.silent_after = Duration::from_secs(2);
    FleetWorker::from_settings(settings)
        .default_queue("q")
        .workflow::<Blocks>()
        .activities(Activities)
        .customise_connection(frontend.customise())
        .spawn()
        .expect("started")
}

#[test]
fn workflow_code_that_blocks_its_thread_is_named_and_activities_go_on() {
    let frontend = Arc::new(Frontend::default());
    let worker = start(&frontend);
    let ports = worker.ports();
    eventually("ready", || get(ports.health, "/readyz").0 == 200);
    frontend.runs(|runs| runs.start("Blocks", Some(json(&"done"))));
    eventually("it is named", || {
        let (status, reason) = get(ports.health, "/livez");
        let run = "in code of workflow \"Blocks\" (run run-0)";
        status == 503 && reason.starts_with("worker thread Workflow:q has not moved for") && reason.contains(run)
    });
    let stall = || -> f64 {
        let page = get(ports.metrics, "/metrics").1;
        let name = "temporal_fleet_runtime_workflow_thread_stall_seconds{thread=\"Workflow:q\"} ";
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        line.expect("the gauge").parse().expect("a number")
    };
    assert!(stall() > 2.0);
    frontend.schedule("quick", 10);
    eventually("activities run beside it", || frontend.state().completed == 10);

    *GO_ON.0.lock().expect("no panic") = true;
    GO_ON.1.notify_all();
    eventually("live again", || get(ports.health, "/livez").0 == 200);
    eventually("its task was completed", || {
        frontend.runs(|runs| runs.all[0].result()).as_deref() == Some("\"done\"")
    });
    worker.stop();
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
}

#[test]
fn a_server_that_never_answers_is_noticed_when_slots_are_free() {
    let frontend = Arc::new(Frontend::default());
    let worker = start(&frontend);
    let health = worker.ports().health;
    eventually("ready", || get(health, "/readyz").0 == 200);
    // As if polling had stopped: no call ends, and none begins.
    frontend.state().silent = true;
    eventually("silence is noticed", || {
        let (status, reason) = get(health, "/livez");
        status == 503 && reason.contains("no call to Temporal has ended")
    });
    assert_eq!(get(health, "/readyz").0, 200, "not a reason to lose readiness");
    frontend.state().silent = false;
    frontend.runs(|_| ());
    worker.stop();
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
}
