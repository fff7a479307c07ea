//! All conditions of a fleet that cannot be planned.

use super::{ConditionType, Reason, Truth, Verdict, scaling};
use crate::pause::Hold;

/// Conditions of a fleet that cannot be planned: something it refers to is missing or wrong. What is not known stays as it was;
/// the annotations that hold the size are known even so.
pub fn blocked(reason: Reason, message: &str, stalled: bool, hold: Hold) -> Vec<Verdict> {
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
        scaling::scaling_paused(hold),
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
