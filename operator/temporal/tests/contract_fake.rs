//! The contract suite against the fake.
use async_trait::async_trait;
use fleet_core::TaskType;
use fleet_core::autoscale::SlotKind;
use fleet_core::signals::{Heartbeat, HeartbeatSlots};
use fleet_temporal::contract::{self, Arrange};
use fleet_temporal::fake::Fake;
use fleet_temporal::{Endpoint, Scope, system_clock};
use jiff::SignedDuration;

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

    async fn beat(&self, temporal_namespace: &str, queue: &str, identity: &str) {
        let now = system_clock()();
        let heartbeat = Heartbeat {
            instance: "instance".into(),
            identity: identity.to_owned(),
            started: now - SignedDuration::from_mins(1),
            at: now,
            interval: SignedDuration::ZERO,
            ending: false,
            slots: vec![HeartbeatSlots {
                kind: SlotKind::Activity,
                used: 3,
                limit: Some(4),
                processed: 7,
            }],
        };
        self.0.set_workers(temporal_namespace, queue, Some(vec![heartbeat]));
    }
}

#[tokio::test]
async fn the_fake_keeps_the_contract() {
    let scope = Scope {
        kubernetes_namespace: "ns".into(),
        connection: "main".into(),
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
