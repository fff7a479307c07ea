//! What is written to pods. To victims of a scale-in: their deletion cost, their way out of the `ReplicaSet`, their end. To those with
//! tasks longer than the grace period: that the cluster autoscaler must not evict them. Each write names the pod by its UID; one that is
//! gone meanwhile needs nothing any more.

use fleet_core::Class;
use fleet_core::rules::scale::VICTIM_COST;
use fleet_crds::{TemporalWorker, names};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Resource, ResourceExt};
use serde_json::{Value, json};

use crate::k8s::apply::{Precondition, apply_part, offer_part};
use crate::k8s::delete::delete as delete_object;
use crate::k8s::{Cluster, Error};

/// Sets the deletion cost of a pod, or takes it back.
pub async fn mark(cluster: &Cluster, namespace: &str, pod: &str, uid: &str, victim: bool) -> Result<(), Error> {
    let annotations = if victim {
        json!({ names::ANNOTATION_POD_DELETION_COST: VICTIM_COST.to_string() })
    } else {
        json!({})
    };
    let fields = json!({"metadata": {"annotations": annotations}});
    write(cluster, namespace, pod, uid, &fields).await
}

/// Takes a pod out of its `ReplicaSet` by the label that all selectors ask for, and makes the fleet its owner, so that it goes with the
/// fleet. Its deletion cost goes with the same write: there is nobody left to be compared with.
pub async fn take_out(
    cluster: &Cluster,
    fleet: &TemporalWorker,
    pod: &str,
    uid: &str,
    controller: bool,
) -> Result<(), Error> {
    let namespace = fleet.namespace().unwrap_or_default();
    write(cluster, &namespace, pod, uid, &quarantined(fleet, controller)).await
}

/// Forbids the cluster autoscaler to evict a pod, or takes that back. By a field manager of its own: an apply removes what its manager
/// wrote before and does not name, and neither this may take a deletion cost with it nor that this. Without force: what a person says, even
/// since the pod was read, stays.
pub async fn bar(cluster: &Cluster, namespace: &str, pod: &str, uid: &str, barred: bool) -> Result<(), Error> {
    // Nothing at all takes it back: an empty map would be owned in its stead.
    let fields = if barred {
        json!({"metadata": {"annotations": {names::ANNOTATION_SAFE_TO_EVICT: "false"}}})
    } else {
        json!({})
    };
    let api: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    let written = offer_part(cluster, &api, names::MANAGER_EVICTION, pod, &fields, &same(uid)).await;
    gone_is_fine(written.map(drop))
}

/// Deletes a pod, with its own grace period.
pub async fn delete(cluster: &Cluster, namespace: &str, pod: &str, uid: &str) -> Result<(), Error> {
    let api: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    gone_is_fine(delete_object(cluster, &api, pod, &same(uid)).await)
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

async fn write(cluster: &Cluster, namespace: &str, pod: &str, uid: &str, fields: &Value) -> Result<(), Error> {
    let api: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    let written = apply_part(cluster, &api, names::MANAGER_CHILDREN, pod, fields, &same(uid)).await;
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
    use crate::k8s::testing::{Answer, mock};

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

    #[tokio::test]
    async fn each_of_the_two_annotations_has_a_manager_that_writes_nothing_else() {
        let (cluster, calls) = mock(Answer::echo);
        for on in [true, false] {
            mark(&cluster, "shop", "orders-x", "p1", on).await.unwrap();
            bar(&cluster, "shop", "orders-x", "p1", on).await.unwrap();
        }
        let calls = calls.take();
        let sent: Vec<_> = calls
            .iter()
            .map(|call| {
                (
                    call.parameters().join("&"),
                    call.body["metadata"]["annotations"].clone(),
                )
            })
            .collect();
        let cost = "fieldManager=temporal-fleet&force=true".to_owned();
        let evict = "fieldManager=temporal-fleet-eviction".to_owned();
        assert_eq!(
            sent,
            [
                (
                    cost.clone(),
                    json!({"controller.kubernetes.io/pod-deletion-cost": "-100"})
                ),
                (
                    evict.clone(),
                    json!({"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"})
                ),
                (cost, json!({})),
                (evict, json!(null)),
            ]
        );
        for call in &calls {
            assert_eq!(call.line(), "PATCH /api/v1/namespaces/shop/pods/orders-x");
            assert_eq!(call.content_type, "application/apply-patch+yaml");
            assert_eq!(call.body["metadata"]["uid"], "p1");
        }
    }

    #[tokio::test]
    async fn a_word_of_somebody_else_and_a_pod_that_is_gone_are_no_failure() {
        for code in [404, 409] {
            let (cluster, calls) = mock(move |_| Answer::failure(code, "Conflict"));
            bar(&cluster, "shop", "orders-x", "p1", true).await.unwrap();
            assert_eq!(calls.take().len(), 1, "it is not tried by force");
        }
        let (cluster, _) = mock(|_| Answer::failure(403, "Forbidden"));
        let refused = bar(&cluster, "shop", "orders-x", "p1", true).await.unwrap_err();
        assert_eq!(refused.class(), Class::Denied);
    }
}
