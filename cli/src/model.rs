//! From Kubernetes objects to what is shown: a pure function of one snapshot and a time.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use fleet_crds::{ConditionType, TargetType, TemporalWorker, names};
use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment as KubeDeployment, core::v1::Pod as KubePod};
use kube::ResourceExt as _;

/// What was read of the cluster.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// The fleets asked for.
    pub(crate) workers: Vec<Arc<TemporalWorker>>,
    /// Deployments that carry the label of a fleet.
    pub(crate) deployments: Vec<Arc<KubeDeployment>>,
    /// Pods that carry the label of a fleet.
    pub(crate) pods: Vec<Arc<KubePod>>,
    /// Cores in use by (Kubernetes namespace, pod, container); empty without a metrics API.
    pub(crate) cores: HashMap<(String, String, String), f64>,
}

/// One fleet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fleet {
    /// Kubernetes namespace.
    pub(crate) namespace: String,
    /// Name of the `TemporalWorker`.
    pub(crate) name: String,
    /// `Ready`, `NotReady` or `Unknown`.
    pub(crate) state: &'static str,
    /// Why, when it is not simply ready.
    pub(crate) because: Option<String>,
    /// Schedule-to-start as measured and its objective, in the operator's words.
    pub(crate) latency: Option<(String, String)>,
    /// Pods that should be.
    pub(crate) desired: Option<i32>,
    /// Bounds of the autoscaler in mode Auto; a fixed size has none.
    pub(crate) bounds: Option<(i32, i32)>,
    /// Tasks that wait at the server.
    pub(crate) backlog: Option<i64>,
    /// Temporal namespace.
    pub(crate) temporal_namespace: String,
    /// Name of the connection, or the inline address.
    pub(crate) connection: String,
    /// Its Deployments by name.
    pub(crate) deployments: Vec<Deployment>,
    /// Pods that drain outside any Deployment.
    pub(crate) quarantined: Vec<Pod>,
}

/// One Deployment of a fleet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Deployment {
    /// Its name.
    pub(crate) name: String,
    /// Ready pods.
    pub(crate) ready: i32,
    /// Pods asked for.
    pub(crate) desired: i32,
    /// Its pods: those that need attention first, then by name.
    pub(crate) pods: Vec<Pod>,
}

/// One pod.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pod {
    /// Its name.
    pub(crate) name: String,
    /// `Ready`, `Starting`, `Draining`, or the reason why its container waits.
    pub(crate) state: String,
    /// CPU in use.
    pub(crate) cpu: Option<Cpu>,
    /// Restarts of the worker's container.
    pub(crate) restarts: i32,
    /// Seconds since it was created, or since its drain began.
    pub(crate) seconds: i64,
    /// Marked to be taken first at the next scale-in.
    pub(crate) next_to_go: bool,
}

/// CPU in use by the worker's container.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cpu {
    /// Share of its limit, or of its request if it has no limit.
    Share(f64),
    /// Cores, when it has neither.
    Cores(f64),
}

/// The fleets of a snapshot by Kubernetes namespace and name.
pub(crate) fn fleets(snapshot: &Snapshot, now: Timestamp) -> Vec<Fleet> {
    let mut fleets: Vec<Fleet> = snapshot
        .workers
        .iter()
        .map(|worker| fleet(worker, snapshot, now))
        .collect();
    fleets.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    fleets
}

fn fleet(worker: &TemporalWorker, snapshot: &Snapshot, now: Timestamp) -> Fleet {
    let (namespace, name) = (worker.namespace().unwrap_or_default(), worker.name_any());
    let status = worker.status.clone().unwrap_or_default();
    let (state, because) = readiness(worker);
    let auto = worker
        .spec
        .autoscaling
        .as_ref()
        .filter(|scaling| scaling.mode.as_str() == "Auto");
    let connection = worker
        .spec
        .connection_ref
        .as_ref()
        .map(|reference| reference.name.clone());
    let inline = worker
        .spec
        .connection
        .as_ref()
        .map(|connection| connection.address.clone());

    let mut pods: Vec<&Arc<KubePod>> = snapshot
        .pods
        .iter()
        .filter(|pod| {
            pod.namespace().as_ref() == Some(&namespace) && pod.labels().get(names::LABEL_WORKER) == Some(&name)
        })
        .collect();
    let mut deployments: Vec<Deployment> = Vec::new();
    for deployment in &snapshot.deployments {
        let owned = deployment
            .owner_references()
            .iter()
            .any(|owner| Some(&owner.uid) == worker.metadata.uid.as_ref());
        if !owned || deployment.namespace().as_ref() != Some(&namespace) {
            continue;
        }
        let (own, others): (Vec<_>, Vec<_>) = pods.into_iter().partition(|pod| selects(deployment, pod));
        pods = others;
        deployments.push(Deployment {
            name: deployment.name_any(),
            ready: deployment
                .status
                .as_ref()
                .and_then(|status| status.ready_replicas)
                .unwrap_or(0),
            desired: deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1),
            pods: sorted(own.into_iter().map(|pod| self::pod(pod, snapshot, now)).collect()),
        });
    }
    deployments.sort_by(|a, b| a.name.cmp(&b.name));
    Fleet {
        state,
        because,
        latency: status
            .autoscaling
            .iter()
            .flat_map(|scaling| &scaling.targets)
            .find_map(|target| {
                (target.type_ == TargetType::ScheduleToStart).then(|| (target.current.clone(), target.target.clone()))
            }),
        desired: status.desired_replicas,
        bounds: auto.map(|scaling| (scaling.min_replicas, scaling.max_replicas)),
        backlog: status.backlog,
        temporal_namespace: worker.spec.temporal_namespace.clone(),
        connection: connection.or(inline).unwrap_or_default(),
        deployments,
        quarantined: sorted(pods.into_iter().map(|pod| self::pod(pod, snapshot, now)).collect()),
        namespace,
        name,
    }
}

