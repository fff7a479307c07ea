//! From the size decided to writes: out at once; in by two writes, the victims' deletion cost first and the replicas when our
//! own watch shows it for a second, with the work in the pods read again in between.

use jiff::{SignedDuration, Timestamp};

use crate::autoscale::Seen;
use crate::desired::Desired;
use crate::memory::{Memory, ScaleIn};
use crate::rules::size::{Shrink, Sized};
use crate::rules::victims;
use crate::step::{Step, Why};
use crate::world::{DeploymentView, PodView, World};

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
        let since = if marked { chosen.marked.or(Some(now)) } else { None };
        let settled = since.is_some_and(|since| now.duration_since(since) >= SETTLE);
        if settled && steps.is_empty() {
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
    let serving = |uid: &String| pods.iter().find(|pod| &pod.uid == uid && pod.serves());
    if let Some(pending) = &memory.scale_in {
        // Between the two writes the law may say "keep" (it steps at intervals): only a need for more pods, a doubt or a pause ends
        // what was announced. Zero needs its own word again, as a task may have come.
        let keeps = matches!(sized.shrink, Shrink::Keep | Shrink::ByLaw) && sized.replicas == view.replicas;
        let still = sized.replicas < view.replicas || (keeps && pending.to > 0 && sized.holds_no_doubt());
        let victims = pending.victims.iter().filter_map(serving).collect::<Vec<_>>();
        let complete =
            victims.len() == pending.victims.len() && view.replicas as usize == pending.to as usize + victims.len();
        let fit = victims::choose(pods, pods.len(), desired.graceful);
        if still && complete && pending.victims.iter().all(|uid| fit.contains(uid)) {
            let marked = victims.iter().all(|pod| pod.deletion_cost == Some(VICTIM_COST));
            return Some((pending.clone(), marked));
        }
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
    let victims = victims::choose(pods, wanted, desired.graceful);
    if victims.is_empty() {
        return None;
    }
    let marked = pods
        .iter()
        .filter(|pod| victims.contains(&pod.uid))
        .all(|pod| pod.deletion_cost == Some(VICTIM_COST));
    let chosen = ScaleIn {
        to: view.replicas - victims.len() as u32,
        victims,
        marked: None,
        reason: sized.why.reason.clone(),
        message: sized.why.message.clone(),
    };
    Some((chosen, marked))
}

fn marks(pods: &[PodView], victims: &[String]) -> Vec<Step> {
    pods.iter()
        .filter(|pod| victims.contains(&pod.uid) && pod.deletion_cost != Some(VICTIM_COST))
        .map(|pod| Step::MarkPod {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            victim: true,
        })
        .collect()
}

fn take_back(pods: &[PodView], victims: &[String]) -> Vec<Step> {
    pods.iter()
        .filter(|pod| pod.serves() && pod.deletion_cost == Some(VICTIM_COST) && !victims.contains(&pod.uid))
        .map(|pod| Step::MarkPod {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            victim: false,
        })
        .collect()
}
