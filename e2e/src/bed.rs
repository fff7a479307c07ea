//! For tests only: what every test on a real cluster begins with: the operator installed, a fleet of its own in a Kubernetes namespace of
//! its own on a queue of its own, and a way to Temporal. A missing cluster fails the test with the name of the make target.

use std::time::Duration;

use crate::{
    clock,
    fleet::{Access, Fleet, FleetManifest, manifest, operator, operator::OperatorImage, temporal},
    load::{Generator, Outcome, Started, TemporalClient, WorkflowRecord, collect, generator::OnQueue},
};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::{sync::OnceCell, time::Instant};

/// From apply to Ready, with a cold image and a busy machine.
pub const READY: Duration = Duration::from_mins(2);

/// One fleet, ready to be loaded.
#[derive(Debug)]
pub struct Bed {
    /// Its cluster.
    pub access: Access,
    /// The fleet.
    pub fleet: Fleet,
    /// Its Temporal.
    pub temporal: TemporalClient,
    /// Its task queue.
    pub queue: String,
    /// Address of Temporal as pods see it.
    pub address: String,
    _way: temporal::Way,
}

/// The cluster with the operator in it. Installed once by each test program: Helm refuses two upgrades of one release at a time, and
/// tests may run side by side.
pub async fn cluster() -> Result<Access> {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let access = Access::open(None).await?;
    INSTALLED
        .get_or_try_init(async || operator::install(&access, &image(&access), &[]).await)
        .await
        .context("installing the operator")?;
    Ok(access)
}

/// The operator's image for this cluster.
pub fn image(access: &Access) -> OperatorImage {
    let policy = if access.is_local() { "Never" } else { "IfNotPresent" };
    OperatorImage {
        pull_policy: policy.to_owned(),
        ..OperatorImage::default()
    }
}

/// The demo's fleet under another name and on a queue of its own, and Temporal's address as its pods see it.
pub fn manifest_of(name: &str, namespace: &str, queue: &str, change: &Value) -> Result<(Value, String)> {
    manifest_in("examples/demo", name, namespace, queue, change)
}

/// The fleet in a folder of this source tree (`fleet.yaml`), under another name and on a queue of its own.
fn manifest_in(folder: &str, name: &str, namespace: &str, queue: &str, change: &Value) -> Result<(Value, String)> {
    let path = crate::image::catalog::source_tree().join(folder).join("fleet.yaml");
    let address = FleetManifest::read(&path)?.address;
    let text = std::fs::read_to_string(path)?;
    let mut fleet = manifest::parse(&text)?
        .into_iter()
        .next()
        .context("no document in fleet.yaml")?;
    merge(
        &mut fleet,
        &json!({"metadata": {"name": name, "namespace": namespace}, "spec": {"taskQueues": [{"name": queue}]}}),
    );
    merge(&mut fleet, change);
    Ok((fleet, address))
}

impl Bed {
    /// A fresh fleet named after the test; `change` is merged into the demo's manifest.
    pub async fn new(access: Access, test: &str, change: &Value) -> Result<Self> {
        Self::of(access, "examples/demo", test, change).await
    }

    /// The same with the `fleet.yaml` of another folder of this source tree.
    pub async fn of(access: Access, folder: &str, test: &str, change: &Value) -> Result<Self> {
        let namespace = fresh_namespace(&access, test).await?;
        // A queue per run: what an earlier run left behind is not this run's load.
        let queue = format!("{test}-{}", clock::now().as_second());
        let (manifest, address) = manifest_in(folder, test, &namespace, &queue, change)?;
        let fleet = Fleet::named(&access, &namespace, test);
        fleet.delete(Duration::from_mins(2)).await?;
        access.apply(&[manifest]).await?;
        let way = temporal::reach(&access, &address, &namespace).await?;
        let temporal = TemporalClient::connect(&way.address, "default", Duration::from_mins(1)).await?;
        fleet.wait_ready(READY).await?;
        Ok(Self {
            access,
            fleet,
            temporal,
            queue,
            address,
            _way: way,
        })
    }

    /// Load on [`Self::queue`], whose name begins the IDs of its workflows; a start is tried for `patience`.
    pub fn load(&self, patience: Duration) -> Generator {
        let on_queue = OnQueue {
            client: self.temporal.clone(),
            task_queue: self.queue.clone(),
        };
        Generator::new(on_queue, &self.queue, 11, patience)
    }

    /// Waits for every workflow and demands that each completed.
    pub async fn all_completed(&self, started: &[Started], patience: Duration) -> Vec<WorkflowRecord> {
        let records = collect(&self.temporal, started, Instant::now() + patience).await;
        let open: Vec<_> = records
            .iter()
            .filter(|each| each.outcome != Outcome::Completed)
            .map(|each| format!("{} {:?}", each.workflow_id, each.outcome))
            .collect();
        assert!(!records.is_empty(), "nothing was started");
        assert!(
            open.is_empty(),
            "{} of {} did not complete, such as {:?}",
            open.len(),
            records.len(),
            open.first()
        );
        records
    }

    /// Deletes the fleet and its Kubernetes namespace.
    pub async fn end(self) -> Result<()> {
        self.fleet.delete(Duration::from_mins(3)).await?;
        self.access
            .kubectl(&["delete", "namespace", &self.fleet.namespace, "--wait=false"])
            .await?;
        Ok(())
    }
}

/// The Kubernetes namespace of a test, under the strictest Pod Security level. One that an earlier run is still deleting
/// is waited for.
pub async fn fresh_namespace(access: &Access, test: &str) -> Result<String> {
    let name = format!("e2e-{test}");
    let phase = [
        "get",
        "namespace",
        &name,
        "--ignore-not-found",
        "-o",
        "jsonpath={.status.phase}",
    ];
    if access.kubectl(&phase).await? == "Terminating" {
        access
            .kubectl(&["wait", "--for=delete", &format!("namespace/{name}"), "--timeout=2m"])
            .await?;
    }
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    access
        .apply(&[json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})])
        .await?;
    Ok(name)
}

/// Demands that no activity lost an attempt to a timeout or a worker's end.
#[track_caller]
pub fn none_cut_off(records: &[WorkflowRecord]) {
    let cut: Vec<_> = records
        .iter()
        .flat_map(|each| &each.activities)
        .filter(|each| each.was_cut_off())
        .collect();
    assert!(
        cut.is_empty(),
        "{} activities were cut off, such as {:?}",
        cut.len(),
        cut.first()
    );
}

/// RFC 7386, as `kubectl patch --type merge` does.
pub fn merge(into: &mut Value, change: &Value) {
    let Value::Object(change) = change else {
        into.clone_from(change);
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in change {
        if value.is_null() {
            into.as_object_mut().and_then(|object| object.remove(key));
        } else {
            merge(&mut into[key], value);
        }
    }
}
