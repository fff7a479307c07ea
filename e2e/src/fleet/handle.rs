//! One fleet in a cluster: read it, change it, wait for it.

use std::time::Duration;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    access::{Access, answer},
    error::{Error, Result},
    manifest::FleetManifest,
    status::FleetStatus,
};

/// Label of everything that belongs to a fleet.
pub const WORKER_LABEL: &str = "temporal-fleet.dev/worker";
/// Pause between two looks while waiting.
const LOOK: Duration = Duration::from_millis(500);

/// A `TemporalWorker` by name.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// Its cluster.
    pub access: Access,
    /// Its Kubernetes namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What the API server says of a fleet at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetView {
    /// Generation of its spec.
    pub generation: Option<i64>,
    /// Its UID.
    pub uid: Option<String>,
    /// Its status.
    pub status: FleetStatus,
}

impl FleetView {
    /// Whether it is Ready for its present spec.
    pub fn is_ready(&self) -> bool {
        self.status.is_true("Ready", self.generation)
    }

    /// All conditions on one line, for messages.
    pub fn conditions(&self) -> String {
        let list: Vec<_> = self
            .status
            .conditions
            .iter()
            .map(|each| format!("{}={} {} ({})", each.kind, each.status, each.reason, each.message))
            .collect();
        if list.is_empty() {
            "no conditions".to_owned()
        } else {
            list.join("; ")
        }
    }
}

/// Replicas of a fleet's Deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replicas {
    /// Asked for.
    pub desired: u32,
    /// Ready.
    pub ready: u32,
}

impl Fleet {
    /// The fleet of a manifest.
    pub fn of(access: &Access, manifest: &FleetManifest) -> Self {
        Self::named(access, &manifest.namespace, &manifest.name)
    }

