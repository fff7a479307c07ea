//! Observation: one snapshot per pass. The clock is read here. A source that failed is `Unknown`, never an error and never
//! empty.

use std::sync::Arc;

use fleet_autoscale::Seen;
use fleet_core::{Memory, PodView, Reason, Rival};
use fleet_crds::{TemporalWorker, names};
use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Resource, ResourceExt};

use crate::claims;
use crate::connection::{self, Owner, Problem, Resolved};
use crate::context::{Context, FleetState};
use crate::k8s::read;
use crate::rivals;
use crate::signals::heartbeat::Place;
use crate::signals::sources::Fleet;
use crate::stores::Stores;

use super::pods;

/// Everything one pass may know.
pub struct Observed {
    /// When.
    pub now: Timestamp,
    /// The fleet's connection, or why it cannot be used.
    pub connection: Result<Resolved, Problem>,
    /// An older fleet on the same queue.
    pub claimed_by: Option<String>,
    /// An older fleet with another rate limit for the same queue.
    pub rate_claimed_by: Option<String>,
    /// Another autoscaler that aims at this fleet.
    pub rival: Option<Rival>,
    /// The Deployment of our name.
    pub deployment: Seen<Option<Arc<Deployment>>>,
    /// The disruption budget of our name.
    pub budget: Seen<Option<Arc<PodDisruptionBudget>>>,
    /// The `WorkerControl` Secret of our name.
    pub control_secret: Seen<Option<Arc<Secret>>>,
    /// The fleet's pods, with their signals.
    pub pods: Seen<Vec<PodView>>,
    /// What earlier passes left.
    pub state: FleetState,
    /// The planner's memory.
    pub memory: Memory,
}

/// Observes one fleet.
pub async fn observe(ctx: &Context, stores: &Stores, worker: &TemporalWorker) -> Observed {
    let now = (ctx.now)();
    let namespace = worker.namespace().unwrap_or_default();
    let name = worker.name_any();
    let uid = worker.uid().unwrap_or_default();
    let state = ctx.fleets.get(&uid);
    let memory = state.memory.clone().unwrap_or_else(|| persisted(worker));
    let control_name = names::control_secret(&name);
    let (connection, deployment, budget, control_secret) = futures::join!(
        connection(ctx, worker, &namespace, &uid, now),
        child(ctx, &stores.deployments, &namespace, &name),
        child(ctx, &stores.budgets, &namespace, &name),
        async { Seen::from(ctx.secrets.get(&namespace, &control_name).await) },
    );
    let fleet = Fleet {
        name: &name,
        control: control_secret.known().and_then(Option::as_ref),
        metrics_port: u16::try_from(worker.spec.metrics.port).unwrap_or_default(),
        place: connection.as_ref().ok().map(|resolved| Place {
            fleet: &uid,
            endpoint: &resolved.endpoint,
            temporal_namespace: &worker.spec.temporal_namespace,
            queues: worker
                .spec
                .task_queues
                .iter()
                .map(|queue| queue.name.as_str())
                .collect(),
        }),
    };
    let pods = pods(ctx, stores, &namespace, &uid, &fleet, now).await;
    Observed {
        now,
        connection,
        claimed_by: claims::claimed_by(&ctx.scopes, worker),
        rate_claimed_by: claims::rate_claimed_by(&ctx.scopes, worker),
        rival: rivals::of(&stores.autoscalers.state(), worker),
        deployment,
        budget,
        control_secret,
        pods,
        state,
        memory,
    }
}

/// The memory in the status; a fresh one if there is none or it cannot be read (an older or newer operator wrote it).
fn persisted(worker: &TemporalWorker) -> Memory {
    let text = worker.status.as_ref().and_then(|status| status.memory.as_deref());
    text.and_then(|text| {
        serde_json::from_str(text)
            .inspect_err(|error| tracing::warn!(%error, "the memory in the status cannot be read; starting afresh"))
            .ok()
    })
    .unwrap_or_default()
}

async fn connection(
    ctx: &Context,
    worker: &TemporalWorker,
    namespace: &str,
    uid: &str,
    now: Timestamp,
) -> Result<Resolved, Problem> {
    if let Some(inline) = &worker.spec.connection {
        let name = worker.name_any();
        let owner = Owner { name: &name, uid };
        return connection::resolve(&ctx.secrets, namespace, owner, inline, now).await;
    }
    let name = worker
        .spec
        .connection_ref
        .as_ref()
        .map(|reference| reference.name.as_str())
        .unwrap_or_default();
    let Some(found) = claims::connection(&ctx.scopes, namespace, name) else {
        let message = format!(
            "TemporalConnection {name} not found in Kubernetes namespace {namespace}: create it, or mend spec.connectionRef.name"
        );
        return Err(Problem::stalled(Reason::ConnectionNotFound, message));
    };
    let uid = found.uid().unwrap_or_default();
    let owner = Owner { name, uid: &uid };
    connection::resolve(&ctx.secrets, namespace, owner, &found.spec, now).await
}

/// The object of that name: from the watch, or, if the watch has none, from the server. The watch sees objects with our label
/// only; what stands in our way may carry none.
async fn child<K>(ctx: &Context, store: &Store<K>, namespace: &str, name: &str) -> Seen<Option<Arc<K>>>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + 'static,
{
    if let Some(found) = store.get(&ObjectRef::new(name).within(namespace)) {
        return Seen::Known(Some(found));
    }
    let api: Api<K> = Api::namespaced(ctx.client(), namespace);
    read::get(&ctx.cluster, &api, name)
        .await
        .map(|found| found.map(Arc::new))
        .into()
}

async fn pods(
    ctx: &Context,
    stores: &Stores,
    namespace: &str,
    uid: &str,
    fleet: &Fleet<'_>,
    now: Timestamp,
) -> Seen<Vec<PodView>> {
    let mine: Vec<Arc<Pod>> = stores
        .pods
        .state()
        .into_iter()
        .filter(|pod| {
            pod.namespace().as_deref() == Some(namespace)
                && pod
                    .labels()
                    .get(names::LABEL_WORKER)
                    .is_some_and(|label| label == fleet.name)
                && pods::belongs(pod, fleet.name, uid)
        })
        .collect();
    let mut views = join_all(mine.iter().map(|pod| async {
        let (report, never_reported) = ctx.sources.of(pod, fleet, now).await;
        let name = pod.name_any();
        let (cpu, memory) = (
            ctx.resources.cpu(namespace, &name),
            ctx.resources.memory(namespace, &name),
        );
        pods::view(
            pod,
            pods::Signals {
                report,
                never_reported,
                cpu,
                memory,
            },
            now,
        )
    }))
    .await;
    views.sort_by(|a, b| (a.created, &a.uid).cmp(&(b.created, &b.uid)));
    Seen::Known(views)
}
