//! How pods ended, for the counter of drains: by themselves, or by force.

use std::collections::HashMap;
use std::time::Duration;

use fleet_crds::names;
use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// Name of the counter.
const TOTAL: &str = "temporal_fleet_worker_drains_total";
/// Name of the histogram, and its bounds [s]: from an idle worker to one with the longest grace period.
const DURATION: &str = "temporal_fleet_worker_drain_duration_seconds";
const BOUNDS: [f64; 12] = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];

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
    /// From the wish that the pod ends to the end of its worker, in whole seconds, as the API server and the kubelet stamp them. Absent if
    /// the wish was not seen.
    pub took: Option<Duration>,
}

/// When the end of pods was asked for. The kubelet stamps a pod anew when it removes it, so the first stamp is kept.
#[derive(Debug, Default)]
pub struct Asked(HashMap<String, Timestamp>);

impl Asked {
    /// A pod as it is.
    pub fn seen(&mut self, pod: &Pod) {
        let (Some(uid), Some(end)) = (&pod.metadata.uid, &pod.metadata.deletion_timestamp) else {
            return;
        };
        // The stamp is the end of the grace period.
        let grace = SignedDuration::from_secs(pod.metadata.deletion_grace_period_seconds.unwrap_or_default());
        self.0.entry(uid.clone()).or_insert(end.0 - grace);
    }

    /// A pod is gone; when its end was asked for.
    pub fn gone(&mut self, pod: &Pod) -> Option<Timestamp> {
        self.0.remove(pod.metadata.uid.as_ref()?)
    }

    /// All pods are listed anew: some may have gone unseen.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

/// What the last state of a pod tells, whose end was asked for at `asked`. Nothing of one that never ran, or that was removed before the
/// kubelet could say how it ended.
pub fn of(pod: &Pod, asked: Option<Timestamp>) -> Option<Drain> {
    pod.metadata.deletion_timestamp.as_ref()?;
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let worker = statuses.iter().find(|status| status.name == names::WORKER_CONTAINER)?;
    let ended = worker.state.as_ref()?.terminated.as_ref()?;
    let took = || Duration::try_from(ended.finished_at.as_ref()?.0.duration_since(asked?)).ok();
    Some(Drain {
        took: took(),
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
            took,
        } = &drain;
        let fleets = context.scopes.iter().flat_map(|scope| scope.workers.state());
        let uid = fleets
            .into_iter()
            .find(|worker| worker.namespace().as_ref() == Some(namespace) && worker.name_any() == *fleet)
            .and_then(|worker| worker.uid());
        if let Some(uid) = uid {
            let (series, [namespace, fleet]) = (
                context.metrics.series(),
                [("worker_namespace", namespace.as_str()), ("worker", fleet)],
            );
            series.count(&uid, TOTAL, &[namespace, fleet, ("outcome", outcome)]);
            if let Some(took) = took {
                series.observe(&uid, DURATION, &[namespace, fleet], &BOUNDS, *took);
            }
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
        let ended = |code: i32| of(&pod(true, &serde_json::json!({"terminated": {"exitCode": code}})), None);
        assert_eq!(ended(0).map(|drain| drain.outcome), Some("Clean"));
        for code in [75, 137, 143] {
            assert_eq!(ended(code).map(|drain| drain.outcome), Some("Forced"), "{code}");
        }
    }

    #[test]
    fn an_end_that_nobody_saw_is_not_counted() {
        assert_eq!(of(&pod(true, &serde_json::json!({"running": {}})), None), None);
        let crashed = pod(false, &serde_json::json!({"terminated": {"exitCode": 0}}));
        assert_eq!(of(&crashed, None), None);
    }

    #[test]
    fn a_drain_lasts_from_the_first_wish_to_the_end_of_the_worker() {
        let mut asked = Asked::default();
        let mut going = pod(true, &serde_json::json!({"running": {}}));
        going.metadata.uid = Some("u".into());
        going.metadata.deletion_grace_period_seconds = Some(80);
        asked.seen(&going);
        // The kubelet's own stamp when it removes the pod.
        let state = serde_json::json!({"terminated": {"exitCode": 0, "finishedAt": "2026-01-02T03:03:10Z"}});
        let mut gone = pod(true, &state);
        gone.metadata.uid = Some("u".into());
        gone.metadata.deletion_grace_period_seconds = Some(0);
        asked.seen(&gone);
        let since = asked.gone(&gone);
        assert_eq!(
            of(&gone, since).and_then(|drain| drain.took),
            Some(Duration::from_secs(25))
        );
        assert_eq!(asked.gone(&gone), None);
    }
}
