//! What is written to victims of a scale-in: their deletion cost, their way out of the `ReplicaSet`, their end. Each write names the pod
//! by its UID; one that is gone meanwhile needs nothing any more.

use fleet_core::Class;
use fleet_core::rules::scale::VICTIM_COST;
use fleet_crds::{TemporalWorker, names};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Resource, ResourceExt};
use serde_json::{Value, json};

use crate::context::Context;
use crate::k8s::Error;
use crate::k8s::apply::{Precondition, apply_part};
use crate::k8s::delete::delete as delete_object;

/// Sets the deletion cost of a pod, or takes it back.
pub async fn mark(ctx: &Context, namespace: &str, pod: &str, uid: &str, victim: bool) -> Result<(), Error> {
    let annotations = if victim {
        json!({ names::ANNOTATION_POD_DELETION_COST: VICTIM_COST.to_string() })
    } else {
        json!({})
    };
    let fields = json!({"metadata": {"annotations": annotations}});
    write(ctx, namespace, pod, uid, &fields).await
}

/// Takes a pod out of its `ReplicaSet` by the label that all selectors ask for, and makes the fleet its owner, so that it goes with the
/// fleet. Its deletion cost goes with the same write: there is nobody left to be compared with.
pub async fn take_out(
    ctx: &Context,
    fleet: &TemporalWorker,
    pod: &str,
    uid: &str,
    controller: bool,
) -> Result<(), Error> {
    let namespace = fleet.namespace().unwrap_or_default();
    write(ctx, &namespace, pod, uid, &quarantined(fleet, controller)).await
}

/// Deletes a pod, with its own grace period.
pub async fn delete(ctx: &Context, namespace: &str, pod: &str, uid: &str) -> Result<(), Error> {
    let api: Api<Pod> = Api::namespaced(ctx.client(), namespace);
    gone_is_fine(delete_object(&ctx.cluster, &api, pod, &same(uid)).await)
}

/// Label and owner of a pod in quarantine. As long as the `ReplicaSet` is its controller the fleet is an owner beside it: the API server
/// refuses two controllers. Afterwards the fleet becomes the controller, as `kubectl drain` asks for one.
fn quarantined(fleet: &TemporalWorker, controller: bool) -> Value {
    let owner = if controller {
        fleet.controller_owner_ref(&())
    } else {
        fleet.owner_ref(&())
    };
    json!({"metadata": {
        "labels": {names::LABEL_QUARANTINED: "true"},
        "ownerReferences": owner.into_iter().collect::<Vec<_>>(),
    }})
}

async fn write(ctx: &Context, namespace: &str, pod: &str, uid: &str, fields: &Value) -> Result<(), Error> {
    let api: Api<Pod> = Api::namespaced(ctx.client(), namespace);
    let written = apply_part(&ctx.cluster, &api, names::MANAGER_CHILDREN, pod, fields, &same(uid)).await;
    gone_is_fine(written.map(drop))
}

fn same(uid: &str) -> Precondition {
    Precondition {
        uid: Some(uid.to_owned()),
        resource_version: None,
    }
}

fn gone_is_fine(written: Result<(), Error>) -> Result<(), Error> {
    match written {
        Err(error) if error.class() == Class::Conflict => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet() -> TemporalWorker {
        serde_json::from_value(json!({
            "apiVersion": "temporal-fleet.dev/v1alpha1", "kind": "TemporalWorker",
            "metadata": {"name": "orders", "namespace": "shop", "uid": "u1"},
            "spec": {
                "connection": {"address": "temporal:7233"},
                "taskQueues": [{"name": "orders"}],
                "image": "registry.example.com/orders:1",
            },
        }))
        .unwrap()
    }

    #[test]
    fn the_fleet_is_an_owner_beside_the_replica_set_and_the_controller_after_it() {
        let owner = |controller| quarantined(&fleet(), controller)["metadata"]["ownerReferences"][0].clone();
        let beside = json!({
            "apiVersion": "temporal-fleet.dev/v1alpha1", "kind": "TemporalWorker", "name": "orders", "uid": "u1",
        });
        assert_eq!(owner(false), beside);
        let mut after = beside;
        after["controller"] = json!(true);
        assert_eq!(owner(true), after);
    }

    #[test]
    fn the_label_leaves_the_selectors_and_the_mark_goes_with_the_same_write() {
        let fields = quarantined(&fleet(), false);
        let selector = crate::render::selector_labels("orders");
        assert_ne!(
            fields["metadata"]["labels"][names::LABEL_QUARANTINED],
            json!(selector[names::LABEL_QUARANTINED])
        );
        assert_eq!(fields["metadata"].get("annotations"), None);
    }
}
