//! From the objects as the API server gives them to the text on the screen.

use insta::assert_snapshot;
use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use serde_json::{Value, json};

use crate::{
    model::{self, Snapshot, cores},
    view,
};

const NOW: &str = "2026-11-22T12:10:00Z";

fn worker(status: &Value) -> Value {
    json!({
        "apiVersion": "temporal-fleet.dev/v1alpha1", "kind": "TemporalWorker",
        "metadata": {"name": "orders", "namespace": "shop", "uid": "u1", "generation": 3},
        "spec": {
            "connectionRef": {"name": "prod"}, "temporalNamespace": "orders", "taskQueues": [{"name": "orders"}],
            "image": "registry.example.com/acme/orders:1", "autoscaling": {"minReplicas": 2, "maxReplicas": 60}
        },
        "status": status
    })
}

fn healthy() -> Value {
    json!({
        "observedGeneration": 3, "desiredReplicas": 3, "backlog": 41,
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "Available", "message": "3/3 pods available", "lastTransitionTime": NOW},
            {"type": "Stalled", "status": "False", "reason": "NoError", "message": "", "lastTransitionTime": NOW}
        ],
        "autoscaling": {"targets": [{"type": "ScheduleToStart", "current": "3.1s", "target": "p99 5s", "recommendedReplicas": 3}]}
    })
}

fn pod(name: &str, ready: bool, change: impl FnOnce(&mut Value)) -> Pod {
    let mut pod = json!({
        "metadata": {
            "name": name, "namespace": "shop", "creationTimestamp": "2026-11-22T12:06:40Z", "annotations": {},
            "labels": {"temporal-fleet.dev/worker": "orders", "temporal-fleet.dev/quarantined": "false"}
        },
        "spec": {"containers": [{"name": "worker", "resources": {"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}}}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
            "containerStatuses": [{"name": "worker", "restartCount": 0, "ready": ready, "image": "i", "imageID": "i", "state": {"running": {}}}]
        }
    });
    change(&mut pod);
    serde_json::from_value(pod).unwrap()
}

fn deployment(desired: i32, ready: i32) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": "orders", "namespace": "shop", "ownerReferences": [
            {"apiVersion": "temporal-fleet.dev/v1alpha1", "kind": "TemporalWorker", "name": "orders", "uid": "u1", "controller": true}]},
        "spec": {"replicas": desired, "template": {}, "selector": {"matchLabels": {
            "temporal-fleet.dev/worker": "orders", "temporal-fleet.dev/quarantined": "false"}}},
        "status": {"readyReplicas": ready}
    }))
    .unwrap()
}

fn snapshot(worker: Value, deployments: Vec<Deployment>, pods: Vec<Pod>) -> Snapshot {
    Snapshot {
        workers: vec![
            serde_json::from_value::<fleet_crds::TemporalWorker>(worker)
                .unwrap()
                .into(),
        ],
        deployments: deployments.into_iter().map(Into::into).collect(),
        pods: pods.into_iter().map(Into::into).collect(),
        cores: std::collections::HashMap::new(),
    }
}

fn tree(snapshot: &Snapshot, pods: usize) -> String {
    view::tree(&model::fleets(snapshot, NOW.parse::<Timestamp>().unwrap()), pods)
}

#[test]
fn a_working_fleet() {
    let mut snapshot = snapshot(
        worker(&healthy()),
        vec![deployment(3, 2)],
        vec![
            pod("orders-5c9b7-zzzzz", true, |pod| {
                pod["metadata"]["annotations"]["controller.kubernetes.io/pod-deletion-cost"] = json!("-1000");
            }),
            pod("orders-5c9b7-2xk4p", true, |pod| {
                pod["status"]["containerStatuses"][0]["restartCount"] = json!(1);
            }),
            pod("orders-5c9b7-9qmzt", false, |pod| {
                pod["status"]["phase"] = json!("Pending");
            }),
            pod("orders-5c9b7-fff42", true, |pod| {
                pod["metadata"]["deletionTimestamp"] = json!("2026-11-22T12:10:30Z");
                pod["metadata"]["deletionGracePeriodSeconds"] = json!(60);
            }),
        ],
    );
    let key = |name: &str| ("shop".to_owned(), name.to_owned(), "worker".to_owned());
    snapshot
        .cores
        .extend([(key("orders-5c9b7-zzzzz"), 0.01), (key("orders-5c9b7-2xk4p"), 0.415)]);
    assert_snapshot!(tree(&snapshot, 10), @r"
    shop/orders  Ready   p99 3.1s of 5s   3 pods of 2..60   backlog 41   Temporal orders via prod
    └─ orders  2/3 ready
       ├─ orders-5c9b7-9qmzt   Starting   cpu    ?   3m20s
       ├─ orders-5c9b7-fff42   Draining   cpu    ?     30s
       ├─ orders-5c9b7-zzzzz   Ready      cpu   2%   3m20s   next to go
       └─ orders-5c9b7-2xk4p   Ready      cpu  83%   3m20s   1 restart
    ");
}

#[test]
fn what_a_person_has_to_do_comes_before_everything() {
    let status = json!({
        "observedGeneration": 3, "desiredReplicas": 2,
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "Stalled", "message": "see Stalled", "lastTransitionTime": NOW},
            {"type": "Stalled", "status": "True", "reason": "ImagePullFailed", "message": "orders:1 not found", "lastTransitionTime": NOW}
        ]
    });
    let broken = pod("orders-5c9b7-2xk4p", false, |pod| {
        pod["status"]["containerStatuses"][0]["state"] = json!({"waiting": {"reason": "ImagePullBackOff"}});
    });
    assert_snapshot!(tree(&snapshot(worker(&status), vec![deployment(2, 0)], vec![broken]), 10), @r"
    shop/orders  NotReady   2 pods of 2..60   Temporal orders via prod
    │  ImagePullFailed: orders:1 not found
    └─ orders  0/2 ready
       └─ orders-5c9b7-2xk4p   ImagePullBackOff   cpu    ?   3m20s
    ");
}

