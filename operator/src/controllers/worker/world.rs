//! From what was observed to the planner's terms. Pure.

use std::sync::Arc;

use fleet_autoscale::Seen;
use fleet_core::{Child, ChildView, Connection, DeploymentView, QueueView, Taken, World};
use fleet_crds::{TemporalWorker, names};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Resource, ResourceExt};

use crate::k8s::apply::Rendered;
use crate::k8s::managed_fields::{self, Ownership};

use super::observe::Observed;
use super::validate::Valid;

/// The world of one pass.
pub fn world(
    worker: &TemporalWorker,
    observed: &Observed,
    valid: &Valid,
    connection: Connection,
    queues: Vec<QueueView>,
) -> World {
    let uid = worker.uid().unwrap_or_default();
    World {
        connection,
        claimed_by: observed.claimed_by.clone(),
        rate_claimed_by: observed.rate_claimed_by.clone(),
        rival: observed.rival.clone(),
        deployment: child(&observed.deployment, &uid, |live| {
            deployment(live, &valid.rendered_deployment)
        }),
        budget: child(&observed.budget, &uid, |live| view(live, Some(&valid.rendered_budget))),
        control_secret: child(&observed.control_secret, &uid, |live| view(live, None)),
        pods: observed.pods.clone(),
        queues,
    }
}

fn child<K: Resource, T>(seen: &Seen<Option<Arc<K>>>, uid: &str, view: impl Fn(&K) -> T) -> Seen<Child<T>> {
    match seen {
        Seen::Unknown { reason } => Seen::unknown(reason.clone()),
        Seen::Known(None) => Seen::Known(Child::Absent),
        Seen::Known(Some(live)) => match live
            .owner_references()
            .iter()
            .find(|owner| owner.controller == Some(true))
        {
            Some(owner) if owner.uid == uid => Seen::Known(Child::Ours(view(live))),
            Some(owner) => Seen::Known(Child::Foreign {
                owner: format!("{} {}", owner.kind, owner.name),
            }),
            None => Seen::Known(Child::Foreign {
                owner: "nobody we know (it has no controller)".to_owned(),
            }),
        },
    }
}

fn view<K: Resource>(live: &K, rendered: Option<&Rendered>) -> ChildView {
    let hash = live.annotations().get(names::ANNOTATION_RENDERED_HASH).cloned();
    let same = rendered.is_none_or(|rendered| hash.as_deref() == Some(rendered.hash()));
    ChildView {
        uid: live.uid().unwrap_or_default(),
        resource_version: live.resource_version().unwrap_or_default(),
        // Another hash is a difference already; only for the same one does ownership tell drift by hand.
        intact: !same || rendered.is_none_or(|rendered| rendered.differs_from(live, names::MANAGER_CHILDREN).is_none()),
        hash,
        deleting: live.meta().deletion_timestamp.is_some(),
    }
}

/// The last write of the size by a field manager that is none of ours.
fn taken(live: &Deployment) -> Option<Taken> {
    const OURS: [&str; 2] = [names::MANAGER_CHILDREN, names::MANAGER_SCALE];
    let writers = managed_fields::owners(live.managed_fields(), &["spec", "replicas"]);
    writers
        .filter_map(|entry| {
            let manager = entry.manager.as_deref().filter(|manager| !OURS.contains(manager))?;
            Some(Taken {
                manager: manager.to_owned(),
                at: entry.time.as_ref()?.0,
            })
        })
        .max_by(|a, b| (a.at, &a.manager).cmp(&(b.at, &b.manager)))
}

fn deployment(live: &Deployment, rendered: &Rendered) -> DeploymentView {
    let spec = live.spec.as_ref();
    let status = live.status.as_ref();
    let count = |value: Option<i32>| u32::try_from(value.unwrap_or(0)).unwrap_or(0);
    let condition = |type_: &str| {
        status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten())
            .find(move |condition| condition.type_ == type_)
    };
    let scale_managed = Ownership::of(live.managed_fields(), names::MANAGER_SCALE, Some("scale"))
        .owns(&["spec", "replicas"])
        || Ownership::of(live.managed_fields(), names::MANAGER_SCALE, None).owns(&["spec", "replicas"]);
    DeploymentView {
        object: view(live, Some(rendered)),
        replicas: u32::try_from(spec.and_then(|spec| spec.replicas).unwrap_or(1)).unwrap_or(0),
        scale_managed,
        taken: taken(live),
        observed: status.and_then(|status| status.observed_generation) >= live.metadata.generation,
        current: count(status.and_then(|status| status.replicas)),
        updated: count(status.and_then(|status| status.updated_replicas)),
        ready: count(status.and_then(|status| status.ready_replicas)),
        available: count(status.and_then(|status| status.available_replicas)),
        deadline_exceeded: condition("Progressing")
            .is_some_and(|c| c.status == "False" && c.reason.as_deref() == Some("ProgressDeadlineExceeded")),
        replica_failure: condition("ReplicaFailure")
            .filter(|c| c.status == "True")
            .map(|c| c.message.clone().unwrap_or_default()),
    }
}
