//! The cluster autoscaler's annotation: it comes with a task that has outlasted the grace period and goes with it, on a real API server.

use std::time::Duration;

use anyhow::{Context as _, Result};
use fleet_e2e::{
    bed::{self, Bed, none_cut_off},
    demo::scenario::LONG,
    load::Stream,
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::json;

const PATIENCE: Duration = Duration::from_mins(3);
const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";
/// The one field manager that writes the annotation for the operator.
const MANAGER: &str = "temporal-fleet-eviction";

#[tokio::test]
async fn a_pod_is_kept_from_eviction_while_a_task_outlasts_its_grace_and_no_longer() -> Result<()> {
    let access = bed::cluster().await?;
    // Activities of 20 s, one at a time on each pod, which gets 5 s to finish. The second pod's annotation is a person's.
    let change = json!({"spec": {
        "replicas": 2,
        "autoscaling": {"mode": "DryRun", "pollingIntervalSeconds": 5},
        "workerOptions": {"maxConcurrentActivities": 1, "gracefulShutdownSeconds": 5},
    }});
    let bed = Bed::new(access, "eviction", &change).await?;
    bed.fleet
        .wait_replicas("two pods", PATIENCE, |replicas| replicas.ready == 2)
        .await?;
    let pods = bed.fleet.pods().await?;
    assert!(pods.iter().all(|pod| said(pod).is_none()), "idle pods may be evicted");
    let person = pods.first().context("a pod")?.name_any();
    let word = format!("{SAFE_TO_EVICT}=true");
    let namespace = bed.fleet.namespace.clone();
    bed.access
        .kubectl(&["annotate", "pod", &person, "-n", &namespace, &word])
        .await?;

    let load = bed.load(Duration::from_secs(30));
    // Two each, so that both pods are busy for some 40 s.
    load.burst("four", Stream::new(LONG, 0.0), 4);
    let ours = bed
        .fleet
        .wait("the busy pod to be kept from eviction", PATIENCE, async || {
            let pods = bed.fleet.pods().await?;
            match pods.iter().find(|pod| said(pod) == Some("false")) {
                Some(pod) => Ok(Ok(pod.clone())),
                None => Ok(Err(format!("{:?}", pods.iter().map(state).collect::<Vec<_>>()))),
            }
        })
        .await?;
    assert_ne!(ours.name_any(), person, "what a person says stays");
    assert_eq!(written_by(&ours), [MANAGER], "{:?}", ours.managed_fields());

    let started = load.finish().await;
    let records = bed.all_completed(&started, PATIENCE).await;
    none_cut_off(&records);
    bed.fleet
        .wait("the annotation to go with the tasks", PATIENCE, async || {
            let pods = bed.fleet.pods().await?;
            let left = pods
                .iter()
                .filter(|pod| pod.name_any() != person && said(pod).is_some());
            let left: Vec<_> = left.map(state).collect();
            if left.is_empty() {
                Ok(Ok(()))
            } else {
                Ok(Err(format!("{left:?}")))
            }
        })
        .await?;
    let pods = bed.fleet.pods().await?;
    let theirs = pods.iter().find(|pod| pod.name_any() == person).context("their pod")?;
    assert_eq!(said(theirs), Some("true"), "through all of it");
    bed.end().await
}

/// What the annotation of a pod says.
fn said(pod: &Pod) -> Option<&str> {
    pod.annotations().get(SAFE_TO_EVICT).map(String::as_str)
}

/// The field managers that own the annotation.
fn written_by(pod: &Pod) -> Vec<&str> {
    let entries = pod.managed_fields().iter().filter(|entry| {
        let annotations = entry
            .fields_v1
            .as_ref()
            .and_then(|fields| fields.0.pointer("/f:metadata/f:annotations"));
        annotations.is_some_and(|names| names.get(format!("f:{SAFE_TO_EVICT}")).is_some())
    });
    entries.filter_map(|entry| entry.manager.as_deref()).collect()
}

/// What tells how far a pod is, for messages.
fn state(pod: &Pod) -> String {
    format!("{} {:?}", pod.name_any(), pod.annotations())
}
