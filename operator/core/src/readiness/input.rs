//! What the checks may look at.

use crate::autoscale::{Limited, ScalingActive, Seen};
use crate::desired::{Desired, Size};
use crate::world::{DeploymentView, PodView, World};

/// Everything the checks may look at.
pub struct Input<'a> {
    /// What is wanted.
    pub desired: &'a Desired,
    /// What was seen.
    pub world: &'a World,
    /// Size that was decided.
    pub replicas: u32,
    /// The spec's generation was not applied before this pass.
    pub new_generation: bool,
    /// A credential change restarts the pods.
    pub credential_restart: bool,
    /// Who sizes the Deployment, if somebody else does.
    pub owner: Option<&'a str>,
    /// What the scaling law says of its signals and bounds, if it was asked.
    pub scaling: Option<Scaling<'a>>,
}

/// The scaling law's own words.
pub struct Scaling<'a> {
    /// Whether it can act.
    pub active: ScalingActive,
    /// Why.
    pub active_message: &'a str,
    /// What bounds it.
    pub limited: Limited,
    /// Why.
    pub limited_message: &'a str,
}

pub(super) fn deployment<'a>(input: &'a Input) -> Option<&'a DeploymentView> {
    match &input.world.deployment {
        Seen::Known(child) => child.ours(),
        Seen::Unknown { .. } => None,
    }
}

pub(super) fn pods<'a>(input: &'a Input) -> &'a [PodView] {
    match &input.world.pods {
        Seen::Known(pods) => pods,
        Seen::Unknown { .. } => &[],
    }
}

/// As many pods are available as the size asks for, or as the smallest size would.
pub(super) fn enough_available(input: &Input) -> bool {
    let minimum = match &input.desired.size {
        Size::Auto { policy, .. } => policy.min_replicas.max(1),
        Size::Fixed { replicas, .. } => *replicas,
    };
    deployment(input).is_some_and(|view| view.available >= input.replicas.min(minimum))
}
