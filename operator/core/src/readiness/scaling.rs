//! `ScalingActive` and `ScalingLimited`: the scaling law's own words; `ScalingPaused`: those of a person.

use super::{ConditionType, Input, Reason, Truth, Verdict};
use crate::autoscale::{Limited, ScalingActive};
use crate::desired::Size;
use crate::pause::Hold;
use crate::world::{Scales, Source, World};

/// Whether the autoscaler may act.
pub(super) fn scaling_active(input: &Input) -> Verdict {
    let condition = ConditionType::ScalingActive;
    if let Some(message) = owned_by_other(input) {
        return Verdict::new(condition, Truth::False, Reason::ReplicasOwnedByOther, message);
    }
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
    let (next_best, stretched) = (next_best(input.world), stretched(input.world));
    let (truth, reason) = match scaling.active {
        ScalingActive::SignalsValid if next_best.is_some() => (Truth::True, Reason::SignalsDegraded),
        ScalingActive::SignalsValid if stretched.is_some() => (Truth::True, Reason::PollBudgetStretched),
        ScalingActive::SignalsValid => (Truth::True, Reason::SignalsValid),
        ScalingActive::SignalsDegraded => (Truth::True, Reason::SignalsDegraded),
        ScalingActive::SignalsUnknown => (Truth::False, Reason::SignalsUnknown),
        ScalingActive::FallbackActive => (Truth::False, Reason::FallbackActive),
        ScalingActive::DryRun => (Truth::False, Reason::DryRun),
        ScalingActive::TurnedOff => (Truth::False, Reason::TurnedOff),
    };
    // Of signals that are missing the law itself says why.
    let next_best = next_best.filter(|_| scaling.active == ScalingActive::SignalsValid);
    let stretched = stretched.filter(|_| truth == Truth::True);
    let said: Vec<String> = [scaling.active_message.to_owned()]
        .into_iter()
        .chain(next_best)
        .chain(stretched)
        .collect();
    Verdict::new(condition, truth, reason, said.join("; "))
}

/// Whose the size is instead, and how to end that.
fn owned_by_other(input: &Input) -> Option<String> {
    if let Some(owner) = input.owner {
        return Some(format!(
            "{owner} sizes the Deployment, and this operator writes no size while that lasts: remove it, or let it scale the \
             TemporalWorker, with autoscaling.mode: \"Off\""
        ));
    }
    // Without an autoscaler of its own a fleet may well be sized so.
    let rival = input.world.rival_on(Scales::Worker);
    let rival = rival.filter(|_| matches!(input.desired.size, Size::Auto { .. }))?;
    Some(format!(
        "{} sets spec.replicas, which is the size from its next write on: remove it, or set autoscaling.mode: \"Off\"",
        rival.name
    ))
}

/// How many pods are known by another source than the best one, and how to get that.
fn next_best(world: &World) -> Option<String> {
    let pods = world
        .pods
        .known()?
        .iter()
        .filter(|pod| pod.serves() && pod.ready.is_some());
    let sources: Vec<Source> = pods.filter_map(|pod| Some(pod.report.known()?.source)).collect();
    let worst = sources.iter().max()?;
    let by = match worst {
        Source::WorkerControl => return None,
        Source::Scrape => "the metrics port",
        Source::Heartbeat => "worker heartbeats",
    };
    let count = sources
        .iter()
        .filter(|source| **source != Source::WorkerControl)
        .count();
    Some(format!(
        "{count} of {} by {by}: WorkerControl does not answer, which only the Rust worker runtime serves (TCP 9465, let the operator reach it)",
        sources.len()
    ))
}

/// How many queues are read later than they should be, and what helps.
fn stretched(world: &World) -> Option<String> {
    let waits: Vec<_> = world.queues.iter().filter_map(|queue| queue.stretched).collect();
    let longest = waits.iter().max()?;
    Some(format!(
        "{} of {} queues are read up to {:.0} s late: the operator's calls to this Temporal namespace wait for one another, as all fleets on it \
         share what it may send. Raise the namespace's request limit (frontend.namespaceRPS) if Temporal throttles, or pollingIntervalSeconds",
        waits.len(),
        world.queues.len(),
        longest.as_secs_f64()
    ))
}

/// Whether something other than the demand set the size.
pub(super) fn scaling_limited(input: &Input) -> Verdict {
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
        Limited::DownstreamBound => (Truth::True, Reason::DownstreamBound),
        Limited::NewPodsFailing => (Truth::True, Reason::NewPodsFailing),
        Limited::GhostBacklog => (Truth::True, Reason::GhostBacklog),
    };
    Verdict::new(condition, truth, reason, scaling.limited_message)
}

/// Whether an annotation holds changes of size back.
pub(super) fn scaling_paused(hold: Hold) -> Verdict {
    let (truth, reason) = match hold {
        Hold::No => (Truth::False, Reason::NotPaused),
        Hold::Size => (Truth::True, Reason::Paused),
        Hold::At(_) => (Truth::True, Reason::PausedAtReplicas),
        Hold::ScaleIn => (Truth::True, Reason::ScaleInPaused),
        Hold::ScaleOut => (Truth::True, Reason::ScaleOutPaused),
    };
    Verdict::new(ConditionType::ScalingPaused, truth, reason, hold.describe())
}
