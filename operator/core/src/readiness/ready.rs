//! `Ready`: the sum of all the others.

use super::input::{deployment, enough_available};
use super::pollers::pollers;
use super::{Check, ConditionType, Finding, Input, Reason, Truth, Verdict, first, stalled};
use crate::autoscale::Seen;
use crate::pause::Hold;
use crate::world::Connection;

/// Why a fleet is not ready.
const NOT_READY: &[Check] = &[stalled, connection_failed, progressing, too_few_available, no_pollers];

/// Whether the fleet works.
pub(super) fn ready(input: &Input) -> Verdict {
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
            match input.desired.pause.hold {
                Hold::No | Hold::ScaleIn => "no task waits and no pod runs; a waiting task starts one".to_owned(),
                held => format!("no pod runs, and a waiting task starts none: {}", held.describe()),
            },
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

fn stalled(input: &Input) -> Option<Finding> {
    stalled::finding(input).map(|(reason, message)| (Reason::Stalled, format!("{}: {message}", reason.name())))
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
