//! Real SDK Workers on a frontend within the process: readiness, reports, credentials, and an ending that loses nothing.

use std::{sync::Arc, time::Instant};

use fleet_proto::v1::TaskType;
use fleet_worker::{Ended, FleetWorker};
use tonic::Code;

use crate::{
    control::{Operator, control_dir},
    fake::Frontend,
    support::{Activities, GO_ON, eventually, get, settings, spawn},
};

#[test]
fn a_pod_becomes_ready_and_reports_what_runs() {
    let frontend = Arc::new(Frontend::default());
    frontend.state().no_namespace = true;
    frontend.state().completes_polls = true;
    let (directory, certificate) = control_dir("report");
    let mut settings = settings(&[("TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES", "2"), ("POD_NAME", "p")]);
    settings.control_dir = Some(directory.clone());
    let worker = spawn(&frontend, settings);
    let ports = worker.ports();

    eventually("the reason is told", || {
        get(ports.health, "/readyz").1.contains("\"default\" does not exist")
    });
    assert_eq!(get(ports.health, "/readyz").0, 503);
    frontend.state().no_namespace = false;
    eventually("ready", || get(ports.health, "/readyz").0 == 200);
    assert_eq!(get(ports.health, "/livez").0, 200);

    let operator = Operator::new(ports.control, &certificate, "the-token");
    frontend.schedule("waits", 3);
    eventually("both slots are used", || {
        operator.report().is_ok_and(|report| report.inflight.len() == 2)
    });
    let began = Instant::now();
    let full = operator.report().expect("a report");
    assert!(began.elapsed().as_millis() < 1_000, "slow: {:?}", began.elapsed());
    let slots = full
        .slots
        .iter()
        .find(|slots| slots.r#type() == TaskType::Activity)
        .expect("activity slots");
    assert_eq!((slots.used, slots.limit, slots.completions), (2, Some(2), 0));
    assert_eq!(
        (full.inflight[0].name.as_str(), full.inflight[0].r#type()),
        ("waits", TaskType::Activity)
    );
    assert!(full.identity.starts_with("p/") && full.reloads_credentials && !full.draining);
    let queue = full.queues.first().expect("a queue");
    assert!(queue.polled && queue.name == "q");
    let histogram = queue.schedule_to_start.as_ref().expect("a histogram");
    assert_eq!(histogram.counts.len(), histogram.bounds_ms.len() + 1);
    assert_eq!(histogram.counts.iter().sum::<u64>(), 2);
    let refused = Operator::new(ports.control, &certificate, "another")
        .report()
        .expect_err("a wrong token");
    assert_eq!(refused.code(), Code::Unauthenticated);

    GO_ON.add_permits(3);
    eventually("all three are completed", || frontend.state().completed == 3);
    let after = operator.report().expect("a report");
    let slots = after
        .slots
        .iter()
        .find(|slots| slots.r#type() == TaskType::Activity)
        .expect("activity slots");
    assert!(slots.busy_slot_ms > 0);
    let scrape = get(ports.metrics, "/metrics").1;
    assert!(
        scrape.contains("temporal_activity_schedule_to_start_latency_bucket"),
        "{scrape}"
    );
    assert!(
        scrape.contains("temporal_fleet_runtime_inflight{task_type=\"Activity\"} 0"),
        "{scrape}"
    );

    worker.stop();
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn an_ending_under_load_loses_no_task_whatever_the_server_can() {
    for completes_polls in [true, false] {
        let frontend = Arc::new(Frontend::default());
        frontend.state().completes_polls = completes_polls;
        let worker = spawn(
            &frontend,
            settings(&[("TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES", "8")]),
        );
        frontend.schedule("quick", 2_000);
        eventually("tasks flow", || frontend.state().completed > 50);
        worker.stop();
        assert_eq!(worker.wait().expect("ended"), Ended::Clean);
        let state = frontend.state();
        assert!(!state.waiting.is_empty(), "the load ended before the worker");
        assert_eq!(
            (state.lost, state.failed.len()),
            (0, 0),
            "completes_polls: {completes_polls}"
        );
        assert_eq!(state.completed, state.handed_out, "completes_polls: {completes_polls}");
    }
}

#[test]
fn running_tasks_finish_and_late_ones_are_handed_back() {
    let frontend = Arc::new(Frontend::default());
    frontend.state().completes_polls = true;
    let mut settings = settings(&[]);
    settings.graceful_shutdown = std::time::Duration::from_millis(300);
    let worker = spawn(&frontend, settings);
    frontend.schedule("until_cancelled", 1);
    let health = worker.ports().health;
    let metrics = worker.ports().metrics;
    eventually("it runs", || {
        get(metrics, "/metrics")
            .1
            .contains("inflight{task_type=\"Activity\"} 1")
    });
    worker.stop();
    eventually("not ready while it ends", || {
        get(health, "/readyz").1.contains("draining")
    });
    assert!(
        fleet_worker::shutdown_token().is_cancelled(),
        "activities are told before they are cancelled"
    );
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
    let state = frontend.state();
    assert_eq!(
        state.failed.len(),
        1,
        "a retryable failure, not a cancellation that the workflow never asked for"
    );
    let failure = format!("{:?}", state.failed[0]);
    assert!(failure.contains("WorkerShutdown"), "{failure}");
}

#[test]
fn a_new_api_key_is_used_without_a_restart_and_a_bad_file_changes_nothing() {
    let frontend = Arc::new(Frontend::default());
    frontend.state().completes_polls = true;
    let file = std::env::temp_dir().join(format!("fleet-worker-key-{}", std::process::id()));
    std::fs::write(&file, "first\n").expect("written");
    let mut settings = settings(&[]);
    settings.api_key_file = Some(file.clone());
    let worker = spawn(&frontend, settings);
    let metrics = worker.ports().metrics;
    eventually("the first key is used", || {
        frontend.state().api_key.as_deref() == Some("first")
    });
    std::fs::write(&file, "\n").expect("written");
    eventually("the bad file is counted", || {
        get(metrics, "/metrics").1.contains("outcome=\"rejected\"} 1")
    });
    assert_eq!(frontend.state().api_key.as_deref(), Some("first"));
    std::fs::write(&file, "second\n").expect("written");
    eventually("the second key is used", || {
        frontend.state().api_key.as_deref() == Some("second")
    });
    worker.stop();
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
    let _ = std::fs::remove_file(file);
}

#[test]
fn what_does_not_fit_is_reported_together() {
    let mut settings = settings(&[(
        "TEMPORAL_FLEET_TASK_QUEUES",
        r#"[{"name":"a","types":["Workflow"]},{"name":"b"}]"#,
    )]);
    settings.options.max_concurrent_activities = 0;
    let error = FleetWorker::from_settings(settings)
        .activities(Activities)
        .spawn()
        .expect_err("refused")
        .to_string();
    assert!(
        error.contains("queue \"a\" has type Workflow, for which nothing is registered"),
        "{error}"
    );
    assert!(
        error.contains("TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES: 0 slots are too few"),
        "{error}"
    );
}
