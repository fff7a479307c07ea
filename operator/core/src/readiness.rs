//! Conditions: each a chain of named checks, the first violation wins. A new reason is one variant and one line in a chain.

use crate::autoscale::{Limited, ScalingActive, Seen};
use crate::desired::{Desired, Size};
use crate::world::{Child, Connection, DeploymentView, PodView, World};

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
}

/// Truth of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Truth {
    True,
    False,
    Unknown,
}

/// Reasons of conditions, each documented in the API reference under the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Reason {
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
    Deleting,
    UpToDate,
    NoError,
    Connected,
    Unreachable,
    Polling,
    QueueNotPolled,
    SignalsValid,
    SignalsDegraded,
    SignalsUnknown,
    DryRun,
    TurnedOff,
    QueueClaimedByOther,
    AtMaxReplicas,
    AtMinReplicas,
    LimitedByBehavior,
    RateLimited,
    PollerBound,
    WithinBounds,
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
    FieldConflict,
    NameTaken,
    Unschedulable,
    NotObserved,
}

impl Reason {
    /// The reason as it stands in the condition: the variant's own name.
    pub fn name(self) -> String {
        format!("{self:?}")
    }
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
    fn new(condition: ConditionType, truth: Truth, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            condition,
            truth,
            reason,
            message: message.into(),
        }
    }
}

/// Everything the checks may look at.
pub struct Input<'a> {
    /// What is wanted.
    pub desired: &'a Desired,
    /// What was seen.
    pub world: &'a World,
    /// Size that was decided.
    pub replicas: u32,
    /// The spec's generation was not applied before this pass.
    pub new_generation: bool,
    /// A credential change restarts the pods.
    pub credential_restart: bool,
    /// What the scaling law says of its signals and bounds, if it was asked.
    pub scaling: Option<Scaling<'a>>,
}

/// The scaling law's own words.
pub struct Scaling<'a> {
    /// Whether it can act.
    pub active: ScalingActive,
    /// Why.
    pub active_message: &'a str,
    /// What bounds it.
    pub limited: Limited,
    /// Why.
    pub limited_message: &'a str,
}

type Finding = (Reason, String);
type Check = fn(&Input) -> Option<Finding>;

/// A person has to act, the most fundamental first.
const STALLED: &[Check] = &[
    name_taken,
    connection_needs_a_person,
    pods_in_trouble,
    replica_failure,
    progress_deadline,
    ready_but_nobody_polls,
];

/// Why a fleet is not ready.
const NOT_READY: &[Check] = &[stalled, connection_failed, progressing, too_few_available, no_pollers];

/// All conditions, in the order in which people read them.
pub fn verdicts(input: &Input) -> Vec<Verdict> {
    vec![
        ready(input),
        reconciling(input),
        chain(
            ConditionType::Stalled,
            STALLED,
            input,
            (Reason::NoError, "nothing needs a person".into()),
        ),
        connection(input),
        pollers(input),
        scaling_active(input),
        scaling_limited(input),
    ]
}

/// Conditions of a fleet that cannot be planned: something it refers to is missing or wrong. What is not known stays as it was.
pub fn blocked(reason: Reason, message: &str, stalled: bool) -> Vec<Verdict> {
    let concerns_connection = reason != Reason::PodTemplateInvalid;
    let mut verdicts = vec![
        Verdict::new(
            ConditionType::Ready,
            Truth::False,
            if stalled {
                Reason::Stalled
            } else {
                Reason::ConnectionFailed
            },
            format!("{}: {message}", reason.name()),
        ),
        Verdict::new(
            ConditionType::Reconciling,
            Truth::False,
            Reason::UpToDate,
            "nothing can be done until that is mended",
        ),
        if stalled {
            Verdict::new(ConditionType::Stalled, Truth::True, reason, message)
        } else {
            Verdict::new(
                ConditionType::Stalled,
                Truth::False,
                Reason::NoError,
                "it is tried again",
            )
        },
        Verdict::new(
            ConditionType::PollersReady,
            Truth::Unknown,
            Reason::NotObserved,
            "the queues are not read",
        ),
        Verdict::new(
            ConditionType::ScalingActive,
            Truth::False,
            Reason::SignalsUnknown,
            "the size is held",
        ),
        Verdict::new(
            ConditionType::ScalingLimited,
            Truth::False,
            Reason::WithinBounds,
            "the size is held",
        ),
    ];
    verdicts.push(if concerns_connection {
        Verdict::new(ConditionType::ConnectionReady, Truth::False, reason, message)
    } else {
        Verdict::new(
            ConditionType::ConnectionReady,
            Truth::Unknown,
            Reason::NotObserved,
            "not asked",
        )
    });
    verdicts
}

