//! Notices: what people should hear of once. They become events.

/// One event in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Normal or Warning.
    pub warning: bool,
    /// CamelCase reason, part of the API.
    pub reason: NoticeReason,
    /// In words, with the arithmetic where there is one.
    pub message: String,
}

/// Reasons of events that a plan can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeReason {
    /// The fleet grew.
    ScaledUp,
    /// The fleet shrank.
    ScaledDown,
    /// The fleet went to zero.
    ScaledToZero,
    /// The fleet left zero.
    Activated,
    /// Pods left their `ReplicaSet` to finish tasks that may outlast their grace period.
    PodQuarantined,
    /// An annotation holds changes of size back.
    Paused,
    /// No annotation holds them back any more.
    Resumed,
    /// Pods are restarted for changed credentials.
    CredentialsRotated,
    /// The autoscaler has no valid signal.
    ScalingSignalFailed,
    /// The autoscaler has had no valid signal for so long that the fallback counts.
    FallbackActive,
    /// The recommendation is at the upper bound.
    AtMaxReplicas,
    /// `spec.replicas` changed while the autoscaler decides the size.
    ReplicasIgnored,
    /// Autoscaling ended; the size stays.
    ReplicasHeld,
    /// Somebody else changed the size of the Deployment.
    ReplicasConflict,
    /// Pods are Ready and nobody polls.
    NoPollers,
    /// Temporal cannot be used.
    ConnectionFailed,
    /// Tasks outlast the time that pods get to finish.
    ShutdownBudgetTooSmall,
    /// An older fleet sets another rate limit for a queue.
    TaskQueueRateConflict,
    /// The server did not take the rate limit of a queue.
    TaskQueueRateRefused,
    /// An annotation has a value that cannot be read; it is ignored.
    AnnotationInvalid,
}

impl NoticeReason {
    /// The reason as it stands in the event.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ScaledUp => "ScaledUp",
            Self::ScaledDown => "ScaledDown",
            Self::ScaledToZero => "ScaledToZero",
            Self::Activated => "Activated",
            Self::PodQuarantined => "PodQuarantined",
            Self::Paused => "Paused",
            Self::Resumed => "Resumed",
            Self::CredentialsRotated => "CredentialsRotated",
            Self::ScalingSignalFailed => "ScalingSignalFailed",
            Self::FallbackActive => "FallbackActive",
            Self::AtMaxReplicas => "AtMaxReplicas",
            Self::ReplicasIgnored => "ReplicasIgnored",
            Self::ReplicasHeld => "ReplicasHeld",
            Self::ReplicasConflict => "ReplicasConflict",
            Self::NoPollers => "NoPollers",
            Self::ConnectionFailed => "ConnectionFailed",
            Self::ShutdownBudgetTooSmall => "ShutdownBudgetTooSmall",
            Self::TaskQueueRateConflict => "TaskQueueRateConflict",
            Self::TaskQueueRateRefused => "TaskQueueRateRefused",
            Self::AnnotationInvalid => "AnnotationInvalid",
        }
    }
}

impl Notice {
    /// A normal change.
    pub fn normal(reason: NoticeReason, message: impl Into<String>) -> Self {
        Self {
            warning: false,
            reason,
            message: message.into(),
        }
    }

    /// Something a person should look at.
    pub fn warning(reason: NoticeReason, message: impl Into<String>) -> Self {
        Self {
            warning: true,
            reason,
            message: message.into(),
        }
    }
}