#[test]
fn a_fleet_that_nobody_has_looked_at() {
    assert_snapshot!(tree(&snapshot(worker(&json!(null)), vec![], vec![]), 10), @r"
    shop/orders  Unknown   ? pods of 2..60   Temporal orders via prod
    │  no operator has looked at it yet
    └─ no Deployment yet
    ");
}

#[test]
fn calm_pods_are_cut_before_those_that_need_attention_and_quarantine_stands_apart() {
    let mut pods: Vec<Pod> = (0..5)
        .map(|n| pod(&format!("orders-5c9b7-a{n}"), true, |_| {}))
        .collect();
    pods.push(pod("orders-5c9b7-z", false, |_| {}));
    pods.push(pod("orders-5c9b7-q", true, |pod| {
        pod["metadata"]["labels"]["temporal-fleet.dev/quarantined"] = json!("true");
    }));
    assert_snapshot!(tree(&snapshot(worker(&healthy()), vec![deployment(6, 5)], pods), 2), @r"
    shop/orders  Ready   p99 3.1s of 5s   3 pods of 2..60   backlog 41   Temporal orders via prod
    ├─ orders  5/6 ready
    │  ├─ orders-5c9b7-z    Starting   cpu    ?   3m20s
    │  ├─ orders-5c9b7-a0   Ready      cpu    ?   3m20s
    │  └─ … 4 more
    └─ quarantined  1 pod
       └─ orders-5c9b7-q   Draining   cpu    ?   3m20s
    ");
}

#[test]
fn objects_of_others_are_left_out() {
    let mut foreign = deployment(1, 1);
    foreign.metadata.owner_references = None;
    let mut stranger = pod("other-5c9b7-a", true, |pod| {
        pod["metadata"]["labels"]["temporal-fleet.dev/worker"] = json!("other");
    });
    stranger.metadata.namespace = Some("shop".to_owned());
    let elsewhere = pod("orders-5c9b7-b", true, |pod| {
        pod["metadata"]["namespace"] = json!("attic");
    });
    let text = tree(
        &snapshot(worker(&healthy()), vec![foreign], vec![stranger, elsewhere]),
        10,
    );
    assert!(text.ends_with("└─ no Deployment yet\n"), "{text}");
}

#[test]
fn a_stale_ready_is_said_to_be_stale() {
    let mut status = healthy();
    status["observedGeneration"] = json!(2);
    let text = tree(&snapshot(worker(&status), vec![deployment(3, 3)], vec![]), 10);
    assert!(text.contains("the last change is not carried out yet"), "{text}");
}

#[test]
fn a_screen_is_never_overrun() {
    let text = "one\ntwo\nthree\nfour\n";
    assert_eq!(view::fit(text, 4, 3), ["one", "two", "… 2 "]);
    assert_eq!(view::fit(text, 80, 4), ["one", "two", "three", "four"]);
}

#[test]
fn quantities_of_cpu() {
    for (text, wanted) in [
        ("250m", Some(0.25)),
        ("2", Some(2.0)),
        ("1.5", Some(1.5)),
        ("812500000n", Some(0.8125)),
        ("5u", Some(5e-6)),
        ("", None),
        ("m", None),
        ("-1", None),
    ] {
        let found = cores(text);
        assert!(
            match (found, wanted) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-9,
                (a, b) => a == b,
            },
            "{text}: {found:?}"
        );
    }
}