fn first(checks: &[Check], input: &Input) -> Option<Finding> {
    checks.iter().find_map(|check| check(input))
}

fn chain(condition: ConditionType, checks: &[Check], input: &Input, otherwise: Finding) -> Verdict {
    match first(checks, input) {
        Some((reason, message)) => Verdict::new(condition, Truth::True, reason, message),
        None => Verdict::new(condition, Truth::False, otherwise.0, otherwise.1),
    }
}

fn deployment<'a>(input: &'a Input) -> Option<&'a DeploymentView> {
    match &input.world.deployment {
        Seen::Known(child) => child.ours(),
        Seen::Unknown { .. } => None,
    }
}

fn pods<'a>(input: &'a Input) -> &'a [PodView] {
    match &input.world.pods {
        Seen::Known(pods) => pods,
        Seen::Unknown { .. } => &[],
    }
}

fn ready(input: &Input) -> Verdict {
    let condition = ConditionType::Ready;
    if let Some((reason, message)) = first(NOT_READY, input) {
        return Verdict::new(condition, Truth::False, reason, message);
    }
    let (Seen::Known(_), Connection::Connected { .. }) = (&input.world.deployment, &input.world.connection) else {
        return Verdict::new(
            condition,
            Truth::Unknown,
            Reason::NotObserved,
            "not everything was observed yet",
        );
    };
    if input.replicas == 0 {
        return Verdict::new(
            condition,
            Truth::True,
            Reason::ScaledToZero,
            "no task waits and no pod runs; a waiting task starts one",
        );
    }
    let pollers = pollers(input);
    if pollers.truth == Truth::Unknown {
        return Verdict::new(condition, Truth::Unknown, Reason::NotObserved, pollers.message);
    }
    let available = deployment(input).map_or(0, |d| d.available);
    let message = format!(
        "{available}/{} pods available, {} queues polled",
        input.replicas,
        input.desired.queues.len()
    );
    Verdict::new(condition, Truth::True, Reason::Available, message)
}

fn reconciling(input: &Input) -> Verdict {
    let condition = ConditionType::Reconciling;
    let rolling = deployment(input).is_some_and(DeploymentView::rolling);
    if input.new_generation {
        return Verdict::new(
            condition,
            Truth::True,
            Reason::NewGeneration,
            "a change of the object is being applied",
        );
    }
    if rolling && input.credential_restart {
        return Verdict::new(
            condition,
            Truth::True,
            Reason::CredentialRestart,
            "pods restart with changed credentials",
        );
    }
    if rolling {
        let message = deployment(input)
            .map(|d| format!("{} of {} pods run the newest template", d.updated, d.current))
            .unwrap_or_default();
        return Verdict::new(condition, Truth::True, Reason::RolloutRunning, message);
    }
    Verdict::new(
        condition,
        Truth::False,
        Reason::UpToDate,
        "all changes of the object are applied",
    )
}

fn connection(input: &Input) -> Verdict {
    let condition = ConditionType::ConnectionReady;
    match &input.world.connection {
        Connection::Connected { message } => Verdict::new(condition, Truth::True, Reason::Connected, message.clone()),
        Connection::Pending => Verdict::new(
            condition,
            Truth::Unknown,
            Reason::NotObserved,
            "Temporal was not asked yet",
        ),
        Connection::Failed { reason, message, .. } => Verdict::new(condition, Truth::False, *reason, message.clone()),
    }
}

/// Pollers of a queue that are pods of this fleet. The server remembers pollers for minutes, so pods that went do not count;
/// foreign pollers never do. An identity is `[prefix/]pod/namespace/uid`, or an SDK's default `pid@pod`.
pub fn own_pollers(identities: &[String], pods: &[PodView]) -> usize {
    pods.iter()
        .filter(|pod| pod.serves())
        .filter(|pod| {
            identities.iter().any(|identity| {
                identity.rsplit('/').next() == Some(pod.uid.as_str())
                    || identity.rsplit('@').next() == Some(pod.name.as_str())
            })
        })
        .count()
}

