//! Who goes in a scale-in: not ready first (the `ReplicaSet` takes those first whatever their cost), then idle, then the
//! smallest remaining work.

use jiff::SignedDuration;

use crate::autoscale::Seen;
use crate::world::PodView;

/// Chooses `count` victims among the serving pods, or fewer: a pod whose oldest task outlasts the time that pods get to finish
/// is never chosen, it would be cut off. Returns UIDs in the order of choice.
pub fn choose(pods: &[PodView], count: usize, graceful: SignedDuration) -> Vec<String> {
    let mut candidates: Vec<&PodView> = pods
        .iter()
        .filter(|pod| pod.serves() && !outlasts(pod, graceful))
        .collect();
    candidates.sort_by(|a, b| rank(a).cmp(&rank(b)));
    candidates.into_iter().take(count).map(|pod| pod.uid.clone()).collect()
}

/// A pod has work and is not Ready: it would be the `ReplicaSet`'s first victim, so nobody may go.
pub fn busy_and_unready(pods: &[PodView]) -> bool {
    pods.iter()
        .any(|pod| pod.serves() && pod.ready.is_none() && pod.busy().is_some_and(|busy| busy > 0))
}

fn outlasts(pod: &PodView, graceful: SignedDuration) -> bool {
    matches!(&pod.report, Seen::Known(report) if report.oldest_task.is_some_and(|age| age >= graceful))
}

/// Not ready, then known idle, then known busy by tasks, then unknown; the younger the earlier, the UID as the last word so
/// that two passes choose the same.
fn rank(pod: &PodView) -> (bool, u32, std::cmp::Reverse<jiff::Timestamp>, &str) {
    (
        pod.ready.is_some(),
        pod.busy().unwrap_or(u32::MAX),
        std::cmp::Reverse(pod.created),
        &pod.uid,
    )
}
