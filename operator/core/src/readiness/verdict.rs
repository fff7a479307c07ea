//! A condition as it should stand.

use super::Reason;

/// Conditions of a `TemporalWorker`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // described in the API reference
pub enum ConditionType {
    Ready,
    Reconciling,
    Stalled,
    ConnectionReady,
    PollersReady,
    ScalingActive,
    ScalingLimited,
    ScalingPaused,
}

impl ConditionType {
    /// Every type.
    pub const ALL: [Self; 8] = [
        Self::Ready,
        Self::Reconciling,
        Self::Stalled,
        Self::ConnectionReady,
        Self::PollersReady,
        Self::ScalingActive,
        Self::ScalingLimited,
        Self::ScalingPaused,
    ];
}

/// Truth of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Truth {
    True,
    False,
    Unknown,
}

/// One condition as it should stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which condition.
    pub condition: ConditionType,
    /// Its truth.
    pub truth: Truth,
    /// Why.
    pub reason: Reason,
    /// In words, for people.
    pub message: String,
}

impl Verdict {
    pub(super) fn new(condition: ConditionType, truth: Truth, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            condition,
            truth,
            reason,
            message: message.into(),
        }
    }
}
