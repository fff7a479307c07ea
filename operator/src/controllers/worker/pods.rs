//! Pods as the planner sees them.

use fleet_autoscale::Seen;
use fleet_core::rules::scale::VICTIM_COST;
use fleet_core::{PodView, Reason, Trouble, WorkerReport};
use fleet_crds::names;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;

use crate::k8s::quantity;

/// What signals say about a pod.
pub struct Signals {
    /// Its own report.
    pub report: Seen<WorkerReport>,
    /// It refuses connections on the control port and never answered one.
    pub never_reported: bool,
    /// CPU by the metrics API [cores].
    pub cpu: Seen<f64>,
    /// Memory by the metrics API [bytes].
    pub memory: Seen<f64>,
}

/// Whether a pod belongs to the Deployment of the fleet: its `ReplicaSet` is named after both.
pub fn belongs(pod: &Pod, fleet: &str) -> bool {
    let hash = pod.labels().get("pod-template-hash");
    pod.owner_references()
        .iter()
        .any(|owner| owner.kind == "ReplicaSet" && hash.is_some_and(|hash| owner.name == format!("{fleet}-{hash}")))
}

/// One pod in the planner's terms.
pub fn view(pod: &Pod, signals: Signals, now: Timestamp) -> PodView {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or_default();
    let ready = status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten())
        .find(|condition| condition.type_ == "Ready" && condition.status == "True")
        .map(|condition| condition.last_transition_time.as_ref().map_or(now, |time| time.0));
    let Signals {
        report,
        never_reported,
        cpu,
        memory,
    } = signals;
    PodView {
        name: pod.name_any(),
        uid: pod.uid().unwrap_or_default(),
        created: pod.creation_timestamp().map_or(now, |time| time.0),
        ready,
        deleting: pod.metadata.deletion_timestamp.is_some(),
        finished: matches!(phase, "Succeeded" | "Failed"),
        deletion_cost: pod
            .annotations()
            .get(names::ANNOTATION_POD_DELETION_COST)
            .and_then(|cost| cost.parse().ok()),
        trouble: trouble(pod),
        cpu_capacity: capacity(pod, "cpu"),
        report,
        never_reported,
        cpu,
        memory_capacity: capacity(pod, "memory"),
        memory,
    }
}

/// Value of the deletion cost of a victim, as an annotation.
pub fn victim_cost() -> String {
    VICTIM_COST.to_string()
}

/// Limit, else request, of the container `worker` of a resource [cores, bytes].
fn capacity(pod: &Pod, resource: &str) -> Option<f64> {
    let spec = pod.spec.as_ref()?;
    let container = spec
        .containers
        .iter()
        .find(|container| container.name == names::WORKER_CONTAINER)?;
    let resources = container.resources.as_ref()?;
    let of =
        |map: &Option<std::collections::BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>>| {
            map.as_ref()
                .and_then(|map| map.get(resource))
                .and_then(|quantity| quantity::parse(&quantity.0))
        };
    of(&resources.limits)
        .or_else(|| of(&resources.requests))
        .filter(|amount| *amount > 0.0)
}

fn trouble(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let unschedulable = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    });
    if let Some(condition) = unschedulable {
        return Some(Trouble {
            reason: Reason::Unschedulable,
            message: condition.message.clone().unwrap_or_default(),
        });
    }
    let statuses = status
        .init_container_statuses
        .iter()
        .flatten()
        .chain(status.container_statuses.iter().flatten());
    statuses.into_iter().find_map(waiting)
}

fn waiting(status: &ContainerStatus) -> Option<Trouble> {
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    let why = waiting.reason.as_deref()?;
    let reason = match why {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" | "ImageInspectError" => {
            Reason::ImagePullFailed
        }
        "CrashLoopBackOff" => Reason::CrashLooping,
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => Reason::PodTemplateInvalid,
        _ => return None,
    };
    let last = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let ended = last
        .map(|ended| format!(", last exit code {}", ended.exit_code))
        .unwrap_or_default();
    let detail = waiting.message.as_deref().unwrap_or_default();
    Some(Trouble {
        reason,
        message: format!("container {}: {why}{ended} {detail}", status.name)
            .trim_end()
            .to_owned(),
    })
}
