//! `spec.autoscaling` as the scaling law reads it. The operator has the same mapping in its own terms: no crate below both knows
//! the API and the law. Both name every field, so that a new one breaks the build here and there, and both are held to one
//! example (`operator/autoscale/tests/policy`).

use fleet_autoscale::{
    Fallback, Mode, Policy, PolicyError, Prior, Profile, RuleKind, ScaleDownBehavior, ScalingRule, ScheduleToStart,
    SelectPolicy,
};
use fleet_crds as api;
use jiff::SignedDuration;

/// The policy, acting: a simulation shows what `mode: Auto` does, whatever the mode is.
pub(super) fn of(spec: &api::AutoscalingSpec) -> Result<Policy, PolicyError> {
    let api::AutoscalingSpec {
        mode: _,
        min_replicas,
        max_replicas,
        profile,
        targets:
            api::Targets {
                schedule_to_start,
                cpu_utilization,
                memory_utilization,
                slot_utilization,
                backlog_per_replica,
            },
        behavior,
        fallback,
        cooldown_seconds,
        polling_interval_seconds,
    } = spec;
    Policy {
        mode: Mode::Auto,
        min_replicas: unsigned(*min_replicas),
        max_replicas: unsigned(*max_replicas),
        profile: match profile {
            api::AutoscalingProfile::Cost => Profile::Cost,
            api::AutoscalingProfile::Balanced => Profile::Balanced,
            api::AutoscalingProfile::Latency => Profile::Latency,
        },
        schedule_to_start: schedule_to_start.enabled.then(|| ScheduleToStart {
            seconds: f64::from(schedule_to_start.seconds),
            percentile: f64::from(schedule_to_start.percentile),
        }),
        cpu_utilization: cpu_utilization.enabled.then(|| share(cpu_utilization.percent)),
        memory_utilization: memory_utilization.as_ref().map(|target| share(target.percent)),
        slot_utilization: slot_utilization.as_ref().map(|target| share(target.percent)),
        backlog_per_replica: backlog_per_replica.map(unsigned),
        cooldown: seconds(*cooldown_seconds),
        polling_interval: seconds(*polling_interval_seconds),
        scale_down: behavior
            .as_ref()
            .and_then(|behavior| behavior.scale_down.as_ref())
            .map(scale_down),
        fallback: fallback.as_ref().and_then(self::fallback),
        prior: Prior::default(),
    }
    .validated()
}

/// `HoldCurrent` is what the law does without one.
fn fallback(spec: &api::FallbackSpec) -> Option<Fallback> {
    let api::FallbackSpec {
        policy,
        replicas,
        failure_threshold,
    } = spec;
    let fixed = match policy {
        api::FallbackPolicy::HoldCurrent => return None,
        api::FallbackPolicy::AtLeast => false,
        api::FallbackPolicy::Fixed => true,
    };
    Some(Fallback {
        replicas: unsigned(replicas.unwrap_or(0)),
        failures: unsigned(*failure_threshold),
        fixed,
    })
}

fn scale_down(spec: &api::ScaleDownBehavior) -> ScaleDownBehavior {
    let api::ScaleDownBehavior {
        stabilization_window_seconds,
        select_policy,
        policies,
    } = spec;
    ScaleDownBehavior {
        stabilization_window: seconds(stabilization_window_seconds.unwrap_or(300)),
        select_policy: match select_policy.unwrap_or_default() {
            api::SelectPolicy::Max => SelectPolicy::Max,
            api::SelectPolicy::Min => SelectPolicy::Min,
            api::SelectPolicy::Disabled => SelectPolicy::Disabled,
        },
        policies: policies.iter().map(rule).collect(),
    }
}

fn rule(rule: &api::ScalingRule) -> ScalingRule {
    ScalingRule {
        kind: match rule.type_ {
            api::ScalingRuleType::Pods => RuleKind::Pods,
            api::ScalingRuleType::Percent => RuleKind::Percent,
        },
        value: unsigned(rule.value),
        period: seconds(rule.period_seconds),
    }
}

fn share(percent: i32) -> f64 {
    f64::from(percent) / 100.0
}

/// A negative number reads as zero, which the bounds of the policy refuse where it matters.
fn unsigned(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

fn seconds(value: i32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(value))
}
