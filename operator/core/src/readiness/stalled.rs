//! `Stalled`: what only a person can mend, the most fundamental first.

use super::input::{deployment, enough_available, pods};
use super::pollers::pollers;
use super::{Check, ConditionType, Finding, Input, Reason, Truth, Verdict, first};
use crate::autoscale::Seen;
use crate::world::{Child, Connection, DeploymentView};

/// A person has to act, the most fundamental first.
const STALLED: &[Check] = &[
    name_taken,
    connection_needs_a_person,
    pods_in_trouble,
    replica_failure,
    progress_deadline,
    ready_but_nobody_polls,
];

/// Whether a person has to act.
pub(super) fn stalled(input: &Input) -> Verdict {
    match finding(input) {
        Some((reason, message)) => Verdict::new(ConditionType::Stalled, Truth::True, reason, message),
        None => Verdict::new(
            ConditionType::Stalled,
            Truth::False,
            Reason::NoError,
            "nothing needs a person",
        ),
    }
}

/// The first violation.
pub(super) fn finding(input: &Input) -> Option<Finding> {
    first(STALLED, input)
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
