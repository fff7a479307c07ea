//! The decision: for now it keeps the present size within the bounds of the policy.

use jiff::{SignedDuration, Timestamp};

use crate::{Active, Decision, Limited, LimitedBy, Memory, Policy, Reason, Sample, ScalingActive};

pub(crate) fn decide(
    policy: &Policy,
    memory: &Memory,
    sample: &Sample,
    _now: Timestamp,
) -> (Decision, Memory) {
    let max = policy.max_replicas.max(1);
    let replicas = sample.replicas.max(policy.min_replicas.min(max));
    let decision = Decision {
        replicas,
        recommended: replicas,
        reason: if replicas == sample.replicas {
            Reason::Hold
        } else {
            Reason::Bounds
        },
        active: Active {
            reason: ScalingActive::SignalsUnknown,
            message: "no signal is used yet".into(),
        },
        limited: LimitedBy {
            reason: Limited::WithinBounds,
            message: String::new(),
        },
        targets: Vec::new(),
        message: format!(
            "bounds {}..{max} -> {replicas}",
            policy.min_replicas.min(max)
        ),
        next_poll: policy.polling_interval.max(SignedDuration::from_secs(5)),
        offered_load: Vec::new(),
        schedule_to_start_p99_seconds: None,
        cpu_utilization: None,
        busy_slots: 0,
    };
    (decision, memory.clone())
}
