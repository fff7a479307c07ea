//! What annotations make of the size that was decided. The law was asked all the same, and what it recommends is published; only
//! the size that is written is another.

use crate::desired::{Desired, Size};
use crate::pause::{FORCE_ACTIVATION, Hold, PAUSED_REPLICAS};
use crate::rules::size::{Shrink, Sized};
use crate::step::Why;
use crate::world::World;

/// The size as the annotations leave it. A fleet is made in its own size, and held from then on.
pub fn hold(desired: &Desired, world: &World, sized: Sized) -> Sized {
    let ours = world.claimed_by.is_none() && world.rival.is_none();
    let sized = if desired.pause.force_activation && ours {
        activated(&desired.size, sized)
    } else {
        sized
    };
    let held = desired.pause.hold;
    match (held, sized.present) {
        (Hold::At(pods), _) => Sized {
            replicas: pods,
            why: annotation(PAUSED_REPLICAS, sized.replicas, pods),
            // As with `spec.replicas`: whose tasks outlast the grace is safe even so.
            shrink: Shrink::ByHand,
            ..sized
        },
        (Hold::Size, Some(present)) => stays(held, present, sized),
        (Hold::ScaleIn, Some(present)) if sized.replicas <= present => stays(held, present, sized),
        (Hold::ScaleOut, Some(present)) if sized.replicas > present => stays(held, present, sized),
        (Hold::No | Hold::Size | Hold::ScaleIn | Hold::ScaleOut, _) => sized,
    }
}

/// As if a task waited. A size that a person set is not the autoscaler's to raise.
fn activated(size: &Size, sized: Sized) -> Sized {
    let Size::Auto { policy, .. } = size else {
        return sized;
    };
    let least = policy.min_replicas.max(1);
    if sized.replicas >= least {
        return sized;
    }
    Sized {
        replicas: least,
        why: annotation(FORCE_ACTIVATION, sized.replicas, least),
        ..sized
    }
}

fn stays(held: Hold, present: u32, sized: Sized) -> Sized {
    let why = Why {
        reason: REASON.to_owned(),
        message: format!("{} -> {present}", held.describe()),
    };
    Sized {
        replicas: present,
        why,
        shrink: Shrink::Barred,
        ..sized
    }
}

/// Reason of a size that an annotation decided.
const REASON: &str = "Annotation";

fn annotation(name: &str, instead_of: u32, pods: u32) -> Why {
    let instead = if instead_of == pods {
        String::new()
    } else {
        format!(", instead of {instead_of}")
    };
    Why {
        reason: REASON.to_owned(),
        message: format!("annotation {name}{instead} -> {pods}"),
    }
}
