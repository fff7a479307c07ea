//! `fleet_worker::client()` within activities: connected as the worker is, with the key of the moment.

use std::{process::Command, sync::Arc};

use fleet_worker::{Ended, FleetWorker};
use temporalio_client::grpc::WorkflowService;
use temporalio_common::protos::temporal::api::workflowservice::v1::SignalWorkflowExecutionRequest;
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tonic::Request;

use crate::{
    fake::Frontend,
    support::{eventually, get, settings},
};

struct Signals;

#[activities]
impl Signals {
    #[activity(name = "signals_another")]
    async fn signals_another(_: ActivityContext) -> Result<(), ActivityError> {
        let mut client = fleet_worker::client()?;
        let request = SignalWorkflowExecutionRequest {
            namespace: client.options().namespace.clone(),
            signal_name: "go on".to_owned(),
            ..Default::default()
        };
        client.signal_workflow_execution(Request::new(request)).await?;
        Ok(())
    }
}

#[test]
fn activities_have_a_client_that_follows_the_credentials() {
    // One worker in a process is what `client` is for; beside this test others run.
    let output = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "client::alone", "--ignored", "--test-threads=1"])
        .output()
        .expect("a child");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "run by the other test, in a process of its own"]
fn alone() {
    assert!(fleet_worker::client().is_err(), "nobody is connected");
    let frontend = Arc::new(Frontend::default());
    frontend.state().completes_polls = true;
    let file = std::env::temp_dir().join(format!("fleet-worker-client-key-{}", std::process::id()));
    std::fs::write(&file, "first\n").expect("written");
    let mut settings = settings(&[]);
    settings.api_key_file = Some(file.clone());
    let worker = FleetWorker::from_settings(settings)
        .default_queue("q")
        .activities(Signals)
        .customise_connection(frontend.customise())
        .spawn()
        .expect("started");
    frontend.schedule("signals_another", 1);
    eventually("a signal is sent", || frontend.state().completed == 1);
    std::fs::write(&file, "second\n").expect("written");
    let used = "temporal_fleet_runtime_credential_reloads_total{outcome=\"used\"} 1";
    eventually("the new key is in use", || {
        get(worker.ports().metrics, "/metrics").1.contains(used)
    });
    frontend.schedule("signals_another", 1);
    eventually("another signal is sent", || frontend.state().completed == 2);
    let keys = frontend.state().signals.clone();
    assert_eq!(keys, [Some("first".to_owned()), Some("second".to_owned())]);
    worker.stop();
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
    eventually("it has ended", || fleet_worker::client().is_err());
    let _ = std::fs::remove_file(file);
}
