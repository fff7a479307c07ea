//! What an HPA is told to look at, and how several metrics become one wish.

use super::{Tolerance, external, resource};
use crate::scaler::Seen;

/// A metric with its target, as read for one sync; `None` where the metrics API has no value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// `Resource` cpu, `Utilization`: mean CPU use of the pods in per cent of their request.
    CpuUtilization {
        /// Wanted per cent.
        percent: u32,
    },
    /// `External`, `AverageValue`: a figure that replicas share evenly, such as a backlog.
    AverageValue {
        /// The figure now.
        usage: Option<f64>,
        /// Wanted per replica.
        target: f64,
    },
    /// `External`, `Value`: a figure that falls as replicas are added, such as a share of slots in use.
    Value {
        /// The figure now.
        usage: Option<f64>,
        /// Wanted value.
        target: f64,
    },
}

/// Replicas that a metric proposes; `None` if it has no valid value.
pub fn proposal(seen: &Seen, metric: &Metric, tolerance: Tolerance) -> Option<u32> {
    match *metric {
        Metric::CpuUtilization { percent } => {
            resource::proposal(&seen.pods, seen.replicas, percent, tolerance, seen.now)
        }
        Metric::AverageValue { usage, target } => external::average_value(usage?, target, &seen.pods, tolerance),
        Metric::Value { usage, target } => external::value(usage?, target, seen.replicas, &seen.pods, tolerance),
    }
}

/// The largest proposal; `None`, which means hold, if no metric is valid, or if one is not and the others ask for less.
pub fn desired(seen: &Seen, metrics: &[Metric], tolerance: Tolerance) -> Option<u32> {
    let proposals: Vec<_> = metrics.iter().map(|metric| proposal(seen, metric, tolerance)).collect();
    largest(&proposals, seen.replicas)
}

/// The largest of the proposals for a Deployment of `current` replicas, if they may be followed.
pub fn largest(proposals: &[Option<u32>], current: u32) -> Option<u32> {
    let largest = proposals.iter().copied().flatten().max()?;
    let blind = proposals.contains(&None);
    (!blind || largest >= current).then_some(largest)
}
