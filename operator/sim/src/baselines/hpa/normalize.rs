//! From a wish to a size: stabilisation over past recommendations, limits on the rate, bounds.

use super::behavior::{Behavior, Changed};
use crate::scaler::Time;

/// Window of scaling down where `behavior` is nil [s] (`--horizontal-pod-autoscaler-downscale-stabilization`).
const DOWN_SECONDS: f64 = 300.0;
/// Longest window that the API allows [s]: nothing older is ever asked for.
const LONGEST_SECONDS: f64 = 3600.0;

/// Bounds of the HPA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// `minReplicas`.
    pub min: u32,
    /// `maxReplicas`.
    pub max: u32,
}

/// A wish at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Now.
    pub now: Time,
    /// Replicas asked for on the Deployment.
    pub current: u32,
    /// Largest proposal of the metrics.
    pub desired: u32,
}

/// What an HPA remembers: recommendations before stabilisation, and its own changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    recommended: Vec<(Time, u32)>,
    added: Vec<(Time, u32)>,
    removed: Vec<(Time, u32)>,
}

impl History {
    /// A history in which the present size was recommended just now.
    pub fn starting(now: Time, current: u32) -> Self {
        Self {
            recommended: vec![(now, current)],
            ..Self::default()
        }
    }

    /// `behavior` nil: down to the largest recommendation of 300 s, up to at most twice the size or 4.
    pub fn without_behavior(&mut self, change: Change, bounds: Bounds) -> u32 {
        let Change { now, current, desired } = change;
        // This window includes its edge; the windows of `behavior` do not. So it is in the controller.
        let recent = self.recommended.iter().filter(|(at, _)| *at >= now - DOWN_SECONDS);
        let stable = recent.map(|(_, replicas)| *replicas).fold(desired, u32::max);
        self.recommend(now, desired);
        let limit = current.saturating_mul(2).max(4);
        stable.min(limit).min(bounds.max).max(bounds.min)
    }

    /// `behavior` set: stabilised in both directions, then limited by the policies of the direction.
    pub fn with_behavior(&mut self, change: Change, bounds: Bounds, behavior: &Behavior) -> u32 {
        let Change { now, current, desired } = change;
        let since = |seconds: f64| {
            let recent = self.recommended.iter().filter(move |(at, _)| *at > now - seconds);
            recent.map(|(_, replicas)| *replicas)
        };
        let least = since(behavior.up.stabilization_seconds).fold(desired, u32::min);
        let most = since(behavior.down.stabilization_seconds).fold(desired, u32::max);
        let stable = current.max(least).min(most);
        self.recommend(now, desired);
        let changed = |seconds: f64| self.changed(now, seconds);
        if stable > current {
            let limit = behavior.up.upper_limit(current, changed);
            stable.min(limit).min(bounds.max)
        } else {
            let limit = behavior.down.lower_limit(current, changed);
            stable.max(limit).max(bounds.min)
        }
    }

    /// Remembers that the HPA changed the size.
    pub fn scaled(&mut self, now: Time, from: u32, to: u32) {
        if to > from {
            remember(&mut self.added, now, to - from);
        } else if to < from {
            remember(&mut self.removed, now, from - to);
        }
    }

    fn recommend(&mut self, now: Time, replicas: u32) {
        remember(&mut self.recommended, now, replicas);
    }

    fn changed(&self, now: Time, seconds: f64) -> Changed {
        let sum = |list: &[(Time, u32)]| {
            let recent = list.iter().filter(|(at, _)| *at > now - seconds);
            recent.map(|(_, replicas)| *replicas).sum()
        };
        Changed {
            added: sum(&self.added),
            removed: sum(&self.removed),
        }
    }
}

/// Appends, and forgets what no window can reach.
fn remember(list: &mut Vec<(Time, u32)>, now: Time, replicas: u32) {
    list.retain(|(at, _)| *at >= now - LONGEST_SECONDS);
    list.push((now, replicas));
}
