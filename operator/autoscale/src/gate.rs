//! The diagnosis gate: symptoms that more pods would not cure. They hold back what the latency target asks for; the CPU
//! target still acts, since CPU is measured where the work is.

use jiff::{SignedDuration, Timestamp};

use crate::downstream;
use crate::memory::Memory;
use crate::num::{elapsed, seconds};
use crate::queues::Queues;
use crate::workers::{PodStart, Workers};
use crate::{Limited, Policy, SlotKind};

/// Share of free slots from which the slots are not what tasks wait for.
const FREE: f64 = 0.3;
/// CPU use below which pods are not what tasks wait for.
const CALM: f64 = 0.6;

/// Why more pods would not help, with a line for people; `None` if they would.
pub(crate) fn diagnose(
    policy: &Policy,
    memory: &mut Memory,
    queues: &Queues,
    workers: &Workers,
    start: PodStart,
    interval: SignedDuration,
    now: Timestamp,
) -> Option<(Limited, String)> {
    let pollers = poller_bound(policy, queues, workers);
    if pollers.is_none() {
        memory.transient.pollers_since = None;
    }
    if let Some(kind) = SlotKind::ALL.into_iter().find(|kind| queues.limited[kind.index()]) {
        let text = format!(
            "a rate limit holds back {:.0} {kind} tasks: more pods would not help",
            queues.backlog[kind.index()]
        );
        return Some((Limited::RateLimited, text));
    }
    if let Some(text) = failing(workers) {
        return Some((Limited::NewPodsFailing, text));
    }
    if let Some(verdict) = downstream::diagnose(memory, queues, workers, start, now) {
        return Some(verdict);
    }
    let kind = pollers?;
    // A pod that has just become Ready has free slots too: only what lasts counts.
    let since = *memory.transient.pollers_since.get_or_insert(now);
    if elapsed(now, since) < 2.0 * seconds(interval) {
        return None;
    }
    let text = format!(
        "{kind} tasks wait {:.0} s beside free slots at low CPU: more pods would not help, more pollers may",
        queues.age[kind.index()]
    );
    Some((Limited::PollerBound, text))
}

/// Half of the pods made lately should have been Ready long ago. More would fail as they do.
fn failing(workers: &Workers) -> Option<String> {
    let Workers {
        made_lately, failing, ..
    } = *workers;
    (failing > 0 && 2 * failing >= made_lately).then(|| {
        format!(
            "{failing} of the {made_lately} pods made in the last 10 minutes do not become Ready: no more until they do"
        )
    })
}

/// A kind whose tasks wait longer than the objective although its pods have free slots and CPU.
fn poller_bound(policy: &Policy, queues: &Queues, workers: &Workers) -> Option<SlotKind> {
    let limit = policy.schedule_to_start.map(|target| target.seconds)?;
    if workers.coverage() < 0.95 || !workers.starting.is_empty() || workers.cpu.is_none_or(|cpu| cpu >= CALM) {
        return None;
    }
    SlotKind::ALL.into_iter().find(|kind| {
        let k = kind.index();
        let free = workers.room[k] - workers.used[k];
        queues.age[k] > limit && workers.room[k] > 0.0 && free >= FREE * workers.room[k]
    })
}
