//! Quarantine: how a victim leaves whose work may outlast the time that pods get to finish. It is told to drain, taken out of its
//! `ReplicaSet` by its label, and deleted once it says that nothing is left, however long that takes.
//!
//! The pod itself is the only record: its deletion cost, its label, its owners and its own reports tell what is left to do, so that
//! any prefix of the writes is a valid start.

use jiff::{SignedDuration, Timestamp};

use crate::autoscale;
use crate::memory::ScaleIn;
use crate::rules::scale::VICTIM_COST;
use crate::step::Step;
use crate::world::{Connection, PodView, Quarantine, World};

/// How many times the mean a task may take before it counts as finished in time. Of times as spread as any that we simulate
/// (lognormal, standard deviation three times the mean) one in 13 000 is longer.
const TAIL: f64 = 100.0;
/// What a pod says for longer than this is no word about now.
const FRESH: SignedDuration = SignedDuration::from_secs(5);

/// Why this victim must leave by quarantine, in figures; `None` if its grace period is enough, if it runs nothing, or if it cannot be
/// told to drain: such a pod has its grace period and no more.
pub fn needed(pod: &PodView, graceful: SignedDuration, law: &autoscale::Memory) -> Option<String> {
    let report = pod.control()?;
    let running = pod.busy().filter(|running| *running > 0)?;
    let Some(age) = report.oldest_task else {
        return Some(format!("runs {running} tasks, for how long is not known"));
    };
    let mut means = report
        .pod
        .slots
        .iter()
        .filter(|slot| slot.used > 0)
        .map(|slot| law.service_seconds(slot.kind));
    // Of the kinds that run here the slowest; one that is not known makes the answer unknown.
    let slowest = means.try_fold(0.0_f64, |slowest, mean| Some(slowest.max(mean?)));
    let (age, grace) = (age.as_secs_f64(), graceful.as_secs_f64());
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
    let tasks = if running == 1 { "task" } else { "tasks" };
    Some(format!(
        "runs {running} {tasks}, the oldest for {age:.0} s; {may_take}, and a pod gets {grace:.0} s to finish"
    ))
}

/// Whether an idle victim is told to drain before its place is given up: until its end begins it may take a task, and one that takes longer
/// than the grace period would be cut off. Tasks that fit into it need no such care; a kind of which none ever ended here is not expected.
pub fn drain_first(pod: &PodView, graceful: SignedDuration, law: &autoscale::Memory) -> bool {
    let Some(report) = pod.control().filter(|_| pod.busy() == Some(0)) else {
        return false;
    };
    let means = report
        .pod
        .slots
        .iter()
        .filter_map(|slot| law.service_seconds(slot.kind));
    means
        .reduce(f64::max)
        .is_none_or(|slowest| TAIL * slowest > graceful.as_secs_f64())
}

/// The steps by which a pod leaves: drained first, so that a pod that does not answer stays where it is.
pub fn leave(pod: &PodView, why: String) -> [Step; 2] {
    let relabel = Step::Quarantine {
        name: pod.name.clone(),
        uid: pod.uid.clone(),
        controller: false,
        why: Some(why),
    };
    [drain(pod), relabel]
}

/// Tells a pod to take no new task.
pub fn drain(pod: &PodView) -> Step {
    Step::Drain {
        name: pod.name.clone(),
        uid: pod.uid.clone(),
    }
}

/// What is left to do for pods in quarantine, and for one that was told to drain and not yet taken out. A pod of a scale-in that is
/// still under way is not deleted: its place is not given up yet. Nor is one taken out that runs nothing and goes with that scale-in, or
/// with the size that is written, `replicas`, which its `ReplicaSet` may not have seen.
pub fn tend(world: &World, announced: Option<&ScaleIn>, replicas: u32, now: Timestamp) -> Vec<Step> {
    // A worker that cannot tell Temporal about its last task says nothing about it, and nothing is deleted without Temporal.
    let connected = matches!(world.connection, Connection::Connected { .. });
    let goes = |pod: &PodView| announced.is_some_and(|scale_in| scale_in.victims.contains(&pod.uid));
    let pods = world.pods.known().map(Vec::as_slice).unwrap_or_default();
    let serving = pods.iter().filter(|pod| pod.serves()).count();
    let surplus = serving > replicas as usize;
    let stays = |pod: &PodView| (goes(pod) && pod.busy() == Some(0)) || (surplus && done(pod, now));
    pods.iter()
        .filter(|pod| !pod.deleting)
        .filter(|pod| pod.quarantined() || !stays(pod))
        .filter_map(|pod| next(pod, connected && !goes(pod), now))
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
pub fn done(pod: &PodView, now: Timestamp) -> bool {
    let said = pod
        .control()
        .is_some_and(|report| report.draining && report.drained && now.duration_since(report.pod.at) <= FRESH);
    said && pod.busy() == Some(0)
}
