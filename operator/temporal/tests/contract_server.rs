//! The contract suite against a real server, named by the environment: `TEMPORAL_TEST_ADDRESS` (`host:port`, plain text) and
//! optionally `TEMPORAL_TEST_NAMESPACE` (`default`). Runs only when it is named, which `make test` does
//! once it has a server; whoever names it and has none gets a failure.
use std::time::Duration;

use async_trait::async_trait;
use fleet_temporal::contract::{self, Arrange};
use fleet_temporal::{AddressPolicy, Client, ClientSettings, Endpoint, Scope, system_clock};
use temporalio_common::protos::temporal::api::common::v1::WorkflowType;
use temporalio_common::protos::temporal::api::taskqueue::v1::TaskQueue;
use temporalio_common::protos::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    PollWorkflowTaskQueueRequest, RecordWorkerHeartbeatRequest, StartWorkflowExecutionRequest,
};
use temporalio_common::protos::temporal::api::{
    enums::v1::WorkerStatus,
    worker::v1::{WorkerHeartbeat, WorkerSlotsInfo},
};
use tonic::transport::Channel;

struct Server(WorkflowServiceClient<Channel>);

#[async_trait]
impl Arrange for Server {
    async fn enqueue(&self, temporal_namespace: &str, queue: &str, tasks: u64) {
        for number in 0..tasks {
            let request = StartWorkflowExecutionRequest {
                namespace: temporal_namespace.to_owned(),
                workflow_id: format!("{queue}-{number}"),
                request_id: format!("{queue}-{number}"),
                workflow_type: Some(WorkflowType {
                    name: "Contract".into(),
                }),
                task_queue: Some(TaskQueue {
                    name: queue.to_owned(),
                    ..Default::default()
                }),
                ..Default::default()
            };
            self.0
                .clone()
                .start_workflow_execution(request)
                .await
                .expect("a workflow starts");
        }
    }

    async fn poll(&self, temporal_namespace: &str, queue: &str, identity: &str) {
        let request = PollWorkflowTaskQueueRequest {
            namespace: temporal_namespace.to_owned(),
            task_queue: Some(TaskQueue {
                name: queue.to_owned(),
                ..Default::default()
            }),
            identity: identity.to_owned(),
            ..Default::default()
        };
        // A long poll on an empty queue: it is enough that it arrived. Servers refuse one without a deadline.
        let mut request = tonic::Request::new(request);
        request.set_timeout(Duration::from_mins(1));
        let poll = self.0.clone();
        let poll = async move { poll.clone().poll_workflow_task_queue(request).await };
        if let Ok(answer) = tokio::time::timeout(Duration::from_secs(5), poll).await {
            answer.expect("the poll is taken");
        }
    }

    async fn beat(&self, temporal_namespace: &str, queue: &str, identity: &str) {
        let now = system_clock()().as_second();
        let mut heartbeat = WorkerHeartbeat {
            worker_instance_key: queue.to_owned(),
            worker_identity: identity.to_owned(),
            task_queue: queue.to_owned(),
            activity_task_slots_info: Some(WorkerSlotsInfo {
                current_available_slots: 1,
                current_used_slots: 3,
                slot_supplier_kind: "Fixed".into(),
                total_processed_tasks: 7,
                ..Default::default()
            }),
            ..Default::default()
        };
        heartbeat.set_status(WorkerStatus::Running);
        heartbeat.start_time.get_or_insert_default().seconds = now - 60;
        heartbeat.heartbeat_time.get_or_insert_default().seconds = now;
        let request = RecordWorkerHeartbeatRequest {
            namespace: temporal_namespace.to_owned(),
            identity: identity.to_owned(),
            worker_heartbeat: vec![heartbeat],
            ..Default::default()
        };
        let answer = self.0.clone().record_worker_heartbeat(request).await;
        answer.expect("the heartbeat is taken");
    }
}

#[tokio::test]
async fn a_real_server_keeps_the_contract() -> anyhow::Result<()> {
    let address = std::env::var("TEMPORAL_TEST_ADDRESS")
        .map_err(|_| anyhow::anyhow!("TEMPORAL_TEST_ADDRESS is not set; `make test` starts a server and sets it"))?;
    let namespace = std::env::var("TEMPORAL_TEST_NAMESPACE").unwrap_or_else(|_| "default".into());
    let unique = system_clock()().as_nanosecond().to_string();
    let arrange = Server(WorkflowServiceClient::connect(format!("http://{address}")).await?);
    let settings = ClientSettings {
        addresses: AddressPolicy {
            allow_loopback: true,
            denied: Vec::new(),
        },
        ..ClientSettings::new("contract")
    };
    let scope = Scope {
        kubernetes_namespace: "ns".into(),
        connection: "main".into(),
        connection_uid: "uid".into(),
        secrets: Vec::new(),
    };
    let client = Client::new(settings, system_clock());
    contract::run(&client, &arrange, &Endpoint::new(scope, address), &namespace, &unique).await;
    Ok(())
}