fn pollers(input: &Input) -> Verdict {
    let condition = ConditionType::PollersReady;
    if input.replicas == 0 {
        return Verdict::new(condition, Truth::True, Reason::ScaledToZero, "no pod should poll");
    }
    let Seen::Known(pods) = &input.world.pods else {
        return Verdict::new(
            condition,
            Truth::Unknown,
            Reason::NotObserved,
            "the pods were not observed",
        );
    };
    let mut counts = Vec::new();
    let mut missing = Vec::new();
    for view in &input.world.queues {
        let Seen::Known(identities) = &view.pollers else {
            return Verdict::new(
                condition,
                Truth::Unknown,
                Reason::NotObserved,
                format!("the pollers of {} are not known", view.queue),
            );
        };
        let own = own_pollers(identities, pods);
        counts.push(format!("{} {own}", view.queue));
        if own == 0 {
            missing.push(view.queue.to_string());
        }
    }
    if missing.is_empty() {
        Verdict::new(condition, Truth::True, Reason::Polling, counts.join(", "))
    } else if missing.len() == input.world.queues.len() {
        Verdict::new(
            condition,
            Truth::False,
            Reason::NoPollers,
            format!("no pod of the fleet polls {}", missing.join(", ")),
        )
    } else {
        Verdict::new(
            condition,
            Truth::False,
            Reason::QueueNotPolled,
            format!("no pod of the fleet polls {}", missing.join(", ")),
        )
    }
}

fn scaling_active(input: &Input) -> Verdict {
    let condition = ConditionType::ScalingActive;
    if let Some(other) = &input.world.claimed_by {
        let message = format!("{other} is older and scales for a queue of this fleet; this one runs at spec.replicas");
        return Verdict::new(condition, Truth::False, Reason::QueueClaimedByOther, message);
    }
    if let Size::Fixed { turned_off: true, .. } = input.desired.size {
        return Verdict::new(
            condition,
            Truth::False,
            Reason::TurnedOff,
            "autoscaling.mode is \"Off\"; spec.replicas is the size",
        );
    }
    let Some(scaling) = &input.scaling else {
        return if input.desired.size.policy().is_none() {
            Verdict::new(
                condition,
                Truth::False,
                Reason::TurnedOff,
                "no autoscaling; spec.replicas is the size",
            )
        } else {
            Verdict::new(
                condition,
                Truth::Unknown,
                Reason::NotObserved,
                "nothing was measured yet",
            )
        };
    };
    let (truth, reason) = match scaling.active {
        ScalingActive::SignalsValid => (Truth::True, Reason::SignalsValid),
        ScalingActive::SignalsDegraded => (Truth::True, Reason::SignalsDegraded),
        ScalingActive::SignalsUnknown => (Truth::False, Reason::SignalsUnknown),
        ScalingActive::DryRun => (Truth::False, Reason::DryRun),
        ScalingActive::TurnedOff => (Truth::False, Reason::TurnedOff),
    };
    Verdict::new(condition, truth, reason, scaling.active_message)
}

fn scaling_limited(input: &Input) -> Verdict {
    let condition = ConditionType::ScalingLimited;
    let Some(scaling) = &input.scaling else {
        return Verdict::new(condition, Truth::False, Reason::WithinBounds, "the size is fixed");
    };
    let (truth, reason) = match scaling.limited {
        Limited::WithinBounds => (Truth::False, Reason::WithinBounds),
        Limited::AtMaxReplicas => (Truth::True, Reason::AtMaxReplicas),
        Limited::AtMinReplicas => (Truth::True, Reason::AtMinReplicas),
        Limited::LimitedByBehavior => (Truth::True, Reason::LimitedByBehavior),
        Limited::RateLimited => (Truth::True, Reason::RateLimited),
        Limited::PollerBound => (Truth::True, Reason::PollerBound),
    };
    Verdict::new(condition, truth, reason, scaling.limited_message)
}

