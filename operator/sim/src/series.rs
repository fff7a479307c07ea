//! The course of one run: curves for pictures, and the decisions.

use serde::Serialize;

/// A point of the curves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Time [s].
    pub at: f64,
    /// Tasks that wait, as they truly are.
    pub backlog: u64,
    /// Age of the oldest of them [s].
    pub age: f64,
    /// Replicas of the Deployment.
    pub desired: u32,
    /// Pods that poll.
    pub ready: u32,
    /// Pods on their way.
    pub starting: u32,
    /// Pods that end.
    pub draining: u32,
    /// Cost so far [pod-s].
    pub pod_seconds: f64,
}

/// A change of the size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Time [s].
    pub at: f64,
    /// Replicas before.
    pub from: u32,
    /// Replicas after.
    pub to: u32,
    /// What the scaler says about it.
    pub because: Option<String>,
}

/// The course of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Series {
    /// Points, evenly spaced.
    pub points: Vec<Point>,
    /// Changes of the size, in their order.
    pub changes: Vec<Change>,
}