/// The condition Ready in one word, with reason and message where a reader needs them.
fn readiness(worker: &TemporalWorker) -> (&'static str, Option<String>) {
    let conditions = worker
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    let find = |wanted: ConditionType| conditions.iter().find(|condition| condition.type_ == wanted.as_str());
    let words = |condition: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        if condition.message.is_empty() {
            condition.reason.clone()
        } else {
            format!("{}: {}", condition.reason, condition.message)
        }
    };
    let stale = worker.status.as_ref().and_then(|status| status.observed_generation) != worker.metadata.generation;
    match find(ConditionType::Ready) {
        Some(ready) if ready.status == "True" => {
            let note = if stale {
                Some("the last change is not carried out yet".to_owned())
            } else {
                None
            };
            (
                "Ready",
                note.or_else(|| (ready.reason == "ScaledToZero").then(|| ready.reason.clone())),
            )
        }
        Some(ready) if ready.status == "False" => {
            // Stalled names what a person has to do; Ready merely points at it.
            let stalled = find(ConditionType::Stalled).filter(|stalled| stalled.status == "True");
            ("NotReady", Some(words(stalled.unwrap_or(ready))))
        }
        Some(unknown) => ("Unknown", Some(words(unknown))),
        None => ("Unknown", Some("no operator has looked at it yet".to_owned())),
    }
}

fn selects(deployment: &KubeDeployment, pod: &KubePod) -> bool {
    let selector = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.selector.match_labels.as_ref());
    let labels = pod.labels();
    selector.is_some_and(|selector: &BTreeMap<String, String>| {
        selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    })
}

fn sorted(mut pods: Vec<Pod>) -> Vec<Pod> {
    pods.sort_by(|a, b| (a.calm(), &a.name).cmp(&(b.calm(), &b.name)));
    pods
}

impl Pod {
    /// Nothing about this pod needs attention.
    fn calm(&self) -> bool {
        self.state == "Ready" && !self.next_to_go
    }
}

fn pod(pod: &KubePod, snapshot: &Snapshot, now: Timestamp) -> Pod {
    let status = pod.status.clone().unwrap_or_default();
    let container = status
        .container_statuses
        .iter()
        .flatten()
        .find(|status| status.name == names::WORKER_CONTAINER);
    let waits = container
        .and_then(|status| status.state.as_ref())
        .and_then(|state| state.waiting.as_ref());
    let ready = status
        .conditions
        .iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    // Kubernetes stamps the end of the grace period, not the beginning of the deletion.
    let drains_since = pod.metadata.deletion_timestamp.as_ref().map(|end| {
        let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
        end.0.as_second().saturating_sub(grace)
    });
    let state = if drains_since.is_some()
        || pod
            .labels()
            .get(names::LABEL_QUARANTINED)
            .is_some_and(|on| on == "true")
    {
        "Draining".to_owned()
    } else if let Some(reason) = waits
        .and_then(|waiting| waiting.reason.clone())
        .filter(|reason| reason != "ContainerCreating")
    {
        reason
    } else if ready {
        "Ready".to_owned()
    } else {
        match status.phase.as_deref() {
            Some("Running" | "Pending") | None => "Starting".to_owned(),
            Some(phase) => phase.to_owned(),
        }
    };
    let since = drains_since.or_else(|| pod.metadata.creation_timestamp.as_ref().map(|time| time.0.as_second()));
    Pod {
        state,
        cpu: cpu(pod, snapshot),
        restarts: container.map_or(0, |status| status.restart_count),
        seconds: since.map_or(0, |since| now.as_second().saturating_sub(since).max(0)),
        next_to_go: pod
            .annotations()
            .get(names::ANNOTATION_POD_DELETION_COST)
            .and_then(|cost| cost.parse::<i64>().ok())
            .is_some_and(|cost| cost < 0),
        name: pod.name_any(),
    }
}

fn cpu(pod: &KubePod, snapshot: &Snapshot) -> Option<Cpu> {
    let key = (pod.namespace()?, pod.name_any(), names::WORKER_CONTAINER.to_owned());
    let used = *snapshot.cores.get(&key)?;
    let container = pod
        .spec
        .as_ref()?
        .containers
        .iter()
        .find(|container| container.name == names::WORKER_CONTAINER)?;
    let resources = container.resources.as_ref();
    let of = |list: Option<&BTreeMap<String, _>>| list.and_then(|list| list.get("cpu")).and_then(quantity);
    let room = of(resources.and_then(|all| all.limits.as_ref()))
        .or_else(|| of(resources.and_then(|all| all.requests.as_ref())));
    Some(
        room.filter(|room| *room > 0.0)
            .map_or(Cpu::Cores(used), |room| Cpu::Share(used / room)),
    )
}

fn quantity(quantity: &k8s_openapi::apimachinery::pkg::api::resource::Quantity) -> Option<f64> {
    cores(&quantity.0)
}

/// Cores from a quantity of CPU: `250m`, `1.5`, `812345n`, `3k`. `None` if it is none.
pub(crate) fn cores(text: &str) -> Option<f64> {
    let (number, factor) = match text.char_indices().last()? {
        (at, 'n') => (&text[..at], 1e-9),
        (at, 'u') => (&text[..at], 1e-6),
        (at, 'm') => (&text[..at], 1e-3),
        (at, 'k') => (&text[..at], 1e3),
        _ => (text, 1.0),
    };
    number
        .parse::<f64>()
        .ok()
        .filter(|number| number.is_finite() && *number >= 0.0)
        .map(|number| number * factor)
}
