//! What would change the answer: the load at which the targets ask for one pod less or one more. Everything but the load is taken
//! to stay as it is, so the figures are near ones: the size itself is always computed anew.

use crate::Target;
use crate::explain::Facts;
use crate::needs::{CpuNeed, KindNeed, Needs};
use crate::num::{finite, ratio, whole_pods};
use crate::words::{number, percent};

/// Pods are counted whole from this share of a pod on (see `num::whole_pods`).
const WORTH_A_POD: f64 = 0.1;

/// One sentence, or `None` where no load would change the size.
pub(crate) fn sentence(facts: &Facts<'_>) -> Option<String> {
    let needs = facts.needs;
    let (least, most) = (facts.bounds.0.max(1), facts.bounds.1);
    let size = whole_pods(needs.raw()).clamp(least.min(most), most);
    let less = f64::from(size) - 1.0 + WORTH_A_POD;
    let more = f64::from(size) + WORTH_A_POD;
    let at = |pods| share_of_load(needs, pods).map(|share| load(facts, finite(share)));
    let below = (size > least).then(|| at(less)).flatten();
    let above = (size < most).then(|| at(more)).flatten();
    let cpu = cheaper(needs, less).map_or_else(String::new, |share| {
        format!(" or with {} more CPU per pod", percent(share))
    });
    match (below, above) {
        (Some(below), Some(above)) => Some(format!(
            "One pod less below about {below}{cpu}, one more above about {above}."
        )),
        (Some(below), None) => Some(format!(
            "One pod less below about {below}{cpu}; more than {most} only with a higher maxReplicas."
        )),
        (None, Some(above)) => Some(format!("One pod more above about {above}.")),
        (None, None) => None,
    }
}

/// The share of the present load at which the largest answer is `pods`; `None` without a load.
fn share_of_load(needs: &Needs, pods: f64) -> Option<f64> {
    let linear = |asked: f64| (asked > 0.0).then(|| pods / asked);
    let by_slots = needs.latency.and_then(|_| {
        let shares = needs.kinds.iter().filter(|kind| kind.busy > 0.0);
        let shares = shares.map(|kind| ratio(carried(kind, pods / needs.trim.max(1.0)), kind.busy));
        shares.reduce(f64::min)
    });
    let by_cpu = needs.cpu.and_then(CpuNeed::pods).and_then(linear);
    let simple = needs.slot_use.into_iter().chain(needs.backlog);
    let simple = simple.filter_map(|need| linear(need.pods));
    let by_memory = needs.memory.and_then(|need| linear(need.pods));
    let modelled = by_slots.into_iter().chain(by_cpu).chain(by_memory);
    modelled.chain(simple).reduce(f64::min)
}

/// Busy slots that `pods` carry within the objective. The slots that the objective needs grow as `m + k·√m` (square-root
/// staffing); `k` is what it was for the present demand, and 95 % are never passed.
fn carried(kind: &KindNeed, pods: f64) -> f64 {
    let slots = libm::floor(pods * kind.per_pod + 1e-9);
    // Slots come whole: half a slot is what rounding up adds in the mean, and a trickle of tasks has a whole one all the same.
    let k = ((kind.slots - 0.5 - kind.busy) / libm::sqrt(kind.busy.max(1.0))).max(0.0);
    let root = (libm::sqrt(k * k + 4.0 * slots) - k) / 2.0;
    (root * root).min(0.95 * slots)
}

/// How much more CPU per pod would save a pod, as a share, where CPU alone stands against it.
fn cheaper(needs: &Needs, pods: f64) -> Option<f64> {
    let asked = needs.cpu.and_then(CpuNeed::pods)?;
    let simple = needs.slot_use.into_iter().chain(needs.backlog).map(|need| need.pods);
    let memory = needs.memory.map(|need| need.pods);
    let others = needs.latency.into_iter().chain(memory).chain(simple);
    let others = others.fold(0.0, f64::max);
    (needs.decider() == Target::CpuUtilization && others <= pods && asked > pods && pods > 0.0)
        .then(|| asked / pods - 1.0)
}

/// A share of the load in the unit that says most.
fn load(facts: &Facts<'_>, share: f64) -> String {
    let needs = facts.needs;
    if needs.decider() == Target::BacklogPerReplica {
        return format!("{} waiting tasks", number(share * facts.observed.queues.waiting()));
    }
    match &needs.kinds[..] {
        [kind] if kind.steady() => format!("{} tasks/s", number(share * kind.arrivals)),
        [kind] => format!("{} busy slots", number(share * kind.demand)),
        _ => format!("{} of this load", percent(share)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SlotKind;
    use crate::erlang::{Objective, Traffic, slots};

    fn traffic(busy: f64) -> Traffic {
        Traffic {
            busy,
            service: 2.0,
            burstiness: 1.0,
            room: 1.0,
        }
    }

    fn needed(busy: f64) -> f64 {
        let objective = Objective {
            seconds: 5.0,
            late: 0.01,
        };
        slots(traffic(busy), Some(objective))
    }

    #[test]
    fn what_pods_carry_is_what_they_are_asked_for_to_within_a_few_percent() {
        for busy in [3.0, 20.0, 108.0, 900.0] {
            let kind = KindNeed {
                kind: SlotKind::Activity,
                tasks: busy,
                arrivals: busy / 2.0,
                service: 2.0,
                demand: busy,
                busy,
                slots: needed(busy),
                lasting: (busy, needed(busy)),
                per_pod: 10.0,
                cpu_limited: false,
            };
            for pods in [0.7, 0.9, 1.1, 1.3].map(|share| share * kind.pods()) {
                let carried = carried(&kind, pods);
                let asked = needed(carried) / 10.0;
                assert!(
                    (asked - pods).abs() <= 0.06 * pods + 0.2,
                    "{busy} busy slots: {carried} carried by {pods} ask for {asked}"
                );
            }
        }
    }
}
