//! The simple targets, for fleets that come from other autoscalers: a share of busy slots, a number of waiting tasks per pod.
//! They know nothing of arrivals or service times, so they only ever add to what the model asks for.

use crate::SlotKind;
use crate::needs::{Missing, Observed};
use crate::num::{finite, ratio};

/// What a simple target measured and asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SimpleNeed {
    /// Share of busy slots, or waiting tasks.
    pub(crate) measured: f64,
    /// The goal, in the same unit.
    pub(crate) goal: f64,
    /// Pods.
    pub(crate) pods: f64,
}

/// Pods for which `goal` of the slots are busy. Resource-based slots have no number and do not count.
pub(crate) fn slot_utilization(observed: &Observed<'_>, goal: f64, missing: Missing) -> Option<SimpleNeed> {
    let goal = finite(goal).clamp(0.01, 1.0);
    let workers = &observed.workers;
    let silent = match missing {
        Missing::Idle => 0.0,
        Missing::Full => f64::from(workers.missing()),
    };
    let needs = SlotKind::ALL.map(SlotKind::index).map(|k| {
        let slots = observed.estimates.slots[k];
        (workers.room[k] > 0.0).then(|| SimpleNeed {
            measured: ratio(workers.used[k], workers.room[k]),
            goal,
            pods: ratio(workers.used[k] + silent * slots, goal * slots),
        })
    });
    needs
        .into_iter()
        .flatten()
        .reduce(|a, b| if b.pods > a.pods { b } else { a })
}

/// Pods for which each has `goal` waiting tasks.
pub(crate) fn backlog_per_replica(observed: &Observed<'_>, goal: u32) -> Option<SimpleNeed> {
    let goal = f64::from(goal.max(1));
    let waiting = observed.queues.waiting();
    observed.queues.gap.is_none().then(|| SimpleNeed {
        measured: waiting,
        goal,
        pods: finite(waiting) / goal,
    })
}