    /// A fleet by name.
    pub fn named(access: &Access, namespace: &str, name: &str) -> Self {
        Self {
            access: access.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// `TemporalWorker`s of its Kubernetes namespace.
    pub fn api(&self) -> Api<DynamicObject> {
        let kind = ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk("temporal-fleet.dev", "v1alpha1", "TemporalWorker"),
            "temporalworkers",
        );
        Api::namespaced_with(self.access.client.clone(), &self.namespace, &kind)
    }

    /// Pods of its Kubernetes namespace.
    pub fn pods_api(&self) -> Api<Pod> {
        Api::namespaced(self.access.client.clone(), &self.namespace)
    }

    /// Deployments of its Kubernetes namespace.
    pub fn deployments_api(&self) -> Api<Deployment> {
        Api::namespaced(self.access.client.clone(), &self.namespace)
    }

    /// Selects what belongs to it.
    pub fn selector(&self) -> String {
        format!("{WORKER_LABEL}={}", self.name)
    }

    /// What the API server says of it; `None` if it does not exist.
    pub async fn view(&self) -> Result<Option<FleetView>> {
        let what = format!("read TemporalWorker {}", self.name);
        let object = answer(&what, self.api().get_opt(&self.name)).await?;
        Ok(object.map(|object| FleetView {
            generation: object.metadata.generation,
            uid: object.metadata.uid.clone(),
            status: FleetStatus::read(&object.data),
        }))
    }

    /// Its Deployment; `None` before the operator has made it.
    pub async fn deployment(&self) -> Result<Option<Deployment>> {
        let what = format!("list the Deployments of fleet {}", self.name);
        let params = ListParams::default().labels(&self.selector());
        Ok(answer(&what, self.deployments_api().list(&params))
            .await?
            .items
            .into_iter()
            .next())
    }

    /// Replicas of its Deployment; `None` before the operator has made it.
    pub async fn replicas(&self) -> Result<Option<Replicas>> {
        let count = |value: Option<i32>| u32::try_from(value.unwrap_or(0)).unwrap_or(0);
        Ok(self.deployment().await?.map(|deployment| Replicas {
            desired: count(deployment.spec.as_ref().and_then(|spec| spec.replicas)),
            ready: count(deployment.status.as_ref().and_then(|status| status.ready_replicas)),
        }))
    }

    /// Its pods, those that end among them.
    pub async fn pods(&self) -> Result<Vec<Pod>> {
        let what = format!("list the pods of fleet {}", self.name);
        let params = ListParams::default().labels(&self.selector());
        Ok(answer(&what, self.pods_api().list(&params)).await?.items)
    }

    /// Events about it, newest last, as `reason: note`.
    pub async fn events(&self) -> Result<Vec<String>> {
        let api: Api<k8s_openapi::api::events::v1::Event> =
            Api::namespaced(self.access.client.clone(), &self.namespace);
        let mut events = answer("list events", api.list(&ListParams::default())).await?.items;
        events.retain(|event| {
            event
                .regarding
                .as_ref()
                .is_some_and(|about| about.name.as_deref() == Some(&self.name))
        });
        events.sort_by_key(|event| {
            event
                .event_time
                .as_ref()
                .map(|time| time.0)
                .or(event.creation_timestamp().map(|t| t.0))
        });
        let line = |event: k8s_openapi::api::events::v1::Event| {
            format!(
                "{}: {}",
                event.reason.unwrap_or_default(),
                event.note.unwrap_or_default()
            )
        };
        Ok(events.into_iter().map(line).collect())
    }

    /// Merges a change into its spec or metadata.
    pub async fn patch(&self, change: &Value) -> Result<()> {
        let what = format!("patch TemporalWorker {}", self.name);
        answer(
            &what,
            self.api()
                .patch(&self.name, &PatchParams::default(), &Patch::Merge(change)),
        )
        .await
        .map(drop)
    }

    /// Deletes it and waits until it and its pods are gone; nothing to do if it does not exist.
    pub async fn delete(&self, patience: Duration) -> Result<()> {
        let what = format!("delete TemporalWorker {}", self.name);
        match answer(&what, self.api().delete(&self.name, &DeleteParams::foreground())).await {
            Ok(_) => {}
            Err(Error::Kubernetes { source, .. }) if is_absent(&source) => {}
            Err(error) => return Err(error),
        }
        self.wait("the fleet and its pods to be gone", patience, async || {
            let exists = match self.view().await {
                Ok(view) => view.is_some(),
                // The kind itself may be absent: then so is the fleet.
                Err(Error::Kubernetes { source, .. }) if is_absent(&source) => false,
                Err(error) => return Err(error),
            };
            let pods = self.pods().await?.len();
            if !exists && pods == 0 {
                Ok(Ok(()))
            } else {
                Ok(Err(format!("exists: {exists}, {pods} pods")))
            }
        })
        .await
    }

    /// Waits until it is Ready for its present spec.
    pub async fn wait_ready(&self, patience: Duration) -> Result<FleetView> {
        self.wait("the fleet to be Ready", patience, async || match self.view().await? {
            Some(view) if view.is_ready() => Ok(Ok(view)),
            Some(view) => Ok(Err(view.conditions())),
            None => Ok(Err("it does not exist".to_owned())),
        })
        .await
    }

    /// Waits until its view is as wanted.
    pub async fn wait_view(
        &self,
        what: &str,
        patience: Duration,
        wanted: impl Fn(&FleetView) -> bool,
    ) -> Result<FleetView> {
        self.wait(what, patience, async || match self.view().await? {
            Some(view) if wanted(&view) => Ok(Ok(view)),
            Some(view) => Ok(Err(view.conditions())),
            None => Ok(Err("it does not exist".to_owned())),
        })
        .await
    }

    /// Waits until the replicas of its Deployment are as wanted.
    pub async fn wait_replicas(
        &self,
        what: &str,
        patience: Duration,
        wanted: impl Fn(Replicas) -> bool,
    ) -> Result<Replicas> {
        self.wait(what, patience, async || match self.replicas().await? {
            Some(replicas) if wanted(replicas) => Ok(Ok(replicas)),
            other => Ok(Err(format!("{other:?}"))),
        })
        .await
    }

    /// Looks again and again until `look` finds what it wants, or says for the error what there is instead. An error of
    /// the API server is not the end while there is patience: it may be restarting.
    pub async fn wait<T>(
        &self,
        what: &str,
        patience: Duration,
        look: impl AsyncFn() -> Result<std::result::Result<T, String>>,
    ) -> Result<T> {
        let deadline = Instant::now() + patience;
        loop {
            let now = match look().await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(now)) => now,
                Err(error) => error.to_string(),
            };
            if Instant::now() >= deadline {
                return Err(Error::Timeout {
                    what: what.to_owned(),
                    seconds: patience.as_secs(),
                    now,
                });
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Whether the API server says that there is no such object, or no such kind.
pub fn is_absent(error: &kube::Error) -> bool {
    // Where the kind itself is absent the answer is plain text: no reason, the code alone.
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