fn name_taken(input: &Input) -> Option<Finding> {
    let foreign = |kind: &str, owner: &str| {
        Some((
            Reason::NameTaken,
            format!(
                "{kind} {} belongs to {owner}: delete it or rename this fleet",
                input.desired.name
            ),
        ))
    };
    if let Seen::Known(Child::Foreign { owner }) = &input.world.deployment {
        return foreign("Deployment", owner);
    }
    if let Seen::Known(Child::Foreign { owner }) = &input.world.budget {
        return foreign("PodDisruptionBudget", owner);
    }
    if let Seen::Known(Child::Foreign { owner }) = &input.world.control_secret {
        return foreign("the WorkerControl Secret of", owner);
    }
    None
}

fn connection_needs_a_person(input: &Input) -> Option<Finding> {
    match &input.world.connection {
        Connection::Failed {
            reason,
            message,
            stalled: true,
        } => Some((*reason, message.clone())),
        _ => None,
    }
}

/// A pod in trouble stalls the fleet only while too few pods are available: one bad node does not.
fn pods_in_trouble(input: &Input) -> Option<Finding> {
    if enough_available(input) && !deployment(input).is_some_and(DeploymentView::rolling) {
        return None;
    }
    pods(input).iter().filter(|pod| pod.serves()).find_map(|pod| {
        pod.trouble
            .as_ref()
            .map(|t| (t.reason, format!("pod {}: {}", pod.name, t.message)))
    })
}

fn replica_failure(input: &Input) -> Option<Finding> {
    deployment(input)?
        .replica_failure
        .as_ref()
        .map(|message| (Reason::QuotaExceeded, message.clone()))
}

fn progress_deadline(input: &Input) -> Option<Finding> {
    deployment(input)?.deadline_exceeded.then(|| {
        let message = format!("no progress for {} s", input.desired.progress_deadline.as_secs());
        (Reason::ProgressDeadlineExceeded, message)
    })
}

/// Ready for Kubernetes, silent for Temporal: nobody would notice otherwise. Two minutes allow for the server's own delay.
fn ready_but_nobody_polls(input: &Input) -> Option<Finding> {
    let verdict = pollers(input);
    if verdict.truth != Truth::False {
        return None;
    }
    let patience = jiff::SignedDuration::from_secs(120);
    let at = input.world.queues.iter().map(|view| view.at).max()?;
    let silent = pods(input)
        .iter()
        .any(|pod| pod.serves() && pod.ready.is_some_and(|ready| at.duration_since(ready) > patience));
    silent.then(|| (Reason::NoPollers, format!("pods are ready, but {}", verdict.message)))
}

fn stalled(input: &Input) -> Option<Finding> {
    first(STALLED, input).map(|(reason, message)| (Reason::Stalled, format!("{}: {message}", reason.name())))
}

fn connection_failed(input: &Input) -> Option<Finding> {
    match &input.world.connection {
        Connection::Failed { message, .. } => Some((Reason::ConnectionFailed, message.clone())),
        _ => None,
    }
}

fn progressing(input: &Input) -> Option<Finding> {
    let Seen::Known(child) = &input.world.deployment else {
        return None;
    };
    let Some(view) = child.ours() else {
        return Some((Reason::Progressing, "the Deployment is being made".into()));
    };
    (view.rolling() || input.new_generation).then(|| {
        (
            Reason::Progressing,
            format!(
                "{} of {} pods run the newest template",
                view.updated,
                view.current.max(input.replicas)
            ),
        )
    })
}

fn enough_available(input: &Input) -> bool {
    let minimum = match &input.desired.size {
        Size::Auto { policy, .. } => policy.min_replicas.max(1),
        Size::Fixed { replicas, .. } => *replicas,
    };
    deployment(input).is_some_and(|view| view.available >= input.replicas.min(minimum))
}

fn too_few_available(input: &Input) -> Option<Finding> {
    let view = deployment(input)?;
    (!enough_available(input)).then(|| {
        (
            Reason::TooFewAvailable,
            format!("{} of {} pods are available", view.available, input.replicas),
        )
    })
}

fn no_pollers(input: &Input) -> Option<Finding> {
    let verdict = pollers(input);
    (verdict.truth == Truth::False).then_some((Reason::NoPollers, verdict.message))
}
