//! Pods as the planner sees them.

use fleet_autoscale::Seen;
use fleet_core::{Eviction, PodView, Quarantine, Reason, Trouble, WorkerReport};
use fleet_crds::names;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;

use crate::k8s::managed_fields::{self, Ownership};
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

/// Whether a pod belongs to the fleet of this name and UID: to its Deployment, whose `ReplicaSet` is named after both, or, with the label
/// of quarantine, to the fleet itself. A label alone makes no pod ours.
pub fn belongs(pod: &Pod, fleet: &str, uid: &str) -> bool {
    let owners = pod.owner_references();
    if labelled(pod) {
        return owners.iter().any(|owner| owner.uid == uid);
    }
    let hash = pod.labels().get("pod-template-hash");
    owners
        .iter()
        .any(|owner| owner.kind == "ReplicaSet" && hash.is_some_and(|hash| owner.name == format!("{fleet}-{hash}")))
}

fn labelled(pod: &Pod) -> bool {
    pod.labels()
        .get(names::LABEL_QUARANTINED)
        .is_some_and(|value| value == "true")
}

/// How far the pod is on its way out of its `ReplicaSet`.
fn quarantine(pod: &Pod) -> Quarantine {
    if !labelled(pod) {
        return Quarantine::No;
    }
    match pod
        .owner_references()
        .iter()
        .find(|owner| owner.controller == Some(true))
    {
        Some(owner) if owner.kind == "ReplicaSet" => Quarantine::Leaving,
        Some(_) => Quarantine::Kept,
        None => Quarantine::Free,
    }
}

/// What the annotation for the cluster autoscaler says, and whose it is. Only our own write of it may be taken back.
fn eviction(pod: &Pod) -> Eviction {
    const PATH: [&str; 3] = ["metadata", "annotations", names::ANNOTATION_SAFE_TO_EVICT];
    if !pod.annotations().contains_key(names::ANNOTATION_SAFE_TO_EVICT) {
        return Eviction::Open;
    }
    if !Ownership::of(pod.managed_fields(), names::MANAGER_EVICTION, None).owns_itself(&PATH) {
        return Eviction::Theirs;
    }
    let since = managed_fields::owners(pod.managed_fields(), &PATH)
        .find(|entry| entry.manager.as_deref() == Some(names::MANAGER_EVICTION))
        .and_then(|entry| entry.time.as_ref());
    Eviction::Barred {
        since: since.map(|time| time.0),
    }
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
        eviction: eviction(pod),
        quarantine: quarantine(pod),
        trouble: trouble(pod),
        cpu_capacity: capacity(pod, "cpu"),
        report,
        never_reported,
        cpu,
        memory_capacity: capacity(pod, "memory"),
        memory,
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A pod of the fleet `orders` with these owners (kind, name, UID, controller).
    fn pod(quarantined: &str, owners: &[(&str, &str, &str, bool)]) -> Pod {
        let owners: Vec<_> = owners
            .iter()
            .map(|(kind, name, uid, controller)| {
                json!({"apiVersion": "v1", "kind": kind, "name": name, "uid": uid, "controller": controller})
            })
            .collect();
        serde_json::from_value(json!({"metadata": {
            "name": "orders-5c9b7-x", "namespace": "shop", "ownerReferences": owners,
            "labels": {"pod-template-hash": "5c9b7", names::LABEL_QUARANTINED: quarantined},
        }}))
        .unwrap()
    }

    const SET: (&str, &str, &str, bool) = ("ReplicaSet", "orders-5c9b7", "rs", true);
    const BESIDE: (&str, &str, &str, bool) = ("TemporalWorker", "orders", "u1", false);
    const ALONE: (&str, &str, &str, bool) = ("TemporalWorker", "orders", "u1", true);

    #[test]
    fn a_pod_is_followed_on_its_way_into_quarantine() {
        for (label, owners, stage) in [
            ("false", &[SET][..], Quarantine::No),
            ("true", &[SET, BESIDE][..], Quarantine::Leaving),
            ("true", &[BESIDE][..], Quarantine::Free),
            ("true", &[ALONE][..], Quarantine::Kept),
        ] {
            let pod = pod(label, owners);
            assert!(belongs(&pod, "orders", "u1"), "{stage:?}");
            assert_eq!(quarantine(&pod), stage);
        }
    }

    #[test]
    fn the_word_for_the_cluster_autoscaler_is_ours_only_as_long_as_we_own_it() {
        let fields = |names: &[&str]| -> serde_json::Value {
            let owned: serde_json::Map<_, _> = names.iter().map(|name| (format!("f:{name}"), json!({}))).collect();
            json!({"f:metadata": {"f:annotations": owned}})
        };
        let entry = |manager: &str, operation: &str, names: &[&str]| {
            json!({
                "manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields(names),
                "apiVersion": "v1", "time": "2026-11-22T12:00:00Z",
            })
        };
        let with = |value: Option<&str>, entries: &[serde_json::Value]| -> Eviction {
            let mut pod = pod("false", &[SET]);
            if let Some(value) = value {
                let name = names::ANNOTATION_SAFE_TO_EVICT.to_owned();
                pod.annotations_mut().insert(name, value.to_owned());
            }
            pod.metadata.managed_fields = serde_json::from_value(json!(entries)).unwrap();
            eviction(&pod)
        };
        let ours = entry(names::MANAGER_EVICTION, "Apply", &[names::ANNOTATION_SAFE_TO_EVICT]);
        let cost = entry(names::MANAGER_CHILDREN, "Apply", &[names::ANNOTATION_POD_DELETION_COST]);
        let template = entry(
            "kube-controller-manager",
            "Update",
            &[names::ANNOTATION_SAFE_TO_EVICT, "other"],
        );
        let since = Some("2026-11-22T12:00:00Z".parse().unwrap());
        assert_eq!(with(None, std::slice::from_ref(&cost)), Eviction::Open);
        let both = [cost.clone(), ours.clone()];
        assert_eq!(with(Some("false"), &both), Eviction::Barred { since });
        // A person who says the same beside us keeps it when ours is taken back.
        let together = [ours, template.clone()];
        assert_eq!(with(Some("false"), &together), Eviction::Barred { since });
        for value in ["true", "false"] {
            let theirs = [cost.clone(), template.clone()];
            assert_eq!(with(Some(value), &theirs), Eviction::Theirs, "{value}");
        }
        assert_eq!(with(Some("false"), &[]), Eviction::Theirs, "no record of owners");
        let emptied = [entry(names::MANAGER_EVICTION, "Apply", &[]), template];
        assert_eq!(with(Some("true"), &emptied), Eviction::Theirs, "ours was taken back");
    }

    #[test]
    fn a_label_alone_makes_no_pod_ours() {
        let another = ("TemporalWorker", "orders", "u2", true);
        for (label, owners) in [
            ("true", &[SET][..]),
            ("true", &[another][..]),
            ("true", &[][..]),
            ("false", &[ALONE][..]),
        ] {
            assert!(!belongs(&pod(label, owners), "orders", "u1"), "{label} {owners:?}");
        }
    }
}
