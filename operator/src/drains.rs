//! How pods ended, for the counter of drains: by themselves, or by force.

use fleet_crds::names;
use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// Name of the counter.
const TOTAL: &str = "temporal_fleet_worker_drains_total";

/// A pod whose end was asked for and came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Kubernetes namespace of its fleet.
    pub namespace: String,
    /// Name of its fleet.
    pub fleet: String,
    /// `Clean`: the worker ended by itself with exit code 0. `Forced`: by any other code, such as 75 of the Rust runtime's hard deadline or
    /// 137 of the kubelet's.
    pub outcome: &'static str,
}

/// What the last state of a pod tells. Nothing of one that never ran, or that was removed before the kubelet could say how it
/// ended.
pub fn of(pod: &Pod) -> Option<Drain> {
    pod.metadata.deletion_timestamp.as_ref()?;
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let worker = statuses.iter().find(|status| status.name == names::WORKER_CONTAINER)?;
    let ended = worker.state.as_ref()?.terminated.as_ref()?;
    Some(Drain {
        namespace: pod.namespace()?,
        fleet: pod.labels().get(names::LABEL_WORKER)?.clone(),
        outcome: if ended.exit_code == 0 { "Clean" } else { "Forced" },
    })
}

/// Counts drains of fleets that are there, while this process leads: a stand-by sees the same pods.
pub async fn count(context: &Context, leads: &CancellationToken, mut drains: UnboundedReceiver<Drain>) {
    while let Some(drain) = drains.next().await {
        if !leads.is_cancelled() {
            continue;
        }
        let Drain {
            namespace,
            fleet,
            outcome,
        } = &drain;
        let fleets = context.scopes.iter().flat_map(|scope| scope.workers.state());
        let uid = fleets
            .into_iter()
            .find(|worker| worker.namespace().as_ref() == Some(namespace) && worker.name_any() == *fleet)
            .and_then(|worker| worker.uid());
        if let Some(uid) = uid {
            let labels = [
                ("worker_namespace", namespace.as_str()),
                ("worker", fleet),
                ("outcome", outcome),
            ];
            context.metrics.series().count(&uid, TOTAL, &labels);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(deleted: bool, state: &serde_json::Value) -> Pod {
        let mut pod = serde_json::json!({
            "metadata": {"name": "a-1", "namespace": "shop", "labels": {names::LABEL_WORKER: "billing"}},
            "status": {"containerStatuses": [{
                "name": names::WORKER_CONTAINER, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state,
            }]},
        });
        if deleted {
            pod["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z".into();
        }
        serde_json::from_value(pod).expect("a pod")
    }

    #[test]
    fn the_exit_code_tells_how_it_ended() {
        let ended = |code: i32| of(&pod(true, &serde_json::json!({"terminated": {"exitCode": code}})));
        assert_eq!(ended(0).map(|drain| drain.outcome), Some("Clean"));
        for code in [75, 137, 143] {
            assert_eq!(ended(code).map(|drain| drain.outcome), Some("Forced"), "{code}");
        }
    }

    #[test]
    fn an_end_that_nobody_saw_is_not_counted() {
        assert_eq!(of(&pod(true, &serde_json::json!({"running": {}}))), None);
        assert_eq!(
            of(&pod(false, &serde_json::json!({"terminated": {"exitCode": 0}}))),
            None
        );
    }
}
