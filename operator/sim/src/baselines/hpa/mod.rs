//! Kubernetes' `HorizontalPodAutoscaler`, `autoscaling/v2`, whole.
//!
//! From the published algorithm ("Horizontal Pod Autoscaling" in the documentation of Kubernetes) and the behaviour of its
//! controller: a proposal per metric (`resource`, `external`), the largest of them (`metric`), then limits on the change
//! (`normalize`, `behavior`). Assumed, as the world has nothing finer: a pod starts when it is created, its last change of
//! readiness is the one that made it Ready, its CPU sample is as fresh as the sync, and a pod that drains is not Ready.

pub mod behavior;
pub mod external;
pub mod metric;
pub mod normalize;
pub mod resource;

pub use behavior::{Behavior, Kind, Policy, Rules, Select};
pub use metric::Metric;

use crate::scaler::Seen;
use normalize::{Bounds, History};

/// Period of its control loop [s] (`--horizontal-pod-autoscaler-sync-period`).
pub const SYNC_SECONDS: f64 = 15.0;

/// How far a ratio of use to target may be off without a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Above 1.
    pub up: f64,
    /// Below 1.
    pub down: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { up: 0.1, down: 0.1 }
    }
}

impl Tolerance {
    /// Whether a ratio of use to target is close enough to 1.
    pub fn holds(self, ratio: f64) -> bool {
        (1.0 - self.down..=1.0 + self.up).contains(&ratio)
    }
}

/// One HPA on one Deployment.
#[derive(Clone, Debug)]
pub struct Hpa {
    bounds: Bounds,
    behavior: Option<Behavior>,
    history: Option<History>,
}

impl Hpa {
    /// An HPA without memory. `min` 0 is read as 1, as without the alpha gate; `max` is at least `min`.
    pub fn new(min: u32, max: u32, behavior: Option<Behavior>) -> Self {
        let min = min.max(1);
        let max = max.max(min);
        Self {
            bounds: Bounds { min, max },
            behavior,
            history: None,
        }
    }

    /// One pass of the control loop: the replicas to write, if they change.
    pub fn sync(&mut self, seen: &Seen, metrics: &[Metric]) -> Option<u32> {
        let current = seen.replicas;
        let Bounds { min, max } = self.bounds;
        let tolerance = self.tolerance();
        // The size at the first sync counts as a recommendation, so that a restart does not scale in.
        let history = self.history.get_or_insert_with(|| History::starting(seen.now, current));
        let next = if current == 0 {
            // Zero means "autoscaling off" while `minReplicas` is not 0: it never wakes a Deployment.
            return None;
        } else if current > max {
            max
        } else if current < min {
            min
        } else {
            let desired = metric::desired(seen, metrics, tolerance)?;
            let change = normalize::Change {
                now: seen.now,
                current,
                desired,
            };
            match &self.behavior {
                None => history.without_behavior(change, self.bounds),
                Some(behavior) => history.with_behavior(change, self.bounds, behavior),
            }
        };
        history.scaled(seen.now, current, next);
        (next != current).then_some(next)
    }

    fn tolerance(&self) -> Tolerance {
        let default = Tolerance::default();
        self.behavior.as_ref().map_or(default, |behavior| Tolerance {
            up: behavior.up.tolerance.unwrap_or(default.up),
            down: behavior.down.tolerance.unwrap_or(default.down),
        })
    }
}
