//! Conditions and their reasons. They are part of the API: people wait for them and alert on them.
//!
//! The text of a variant is its doc comment; `docs/reference/conditions.md` is generated from both tables.

use std::fmt;
use std::fmt::Write as _;

mod remedies;

/// Declares an enum whose variants are spelled in the API as in Rust and carry their doc comment as text.
macro_rules! documented_enum {
    ($(#[$meta:meta])* $name:ident { $(#[doc = $doc:literal] $variant:ident,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[doc = $doc] $variant,)+
        }

        impl $name {
            /// Every variant, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name used in the API.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }

            /// What it means, in one sentence.
            pub fn describe(self) -> &'static str {
                match self { $(Self::$variant => $doc.trim_ascii(),)+ }
            }

            /// The variant of that name.
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.as_str() == name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

documented_enum! {
    /// Type of a condition. All types of a kind are set on the first visit.
    ConditionType {
        /// Sums up: the connection works, every queue is polled, and enough pods are available.
        Ready,
        /// A change of the object or of its credentials is being carried out; scaling does not count.
        Reconciling,
        /// A person has to act.
        Stalled,
        /// Temporal answers with these credentials.
        ConnectionReady,
        /// Temporal sees our pods polling every queue.
        PollersReady,
        /// The autoscaler has what it needs and may act.
        ScalingActive,
        /// Something other than the demand set the size.
        ScalingLimited,
        /// An annotation holds changes of size back; what the autoscaler recommends is still published.
        ScalingPaused,
    }
}

documented_enum! {
    /// Reason of a condition.
    Reason {
        /// Not looked at yet.
        NotObserved,

        /// As many pods as desired are available and poll, or enough of them.
        Available,
        /// Idle, and without pods on purpose.
        ScaledToZero,
        /// Pods are starting or being replaced.
        Progressing,
        /// Fewer pods than needed are available.
        TooFewAvailable,
        /// Pods run, but poll none of the queues; in Ready and Stalled, also where one queue is polled by none of them.
        NoPollers,
        /// Temporal cannot be reached or refuses the credentials.
        ConnectionFailed,
        /// A person has to act; the condition Stalled says why.
        Stalled,

        /// The present generation of the object is being carried out.
        NewGeneration,
        /// Pods are being replaced.
        RolloutRunning,
        /// Pods are being replaced because the credentials changed.
        CredentialRestart,
        /// Nothing is left to do.
        UpToDate,

        /// No one has to act.
        NoError,
        /// The TemporalConnection does not exist in this Kubernetes namespace.
        ConnectionNotFound,
        /// A Secret does not exist in this Kubernetes namespace.
        SecretNotFound,
        /// A Secret lacks a key, or its content is not what it must be.
        SecretInvalid,
        /// The client certificate has ended.
        CertificateExpired,
        /// Temporal refuses the credentials.
        Unauthenticated,
        /// The TLS handshake failed.
        TLSHandshakeFailed,
        /// The operator may not connect to this address.
        AddressNotAllowed,
        /// Temporal does not know the Temporal namespace.
        TemporalNamespaceNotFound,
        /// The pod template uses reserved names, or pods cannot be made from it.
        PodTemplateInvalid,
        /// The image cannot be pulled.
        ImagePullFailed,
        /// The worker exits again and again.
        CrashLooping,
        /// A quota or an admission rule of the cluster stands against more pods; the message says which.
        QuotaExceeded,
        /// No progress within progressDeadlineSeconds.
        ProgressDeadlineExceeded,
        /// An object of that name exists and is not ours.
        NameTaken,
        /// No node has room for a pod.
        Unschedulable,

        /// Temporal answers; the message has its version.
        Connected,
        /// Temporal does not answer.
        Unreachable,

        /// Every queue is polled by our pods.
        Polling,
        /// Some queue is polled by none of our pods.
        QueueNotPolled,

        /// All signals are fresh.
        SignalsValid,
        /// Some signals are missing; decisions rest on the others.
        SignalsDegraded,
        /// Temporal is read later than it should be: the request budget of its namespace is used up.
        PollBudgetStretched,
        /// Needed signals are missing; the size stays.
        SignalsUnknown,
        /// Needed signals have been missing for long; autoscaling.fallback counts.
        FallbackActive,
        /// Recommendations are published only.
        DryRun,
        /// No autoscaling, or its mode is Off.
        TurnedOff,
        /// Another autoscaler, or somebody who writes it again and again, sets the size; this operator does not.
        ReplicasOwnedByOther,
        /// An older fleet has the same queue; this one runs at spec.replicas.
        QueueClaimedByOther,

        /// The demand asks for more than maxReplicas.
        AtMaxReplicas,
        /// The demand asks for less than minReplicas.
        AtMinReplicas,
        /// The rate of scale-in, the law's own or that of behavior, holds the size back.
        LimitedByBehavior,
        /// A rate limit of the queue stands against it: more pods would not help.
        RateLimited,
        /// Pollers stand against it: more pods would not help.
        PollerBound,
        /// Something behind the workers is full: the last scale-outs did not help.
        DownstreamBound,
        /// Half of the new pods do not become Ready: no more of them.
        NewPodsFailing,
        /// Waiting tasks count for nothing, as no worker gets them although slots are free; one pod keeps asking for them.
        GhostBacklog,
        /// The size is what the demand asks for.
        WithinBounds,

        /// The annotation paused keeps the size as it is.
        Paused,
        /// The annotation paused-replicas sets the size.
        PausedAtReplicas,
        /// The annotation paused-scale-in keeps the fleet from shrinking.
        ScaleInPaused,
        /// The annotation paused-scale-out keeps the fleet from growing.
        ScaleOutPaused,
        /// No annotation holds the size.
        NotPaused,
    }
}

use Reason as R;

/// Reasons that put `Stalled` to true. The same reason stands in `ConnectionReady` if the connection is the cause.
pub const STALLED_REASONS: &[Reason] = &[
    R::ConnectionNotFound,
    R::SecretNotFound,
    R::SecretInvalid,
    R::CertificateExpired,
    R::Unauthenticated,
    R::TLSHandshakeFailed,
    R::AddressNotAllowed,
    R::TemporalNamespaceNotFound,
    R::PodTemplateInvalid,
    R::ImagePullFailed,
    R::CrashLooping,
    R::NoPollers,
    R::QuotaExceeded,
    R::ProgressDeadlineExceeded,
    R::NameTaken,
    R::Unschedulable,
];

/// Those of [`STALLED_REASONS`] that concern the connection.
const CONNECTION_STALLED: &[Reason] = &[
    R::Unreachable,
    R::ConnectionNotFound,
    R::SecretNotFound,
    R::SecretInvalid,
    R::CertificateExpired,
    R::Unauthenticated,
    R::TLSHandshakeFailed,
    R::AddressNotAllowed,
    R::TemporalNamespaceNotFound,
];

impl ConditionType {
    /// Reasons with which this condition is true.
    pub fn true_reasons(self) -> &'static [Reason] {
        match self {
            Self::Ready => &[R::Available, R::ScaledToZero, R::Connected],
            Self::Reconciling => &[R::NewGeneration, R::RolloutRunning, R::CredentialRestart],
            Self::Stalled => STALLED_REASONS,
            Self::ConnectionReady => &[R::Connected],
            Self::PollersReady => &[R::Polling, R::ScaledToZero],
            Self::ScalingActive => &[R::SignalsValid, R::SignalsDegraded, R::PollBudgetStretched],
            Self::ScalingLimited => &[
                R::AtMaxReplicas,
                R::AtMinReplicas,
                R::LimitedByBehavior,
                R::RateLimited,
                R::PollerBound,
                R::DownstreamBound,
                R::NewPodsFailing,
                R::GhostBacklog,
            ],
            Self::ScalingPaused => &[R::Paused, R::PausedAtReplicas, R::ScaleInPaused, R::ScaleOutPaused],
        }
    }

    /// Reasons with which this condition is false.
    pub fn false_reasons(self) -> &'static [Reason] {
        match self {
            Self::Ready => &[
                R::Progressing,
                R::TooFewAvailable,
                R::NoPollers,
                R::ConnectionFailed,
                R::Stalled,
                R::Unreachable,
            ],
            Self::Reconciling => &[R::UpToDate],
            Self::Stalled => &[R::NoError],
            Self::ConnectionReady => CONNECTION_STALLED,
            Self::PollersReady => &[R::NoPollers, R::QueueNotPolled],
            Self::ScalingActive => &[
                R::SignalsUnknown,
                R::FallbackActive,
                R::DryRun,
                R::TurnedOff,
                R::ReplicasOwnedByOther,
                R::QueueClaimedByOther,
            ],
            Self::ScalingLimited => &[R::WithinBounds],
            Self::ScalingPaused => &[R::NotPaused],
        }
    }
}

