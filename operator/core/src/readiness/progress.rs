//! `Reconciling` and `ConnectionReady`: what is under way, and whether Temporal answers.

use super::input::deployment;
use super::{ConditionType, Input, Reason, Truth, Verdict};
use crate::world::{Connection, DeploymentView};

/// Whether a change is being carried out.
pub(super) fn reconciling(input: &Input) -> Verdict {
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

/// Whether Temporal answers with these credentials.
pub(super) fn connection(input: &Input) -> Verdict {
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
