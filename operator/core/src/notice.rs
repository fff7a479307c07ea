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

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $reason:ident,)+) => {
        /// Reasons of events that a plan can ask for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum NoticeReason {
            $($(#[doc = $doc])+ $reason,)+
        }

        impl NoticeReason {
            /// All, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$reason,)+];

            /// The reason as it stands in the event.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$reason => stringify!($reason),)+ }
            }

            /// What it means, in one sentence.
            pub fn describe(self) -> &'static str {
                match self { $(Self::$reason => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

reasons! {
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
    /// The demand asks for more than maxReplicas.
    AtMaxReplicas,
    /// `spec.replicas` changed while the autoscaler decides the size: set autoscaling.minReplicas, or mode Off.
    ReplicasIgnored,
    /// Autoscaling ended; the size stays until `spec.replicas` changes.
    ReplicasHeld,
    /// Somebody else changed the size of the Deployment.
    ReplicasConflict,
    /// Pods are Ready and nobody polls.
    NoPollers,
    /// Temporal cannot be used.
    ConnectionFailed,
    /// Tasks outlast the time that pods get to finish: raise workerOptions.gracefulShutdownSeconds.
    ShutdownBudgetTooSmall,
    /// An older fleet sets another rate limit for a queue.
    TaskQueueRateConflict,
    /// The server did not take the rate limit of a queue.
    TaskQueueRateRefused,
    /// An annotation has a value that cannot be read; it is ignored.
    AnnotationInvalid,
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
