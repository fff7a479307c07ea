//! Who goes in a scale-in: not ready first (the `ReplicaSet` takes those first whatever their cost), then idle, then those whose
//! work ends within their grace period, then the smallest remaining work.

use crate::world::PodView;

/// Chooses `count` victims among the serving pods, or fewer. `long` tells whose work may outlast the time that pods get to finish.
/// Returns UIDs in the order of choice.
pub fn choose(pods: &[PodView], count: usize, long: impl Fn(&PodView) -> bool) -> Vec<String> {
    let mut candidates: Vec<&PodView> = pods.iter().filter(|pod| pod.serves()).collect();
    candidates.sort_by(|a, b| rank(a, long(a)).cmp(&rank(b, long(b))));
    candidates.into_iter().take(count).map(|pod| pod.uid.clone()).collect()
}

/// A pod has work and is not Ready: it would be the `ReplicaSet`'s first victim, so nobody may go.
pub fn busy_and_unready(pods: &[PodView]) -> bool {
    pods.iter()
        .any(|pod| pod.serves() && pod.ready.is_none() && pod.busy().is_some_and(|busy| busy > 0))
}

/// Not ready, then known idle, then known busy with short work by tasks, then with long work, then unknown; the younger the earlier,
/// the UID as the last word so that two passes choose the same.
fn rank(pod: &PodView, long: bool) -> (bool, bool, bool, u32, std::cmp::Reverse<jiff::Timestamp>, &str) {
    (
        pod.ready.is_some(),
        pod.busy().is_none(),
        long && pod.busy() != Some(0),
        pod.busy().unwrap_or_default(),
        std::cmp::Reverse(pod.created),
        &pod.uid,
    )
}
