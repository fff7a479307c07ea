//! Proposals of metrics that come from outside the pods.

use super::Tolerance;
use crate::scaler::{Phase, Pod};

/// `AverageValue`: replicas that bring `usage / replicas` to the target. Replicas count only for the tolerance.
pub fn average_value(usage: f64, target: f64, pods: &[Pod], tolerance: Tolerance) -> Option<u32> {
    valid(usage, target)?;
    // `status.replicas`: all pods that are not being deleted, Ready or not.
    let replicas = pods.iter().filter(|pod| pod.phase != Phase::Draining).count() as u32;
    let ratio = usage / (target * f64::from(replicas));
    if tolerance.holds(ratio) {
        return Some(replicas);
    }
    Some((usage / target).ceil() as u32)
}

/// `Value`: Ready pods times the ratio of usage to target; `None` if there is no pod to count.
pub fn value(usage: f64, target: f64, replicas: u32, pods: &[Pod], tolerance: Tolerance) -> Option<u32> {
    valid(usage, target)?;
    let ratio = usage / target;
    if replicas == 0 {
        return Some(ratio.ceil() as u32);
    }
    if tolerance.holds(ratio) {
        return Some(replicas);
    }
    if pods.is_empty() {
        return None;
    }
    let ready = pods.iter().filter(|pod| pod.phase == Phase::Ready).count();
    Some((ratio * ready as f64).ceil() as u32)
}

/// The API refuses targets that are not positive; a usage is finite and not negative.
fn valid(usage: f64, target: f64) -> Option<()> {
    (usage.is_finite() && usage >= 0.0 && target.is_finite() && target > 0.0).then_some(())
}
