//! From the size decided to writes: out at once; in by two writes, the victims' deletion cost first and the replicas when our
//! own watch shows it for a second, with the work in the pods read again in between. A victim whose work may outlast its grace period, be
//! it what it runs or what it may be given in the meantime, leaves by quarantine before the replicas are lowered, and they are lowered
//! only once its `ReplicaSet` has let go of it: as long as it has not, it may take that pod for its own and end it.

use jiff::{SignedDuration, Timestamp};

use crate::autoscale::Seen;
use crate::desired::Desired;
use crate::memory::{Memory, ScaleIn};
use crate::rules::size::{Shrink, Sized};
use crate::rules::{quarantine, victims};
use crate::step::{Step, Why};
use crate::world::{DeploymentView, PodView, Quarantine, World};

/// Deletion cost of a victim; all others stay at the implicit 0.
pub const VICTIM_COST: i32 = -100;
/// How long the marks must have been visible before the size is lowered: the `ReplicaSet` controller reads its own cache.
const SETTLE: SignedDuration = SignedDuration::from_secs(1);

/// Writes towards the size, and what to remember of a scale-in under way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scaling {
    /// Marks, and at most one change of size.
    pub steps: Vec<Step>,
    /// The announced scale-in, if one is under way.
    pub scale_in: Option<ScaleIn>,
    /// The size to hold the Deployment to from now on.
    pub desired: u32,
    /// Look again this soon.
    pub again: Option<SignedDuration>,
}

/// Plans the writes.
pub fn scale(
    desired: &Desired,
    world: &World,
    memory: &Memory,
    sized: &Sized,
    view: &DeploymentView,
    now: Timestamp,
) -> Scaling {
    let pods: &[PodView] = match &world.pods {
        Seen::Known(pods) => pods,
        Seen::Unknown { .. } => &[],
    };
    let to = |to: u32, why: Option<Why>| Step::Scale {
        from: view.replicas,
        to,
        uid: view.object.uid.clone(),
        resource_version: view.object.resource_version.clone(),
        why,
    };
    if sized.replicas > view.replicas {
        let mut steps = vec![to(sized.replicas, Some(sized.why.clone()))];
        steps.extend(take_back(pods, &[]));
        return Scaling {
            steps,
            desired: sized.replicas,
            ..Scaling::default()
        };
    }
    if let Some((chosen, marked)) = under_way(desired, world, memory, sized, view, pods) {
        let mut steps = marks(pods, &chosen.victims);
        // Of two pods with the mark the ReplicaSet may take either.
        let alone = !pods
            .iter()
            .any(|pod| pod.serves() && pod.deletion_cost == Some(VICTIM_COST) && !chosen.victims.contains(&pod.uid));
        let since = if marked && alone {
            // A clock that went back begins the second anew.
            chosen.marked.filter(|marked| *marked <= now).or(Some(now))
        } else {
            None
        };
        let settled = since.is_some_and(|since| now.duration_since(since) >= SETTLE);
        if settled && steps.is_empty() {
            match leaving(pods, &chosen, desired, sized) {
                Leaving::Nobody => {
                    let why = Why {
                        reason: chosen.reason.clone(),
                        message: chosen.message.clone(),
                    };
                    return Scaling {
                        steps: vec![to(chosen.to, Some(why))],
                        desired: chosen.to,
                        ..Scaling::default()
                    };
                }
                Leaving::Begin(writes) => steps = writes,
                Leaving::Wait => {}
            }
        }
        steps.extend(take_back(pods, &chosen.victims));
        let scale_in = Some(ScaleIn {
            marked: since,
            ..chosen
        });
        return Scaling {
            steps,
            scale_in,
            desired: view.replicas,
            again: Some(SETTLE),
        };
    }
    // No change: take the field over where somebody else owns it, and take back marks of a choice that was abandoned.
    let mut steps = take_back(pods, &[]);
    if !view.scale_managed {
        steps.push(to(view.replicas, None));
    }
    Scaling {
        steps,
        desired: view.replicas,
        ..Scaling::default()
    }
}

/// How far the victims are that leave by quarantine.
enum Leaving {
    /// None of them, or all are out.
    Nobody,
    /// These begin now.
    Begin(Vec<Step>),
    /// Some are on their way.
    Wait,
}

fn leaving(pods: &[PodView], chosen: &ScaleIn, desired: &Desired, sized: &Sized) -> Leaving {
    let mut begin = Vec::new();
    let mut wait = false;
    // The law ends the last pods only when none had anything to do for minutes; to make others in their place would begin that anew.
    let rests = |pod: &PodView| chosen.to == 0 && sized.shrink == Shrink::ByLaw && pod.busy() == Some(0);
    for pod in pods
        .iter()
        .filter(|pod| chosen.victims.contains(&pod.uid) && !pod.deleting)
    {
        // One that drains already is taken out as well; that is not begun here.
        wait |= pod.quarantine == Quarantine::Leaving || (pod.serves() && pod.drains());
        if pod.serves()
            && !pod.drains()
            && !rests(pod)
            && let Some(why) = quarantine::needed(pod, desired.graceful, &sized.autoscale)
        {
            begin.extend(quarantine::leave(pod, why));
        }
    }
    if !begin.is_empty() {
        Leaving::Begin(begin)
    } else if wait {
        Leaving::Wait
    } else {
        Leaving::Nobody
    }
}

