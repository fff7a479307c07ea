//! Quarantine: how a victim leaves whose work may outlast the time that pods get to finish. It is told to drain, taken out of its
//! `ReplicaSet` by its label, and deleted once it says that nothing is left, however long that takes.
//!
//! The pod itself is the only record: its deletion cost, its label, its owners and its own reports tell what is left to do, so that
//! any prefix of the writes is a valid start.

use jiff::{SignedDuration, Timestamp};

use crate::autoscale::{self, SlotReport};
use crate::memory::ScaleIn;
use crate::rules::scale::VICTIM_COST;
use crate::step::Step;
use crate::world::{Connection, PodView, Quarantine, World};

/// How many times the mean a task may take before it counts as finished in time. Of times as spread as any that we simulate
/// (lognormal, standard deviation three times the mean) one in 13 000 is longer.
const TAIL: f64 = 100.0;
/// What a pod says for longer than this is no word about now.
const FRESH: SignedDuration = SignedDuration::from_secs(5);

/// Why this victim must leave by quarantine, in figures; `None` if its grace period is enough, or if it cannot be told to drain: such a
/// pod has its grace period and no more. One that runs nothing may be given a task until its end begins; one that never had any is left
/// out, as else each pod that a `ReplicaSet` makes in the place of another would need one more.
pub fn needed(pod: &PodView, graceful: SignedDuration, law: &autoscale::Memory) -> Option<String> {
    let report = pod.control()?;
    let slots = &report.pod.slots;
    let running = pod.busy()?;
    let (what, age, slowest) = if running > 0 {
        let Some(age) = report.oldest_task else {
            return Some(format!("runs {running} tasks, for how long is not known"));
        };
        let tasks = if running == 1 { "task" } else { "tasks" };
        let what = format!("runs {running} {tasks}, the oldest for {:.0} s", age.as_secs_f64());
        let slowest = slowest(slots.iter().filter(|slot| slot.used > 0), law);
        (what, age.as_secs_f64(), slowest)
    } else if slots.iter().any(|slot| slot.completions > 0) {
        // Of a kind that ran in other pods alone it may be given one as well.
        let comes = |slot: &&SlotReport| slot.completions > 0 || law.service_seconds(slot.kind).is_some();
        let slowest = slowest(slots.iter().filter(comes), law);
        ("runs nothing and may be given a task".to_owned(), 0.0, slowest)
    } else {
        return None;
    };
    let grace = graceful.as_secs_f64();
    let may_take = match slowest {
        None => "how long such tasks take is not known".to_owned(),
        Some(mean) => {
            let longest = age + TAIL * mean;
            if longest <= grace {
                return None;
            }
            format!("{age:.0} s + {TAIL} x {mean:.1} s = {longest:.0} s")
        }
    };
    Some(format!("{what}; {may_take}, and a pod gets {grace:.0} s to finish"))
}

/// Mean service time of the slowest of these kinds [s]; one that is not known makes the answer unknown.
fn slowest<'a>(mut slots: impl Iterator<Item = &'a SlotReport>, law: &autoscale::Memory) -> Option<f64> {
    slots.try_fold(0.0_f64, |slowest, slot| {
        Some(slowest.max(law.service_seconds(slot.kind)?))
    })
}

/// The steps by which a pod leaves: drained first, so that a pod that does not answer stays where it is.
pub fn leave(pod: &PodView, why: String) -> [Step; 2] {
    let (name, uid) = (pod.name.clone(), pod.uid.clone());
    let drain = Step::Drain {
        name: name.clone(),
        uid: uid.clone(),
    };
    let relabel = Step::Quarantine {
        name,
        uid,
        controller: false,
        why: Some(why),
    };
    [drain, relabel]
}

/// What is left to do for pods in quarantine, and for one that was told to drain and not yet taken out. A pod of a scale-in that is
/// still under way is not deleted: its place is not given up yet.
pub fn tend(world: &World, announced: Option<&ScaleIn>, now: Timestamp) -> Vec<Step> {
    // A worker that cannot tell Temporal about its last task says nothing about it, and nothing is deleted without Temporal.
    let connected = matches!(world.connection, Connection::Connected { .. });
    let may_go = |pod: &PodView| connected && announced.is_none_or(|scale_in| !scale_in.victims.contains(&pod.uid));
    let pods = world.pods.known().map(Vec::as_slice).unwrap_or_default();
    pods.iter()
        .filter(|pod| !pod.deleting)
        .filter_map(|pod| next(pod, may_go(pod), now))
        .collect()
}

/// Whether some pod is in quarantine: nothing but its own reports tells when it is done.
pub fn waits(world: &World) -> bool {
    let pods = world.pods.known().map(Vec::as_slice).unwrap_or_default();
    pods.iter().any(|pod| pod.quarantined() && !pod.deleting)
}

fn next(pod: &PodView, may_go: bool, now: Timestamp) -> Option<Step> {
    let (name, uid) = (pod.name.clone(), pod.uid.clone());
    if !pod.quarantined() {
        // Ours by its mark: a pod also stops taking tasks when its container is being restarted.
        let told = pod.serves() && pod.deletion_cost == Some(VICTIM_COST) && pod.drains();
        return told.then(|| Step::Quarantine {
            name,
            uid,
            controller: false,
            why: Some("was told to drain before".to_owned()),
        });
    }
    if pod.finished || done(pod, now) {
        return may_go.then_some(Step::DeletePod { name, uid });
    }
    // Its container began anew, and knows of no drain.
    if pod.control().is_some_and(|report| !report.draining) {
        return Some(Step::Drain { name, uid });
    }
    (pod.quarantine == Quarantine::Free).then_some(Step::Quarantine {
        name,
        uid,
        controller: true,
        why: None,
    })
}

/// It says now that it was told to drain and that nothing is left. What is not known is not done.
fn done(pod: &PodView, now: Timestamp) -> bool {
    let said = pod
        .control()
        .is_some_and(|report| report.draining && report.drained && now.duration_since(report.pod.at) <= FRESH);
    said && pod.busy() == Some(0)
}
