//! Why a condition holds or does not: a closed set. What each means stands in the API's own table; the two are compared in
//! the operator's tests, as no crate below it knows both.

/// Declares the reasons, so that their list and their names cannot differ from the variants.
macro_rules! reasons {
    ($($reason:ident,)+) => {
        /// Reasons of conditions, each documented in the API reference under the same name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        pub enum Reason {
            $($reason,)+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$reason,)+];

            /// The reason as it stands in the condition: the variant's own name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => stringify!($reason),)+
                }
            }

            /// [`Reason::as_str`], owned.
            pub fn name(self) -> String {
                self.as_str().to_owned()
            }
        }
    };
}

reasons! {
    Available,
    ScaledToZero,
    Progressing,
    TooFewAvailable,
    NoPollers,
    ConnectionFailed,
    Stalled,
    NewGeneration,
    RolloutRunning,
    CredentialRestart,
    UpToDate,
    NoError,
    Connected,
    Unreachable,
    Polling,
    QueueNotPolled,
    SignalsValid,
    SignalsDegraded,
    PollBudgetStretched,
    SignalsUnknown,
    FallbackActive,
    DryRun,
    TurnedOff,
    ReplicasOwnedByOther,
    QueueClaimedByOther,
    AtMaxReplicas,
    AtMinReplicas,
    LimitedByBehavior,
    RateLimited,
    PollerBound,
    DownstreamBound,
    NewPodsFailing,
    GhostBacklog,
    WithinBounds,
    Paused,
    PausedAtReplicas,
    ScaleInPaused,
    ScaleOutPaused,
    NotPaused,
    ConnectionNotFound,
    SecretNotFound,
    SecretInvalid,
    CertificateExpired,
    Unauthenticated,
    TLSHandshakeFailed,
    AddressNotAllowed,
    TemporalNamespaceNotFound,
    PodTemplateInvalid,
    ImagePullFailed,
    CrashLooping,
    QuotaExceeded,
    ProgressDeadlineExceeded,
    NameTaken,
    Unschedulable,
    NotObserved,
}