/// Condition types of a `TemporalWorker`.
pub const WORKER_CONDITIONS: &[ConditionType] = ConditionType::ALL;
/// Condition types of a `TemporalConnection`.
pub const CONNECTION_CONDITIONS: &[ConditionType] =
    &[ConditionType::Ready, ConditionType::Reconciling, ConditionType::Stalled];

/// The reference page of conditions and reasons, in Markdown.
pub fn reference() -> String {
    let names = |reasons: &[Reason]| reasons.iter().map(|r| format!("`{r}`")).collect::<Vec<_>>().join(" ");
    let mut page = String::from(
        "# Conditions and reasons\n\n\
         <!-- Generated from crds/src/conditions.rs by `make generate`; do not edit. -->\n\n\
         A `TemporalWorker` has all of these conditions, a `TemporalConnection` has `Ready`, `Reconciling` and `Stalled`.\n\
         All are set on the first visit; what is not known yet is `Unknown` with reason `NotObserved`. `Reconciling` and\n\
         `Stalled` are good when they are `False`. In `Ready`, `Connected` and `Unreachable` belong to a `TemporalConnection`.\n\n\
         | condition | meaning | reasons when `True` | reasons when `False` |\n|---|---|---|---|\n",
    );
    for c in ConditionType::ALL {
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{c}` | {} | {} | {} |",
            c.describe(),
            names(c.true_reasons()),
            names(c.false_reasons())
        );
    }
    page.push_str("\n| reason | meaning | what to do |\n|---|---|---|\n");
    for r in Reason::ALL {
        let _ = writeln!(
            page,
            "| `{r}` | {} | {} |",
            r.describe(),
            r.remedy().unwrap_or_default()
        );
    }
    page.push_str(
        "\nMore on those of the autoscaler: [how a fleet gets its size](../autoscaling.md#what-the-conditions-say).\n",
    );
    page
}