/// The size is somebody else's: no write of it, and no pod stays marked for a scale-in of ours.
pub fn hands_off(world: &World) -> Vec<Step> {
    world.pods.known().map_or_else(Vec::new, |pods| take_back(pods, &[]))
}

/// The scale-in to go on with, or a new one; and whether all its victims carry the mark. `None` while nobody may go.
fn under_way(
    desired: &Desired,
    world: &World,
    memory: &Memory,
    sized: &Sized,
    view: &DeploymentView,
    pods: &[PodView],
) -> Option<(ScaleIn, bool)> {
    let known = matches!(world.pods, Seen::Known(_));
    if !known || view.rolling() || victims::busy_and_unready(pods) {
        return None;
    }
    if let Some(pending) = memory
        .scale_in
        .as_ref()
        .filter(|pending| stands(pending, sized, view, pods))
    {
        let marked = members(pods, &pending.victims).all(|pod| pod.deletion_cost == Some(VICTIM_COST));
        return Some((pending.clone(), marked));
    }
    if sized.replicas >= view.replicas || !matches!(sized.shrink, Shrink::ByLaw | Shrink::ByHand) {
        return None;
    }
    let wanted = (view.replicas - sized.replicas) as usize;
    let serving = pods.iter().filter(|pod| pod.serves()).count();
    if serving < view.replicas as usize && serving <= sized.replicas as usize {
        // Fewer pods than asked for: lowering the number ends none of them.
        let chosen = ScaleIn {
            to: sized.replicas,
            victims: Vec::new(),
            marked: None,
            reason: sized.why.reason.clone(),
            message: sized.why.message.clone(),
        };
        return Some((chosen, true));
    }
    let long = |pod: &PodView| quarantine::needed(pod, desired.graceful, &sized.autoscale).is_some();
    let victims = victims::choose(pods, wanted, long);
    if victims.is_empty() {
        return None;
    }
    let marked = members(pods, &victims).all(|pod| pod.deletion_cost == Some(VICTIM_COST));
    let chosen = ScaleIn {
        to: view.replicas - victims.len() as u32,
        victims,
        marked: None,
        reason: sized.why.reason.clone(),
        message: sized.why.message.clone(),
    };
    Some((chosen, marked))
}

/// Whether a scale-in that was announced may go on: it is still wanted, its victims are still there or in quarantine, and lowering the
/// replicas would end nobody else.
fn stands(pending: &ScaleIn, sized: &Sized, view: &DeploymentView, pods: &[PodView]) -> bool {
    // Between the two writes the law may say "keep" (it steps at intervals): only a need for more pods, a doubt or a pause ends
    // what was announced. Zero needs its own word again, as a task may have come.
    let keeps = matches!(sized.shrink, Shrink::Keep | Shrink::ByLaw) && sized.replicas == view.replicas;
    let wanted = match pending.to {
        0 => sized.replicas == 0,
        _ => sized.replicas < view.replicas || (keeps && sized.holds_no_doubt()),
    };
    let staying = members(pods, &pending.victims).count();
    let away = pods
        .iter()
        .filter(|pod| pod.quarantined() && pending.victims.contains(&pod.uid))
        .count();
    // Without victims nobody goes: there were fewer pods than asked for.
    let step = view.replicas.saturating_sub(pending.to) as usize;
    let complete = staying + away == pending.victims.len()
        && step > 0
        && (pending.victims.is_empty() || step == pending.victims.len());
    // A victim that has fallen silent may have been given work; a person who asks for a size gets it all the same.
    let readable = |pod: &PodView| pod.report.is_known() || pod.ready.is_none() || pod.never_reported;
    let read_again = sized.shrink == Shrink::ByHand || members(pods, &pending.victims).all(readable);
    // In the place of a pod in quarantine its ReplicaSet makes another, and ends it first as long as it is not Ready.
    let serving = pods.iter().filter(|pod| pod.serves()).count();
    let fresh = pods
        .iter()
        .filter(|pod| pod.serves() && pod.ready.is_none() && !pending.victims.contains(&pod.uid))
        .count();
    let ends_nobody_else = serving.saturating_sub(pending.to as usize) <= staying + fresh;
    wanted && complete && read_again && ends_nobody_else
}

/// The victims that are still in their `ReplicaSet`.
fn members<'a>(pods: &'a [PodView], victims: &'a [String]) -> impl Iterator<Item = &'a PodView> {
    pods.iter().filter(|pod| pod.serves() && victims.contains(&pod.uid))
}

fn marks(pods: &[PodView], victims: &[String]) -> Vec<Step> {
    members(pods, victims)
        .filter(|pod| pod.deletion_cost != Some(VICTIM_COST))
        .map(|pod| Step::MarkPod {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            victim: true,
        })
        .collect()
}

/// One that was told to drain keeps its mark: by that it is known as ours to take out.
fn take_back(pods: &[PodView], victims: &[String]) -> Vec<Step> {
    pods.iter()
        .filter(|pod| pod.serves() && pod.deletion_cost == Some(VICTIM_COST))
        .filter(|pod| !victims.contains(&pod.uid) && !pod.drains())
        .map(|pod| Step::MarkPod {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            victim: false,
        })
        .collect()
}
