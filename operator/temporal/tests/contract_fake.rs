//! The contract suite against the fake.
use async_trait::async_trait;
use fleet_core::TaskType;
use fleet_temporal::contract::{self, Arrange};
use fleet_temporal::fake::Fake;
use fleet_temporal::{Endpoint, Scope, system_clock};

struct Script(Fake);

#[async_trait]
impl Arrange for Script {
    async fn enqueue(&self, temporal_namespace: &str, queue: &str, tasks: u64) {
        self.0
            .set_backlog(temporal_namespace, queue, TaskType::Workflow, tasks, 2.0);
    }

    async fn poll(&self, temporal_namespace: &str, queue: &str, identity: &str) {
        self.0.poll(
            temporal_namespace,
            queue,
            TaskType::Workflow,
            identity,
            system_clock()(),
        );
    }
}

#[tokio::test]
async fn the_fake_keeps_the_contract() {
    let scope = Scope {
        kubernetes_namespace: "ns".into(),
        connection_uid: "uid".into(),
        secrets: Vec::new(),
    };
    let fake = Fake::default();
    contract::run(
        &fake,
        &Script(fake.clone()),
        &Endpoint::new(scope, "fake:7233"),
        "default",
        "1",
    )
    .await;
}
