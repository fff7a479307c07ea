//! To zero and back: the only place that ends the last pod. Zero needs positive knowledge of every queue and every pod, for the
//! whole cooldown; any gap begins the count anew. Pods that start only hold it up: each pod that leaves in quarantine has one made in its
//! place. What one of those does is seen in its report or in the queue; a task that it ended unseen would shorten the cooldown, no more.

use jiff::Timestamp;

use crate::memory::Memory;
use crate::num::{elapsed, seconds};
use crate::queues::Queues;
use crate::workers::{PodStart, Workers};
use crate::{Policy, Sample, SelectPolicy};

/// How far a fleet is from zero.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Idle {
    /// Something runs, waits or arrives, or might; or zero is not allowed.
    No,
    /// Nothing to do since `seconds`, of `cooldown`.
    For { seconds: f64, cooldown: f64 },
    /// Nothing to do for the whole cooldown.
    Enough { seconds: f64, cooldown: f64 },
}

/// Idle time that is asked for before zero [s].
pub(crate) fn cooldown(policy: &Policy, start: PodStart) -> f64 {
    seconds(policy.cooldown).max(2.0 * start.slow)
}

/// Keeps the count of idle time.
pub(crate) fn idle(
    policy: &Policy,
    memory: &mut Memory,
    sample: &Sample,
    queues: &Queues,
    workers: &Workers,
    start: PodStart,
    now: Timestamp,
) -> Idle {
    let forbidden = policy.min_replicas > 0
        || policy
            .scale_down
            .as_ref()
            .is_some_and(|behavior| behavior.select_policy == SelectPolicy::Disabled);
    let all_known = queues.recent
        && queues.fall.is_none()
        && workers.reporting == workers.ready
        && workers.recent == workers.ready
        && workers.stuck == 0;
    // Ghosts keep the pod that asks for them.
    let nothing = queues.waiting() <= 0.0
        && queues.ghosts.is_none()
        && workers.busy_slots == 0
        && !workers.active
        && !sample.rolling;
    if forbidden || sample.replicas == 0 || !all_known || !nothing {
        memory.transient.idle_since = None;
        return Idle::No;
    }
    // A pod that the sample does not show may be working.
    let complete = workers.starting.is_empty() && workers.ready >= sample.replicas;
    if complete {
        memory.transient.idle_since.get_or_insert(now);
    }
    let Some(since) = memory.transient.idle_since else {
        return Idle::No;
    };
    let (seconds, cooldown) = (elapsed(now, since).max(0.0), cooldown(policy, start));
    // The server's rate is a mean over 30 s: asked at the end, it speaks for the time before. Until then every task that came
    // would have shown in the counters of the pods, all of which report.
    if complete && seconds >= cooldown && queues.still() {
        Idle::Enough { seconds, cooldown }
    } else {
        Idle::For { seconds, cooldown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn the_cooldown_is_no_shorter_than_two_slow_starts() {
        let slow = |slow| PodStart { median: 1.0, slow };
        let policy = Policy {
            cooldown: SignedDuration::from_secs(60),
            ..Policy::default()
        };
        let cooldowns = [10.0, 50.0].map(|start| cooldown(&policy, slow(start)) as u32);
        assert_eq!(cooldowns, [60, 100]);
    }
}
