//! Which pods the cluster autoscaler must not evict to empty a node: an eviction gives each task the grace period, and these run one that
//! has outlasted it already, or drain without a deadline. All others it may take, or no node with workers could ever go.
//!
//! What the annotation says, whose it is and since when is read from the pod: there is nothing to remember.

use jiff::{SignedDuration, Timestamp};

use crate::desired::Desired;
use crate::step::Step;
use crate::world::{Eviction, PodView, World};

/// Most writes of one pass.
pub const MOST: usize = 20;
/// What is forbidden stays so for this long at least: else a pod whose tasks last about the grace period is written with each of them.
pub const LEAST: SignedDuration = SignedDuration::from_mins(1);

/// The writes of this pass after `before`: what is to be forbidden first, the oldest task first.
pub fn evict(desired: &Desired, world: &World, before: &[Step], now: Timestamp) -> Vec<Step> {
    let pods = world.pods.known().map(Vec::as_slice).unwrap_or_default();
    let mut changes: Vec<(&PodView, bool)> = pods
        .iter()
        .filter(|pod| !pod.deleting && !ends(before, pod))
        .filter_map(|pod| Some((pod, change(pod, desired.graceful, now)?)))
        .collect();
    changes.sort_by(|(a, bars_a), (b, bars_b)| (bars_b, oldest(b), &a.uid).cmp(&(bars_a, oldest(a), &b.uid)));
    let writes = changes.into_iter().take(MOST);
    writes
        .map(|(pod, barred)| Step::BarEviction {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            barred,
        })
        .collect()
}

/// What to write, if anything: nothing where it stands already, where somebody else has spoken, and where nobody knows.
fn change(pod: &PodView, graceful: SignedDuration, now: Timestamp) -> Option<bool> {
    let barred = would_cut_off(pod, graceful)?;
    match pod.eviction {
        Eviction::Theirs => None,
        Eviction::Open => barred.then_some(true),
        Eviction::Barred { since } => {
            let long_enough = since.is_none_or(|since| now.duration_since(since) >= LEAST);
            (!barred && long_enough).then_some(false)
        }
    }
}

/// Whether an eviction would cut off a task that runs now; `None` if nobody knows. Only `WorkerControl` tells how old tasks are.
fn would_cut_off(pod: &PodView, graceful: SignedDuration) -> Option<bool> {
    if pod.finished {
        return Some(false);
    }
    pod.control()?;
    if pod.busy()? == 0 {
        return Some(false);
    }
    // Whoever is in quarantine was promised all the time it needs.
    if pod.quarantined() {
        return Some(true);
    }
    Some(oldest(pod)? > graceful)
}

fn oldest(pod: &PodView) -> Option<SignedDuration> {
    pod.control()?.oldest_task
}

/// A step of this pass deletes the pod.
fn ends(before: &[Step], pod: &PodView) -> bool {
    before
        .iter()
        .any(|step| matches!(step, Step::DeletePod { uid, .. } if *uid == pod.uid))
}
