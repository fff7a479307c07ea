//! What an apply sends, and when it is not sent.

use std::collections::BTreeMap;

use fleet_core::Class;

use super::*;
use crate::k8s::testing::{Answer, mock};

fn deployment() -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": "orders", "namespace": "ns", "labels": {"a": "1"}},
        "spec": {
            "selector": {"matchLabels": {"a": "1"}},
            "template": {"metadata": {"labels": {"a": "1"}}, "spec": {"containers": [{"name": "worker", "image": "i"}]}},
        },
    }))
    .unwrap()
}

fn unchanged() -> Precondition {
    Precondition {
        uid: Some("u1".into()),
        resource_version: Some("7".into()),
    }
}

#[tokio::test]
async fn an_apply_names_its_manager_forces_and_carries_its_precondition() {
    let (cluster, calls) = mock(Answer::echo);
    let api = Api::namespaced(cluster.client(), "ns");
    let rendered = Rendered::new(&deployment()).unwrap();
    let stored: Deployment = apply(&cluster, &api, "temporal-fleet", &rendered, &unchanged())
        .await
        .unwrap();
    assert_eq!(stored.annotations().get(RENDERED_HASH).unwrap(), rendered.hash());
    let call = &calls.take()[0];
    assert_eq!(call.line(), "PATCH /apis/apps/v1/namespaces/ns/deployments/orders");
    assert_eq!(call.parameters(), ["fieldManager=temporal-fleet", "force=true"]);
    assert_eq!(call.content_type, "application/apply-patch+yaml");
    assert_eq!(call.body["metadata"]["uid"], "u1");
    assert_eq!(call.body["metadata"]["resourceVersion"], "7");
    assert_eq!(call.body["apiVersion"], "apps/v1");
    assert_eq!(cluster.writes().done(), 1);
}

#[tokio::test]
async fn a_creation_has_no_precondition() {
    let (cluster, calls) = mock(Answer::echo);
    let api = Api::<Deployment>::namespaced(cluster.client(), "ns");
    let rendered = Rendered::new(&deployment()).unwrap();
    apply(&cluster, &api, "temporal-fleet", &rendered, &Precondition::default())
        .await
        .unwrap();
    let metadata = calls.take()[0].body["metadata"].clone();
    assert!(
        metadata.get("uid").is_none() && metadata.get("resourceVersion").is_none(),
        "{metadata}"
    );
}

#[tokio::test]
async fn a_lost_race_is_a_conflict_and_counts_as_a_write() {
    let (cluster, _calls) = mock(|_| Answer::failure(409, "Conflict"));
    let error = apply_scale(&cluster, "ns", "orders", "temporal-fleet-scale", 3, &unchanged())
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Conflict);
    assert_eq!(error.to_string(), "failed to apply the scale of Deployment ns/orders");
    assert_eq!(cluster.writes().done(), 1);
}

#[tokio::test]
async fn replicas_go_through_the_scale_subresource() {
    let (cluster, calls) = mock(Answer::echo);
    apply_scale(&cluster, "ns", "orders", "temporal-fleet-scale", 3, &unchanged())
        .await
        .unwrap();
    let call = &calls.take()[0];
    assert_eq!(
        call.line(),
        "PATCH /apis/apps/v1/namespaces/ns/deployments/orders/scale"
    );
    assert_eq!(call.parameters(), ["fieldManager=temporal-fleet-scale", "force=true"]);
    let wanted = json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {"name": "orders", "namespace": "ns", "uid": "u1", "resourceVersion": "7"},
        "spec": {"replicas": 3},
    });
    assert_eq!(call.body, wanted);
}

#[tokio::test]
async fn a_status_is_applied_whole_through_its_subresource() {
    let (cluster, calls) = mock(Answer::echo);
    let api = Api::<Deployment>::namespaced(cluster.client(), "ns");
    let status = BTreeMap::from([("replicas", 2)]);
    let precondition = Precondition {
        uid: Some("u1".into()),
        resource_version: None,
    };
    apply_status(
        &cluster,
        &api,
        "temporal-fleet-status",
        "orders",
        &status,
        &precondition,
    )
    .await
    .unwrap();
    let call = &calls.take()[0];
    assert_eq!(
        call.line(),
        "PATCH /apis/apps/v1/namespaces/ns/deployments/orders/status"
    );
    let wanted = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "orders", "uid": "u1"}, "status": {"replicas": 2},
    });
    assert_eq!(call.body, wanted);
}

#[tokio::test]
async fn a_part_of_an_object_that_may_be_another_is_not_sent() {
    let (cluster, calls) = mock(Answer::echo);
    let api = Api::<Deployment>::namespaced(cluster.client(), "ns");
    let fields = json!({"metadata": {"annotations": {"a": "b"}}});
    let error = apply_part(&cluster, &api, "m", "orders", &fields, &Precondition::default())
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Bug);
    assert!(calls.take().is_empty(), "it would create an object");
}

#[test]
fn the_hash_follows_the_content_and_nothing_else() {
    let one = Rendered::new(&deployment()).unwrap();
    assert_eq!(one.hash(), Rendered::new(&deployment()).unwrap().hash());
    assert_eq!(one.hash().len(), 16);
    let mut other = deployment();
    other.labels_mut().insert("b".into(), "2".into());
    assert_ne!(one.hash(), Rendered::new(&other).unwrap().hash());
    assert_eq!(
        hash_of(&json!({"a": 1, "b": [1, 2]})),
        hash_of(&serde_json::from_str(r#"{"b": [1, 2], "a": 1}"#).unwrap()),
        "order of keys"
    );
    assert_ne!(
        hash_of(&json!({"a": [1, 2]})),
        hash_of(&json!({"a": [2, 1]})),
        "order of items"
    );
    assert_ne!(hash_of(&json!(["ab"])), hash_of(&json!(["a", "b"])));
}

#[test]
fn an_object_without_a_name_is_not_sent() {
    let mut object = deployment();
    object.metadata.name = None;
    let error = Rendered::new(&object).unwrap_err();
    assert_eq!(error.class(), Class::Bug);
}

#[test]
fn a_converged_object_is_left_alone_and_drift_is_named() {
    let rendered = Rendered::new(&deployment()).unwrap();
    let mut live = deployment();
    assert_eq!(
        rendered.differs_from(&live, "temporal-fleet").as_deref(),
        Some("the desired state changed")
    );
    live.annotations_mut()
        .insert(RENDERED_HASH.into(), rendered.hash().into());
    let fields = json!({
        "f:metadata": {"f:labels": {"f:a": {}}, "f:annotations": {format!("f:{RENDERED_HASH}"): {}}},
        "f:spec": {"f:selector": {}, "f:template": {
            "f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {"f:containers": {"k:{\"name\":\"worker\"}": {".": {}, "f:name": {}, "f:image": {}}}},
        }},
    });
    let entry =
        json!([{"manager": "temporal-fleet", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields}]);
    live.metadata.managed_fields = serde_json::from_value(entry.clone()).unwrap();
    assert_eq!(rendered.differs_from(&live, "temporal-fleet"), None);
    let mut taken = entry;
    taken[0]["fieldsV1"]["f:spec"]
        .as_object_mut()
        .unwrap()
        .remove("f:template");
    live.metadata.managed_fields = serde_json::from_value(taken).unwrap();
    assert_eq!(
        rendered.differs_from(&live, "temporal-fleet").as_deref(),
        Some("spec.template was changed by another writer")
    );
}
