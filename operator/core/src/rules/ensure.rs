//! The objects of a fleet: there, as rendered, and ours.

use crate::autoscale::Seen;
use crate::desired::Desired;
use crate::step::Step;
use crate::world::{Child, ChildView, World};

/// Steps that make the fleet's objects what they should be. None while an object's state is unknown, and none at all while
/// one of our names is taken: half a fleet helps nobody.
pub fn ensure(desired: &Desired, world: &World, replicas: u32) -> Vec<Step> {
    let World {
        deployment,
        budget,
        control_secret,
        ..
    } = world;
    if taken(deployment) || taken(budget) || taken(control_secret) {
        return Vec::new();
    }
    let mut steps = Vec::new();
    match control_secret {
        Seen::Known(Child::Absent) => steps.push(Step::MakeControlSecret),
        Seen::Known(Child::Ours(view)) if view.hash.is_none() && !view.deleting => steps.push(Step::MakeControlSecret),
        // Pods cannot start without it: nothing that makes pods comes before it is known to be there.
        Seen::Unknown { .. } => return steps,
        Seen::Known(Child::Ours(_) | Child::Foreign { .. }) => {}
    }
    match deployment {
        Seen::Known(Child::Absent) => steps.push(Step::ApplyDeployment {
            replicas: Some(replicas),
        }),
        Seen::Known(Child::Ours(view)) if stale(&view.object, &desired.deployment_hash) => {
            steps.push(Step::ApplyDeployment {
                // Left out where anybody but the manager of this very step owns it: it then stays as it is.
                replicas: (!view.scale_managed && view.taken.is_none()).then_some(view.replicas),
            });
        }
        Seen::Known(Child::Ours(_) | Child::Foreign { .. }) | Seen::Unknown { .. } => {}
    }
    match budget {
        Seen::Known(Child::Absent) => steps.push(Step::ApplyBudget),
        Seen::Known(Child::Ours(view)) if stale(view, &desired.budget_hash) => steps.push(Step::ApplyBudget),
        Seen::Known(Child::Ours(_) | Child::Foreign { .. }) | Seen::Unknown { .. } => {}
    }
    steps
}

fn taken<T>(child: &Seen<Child<T>>) -> bool {
    matches!(child, Seen::Known(Child::Foreign { .. }))
}

/// Another hash, or a field that somebody took from us: apply again. An object on its way out is left alone.
fn stale(view: &ChildView, hash: &str) -> bool {
    !view.deleting && (view.hash.as_deref() != Some(hash) || !view.intact)
}
