//! The status of a fleet, built from one pass. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleet_autoscale::{Decision, Line, Seen, Target};
use fleet_core::{ConditionType, Plan, QueueView, Source, Truth, Verdict, World, readiness::own_pollers};
use fleet_crds as api;
use fleet_crds::{
    ArithmeticLine, AutoscalingStatus, ScalingDecision, Summary, TargetStatus, TargetType, TaskQueueStatus,
    TemporalWorker, TemporalWorkerStatus,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::k8s::conditions;
use crate::k8s::errors::cut;
use crate::render;

use super::apply::Applied;

/// Fast numbers are written at most this often, unless something else changes.
const FAST: SignedDuration = SignedDuration::from_secs(30);

/// What a status is made from.
pub struct Pass<'a> {
    /// The fleet.
    pub worker: &'a TemporalWorker,
    /// When.
    pub now: Timestamp,
    /// The Deployment, if it is ours.
    pub deployment: Option<&'a Arc<Deployment>>,
    /// What was seen, if the fleet could be planned.
    pub world: Option<&'a World>,
    /// The plan, if there was one.
    pub plan: Option<&'a Plan>,
    /// What became of it.
    pub applied: &'a Applied,
    /// The size that is wanted and who decides it, if the fleet could be planned.
    pub size: Option<&'a fleet_core::Size>,
    /// Conditions to set.
    pub verdicts: &'a [Verdict],
}

/// The status after this pass, from the one before it.
pub fn status(pass: &Pass, before: &TemporalWorkerStatus) -> TemporalWorkerStatus {
    let mut status = before.clone();
    let worker = pass.worker;
    status.observed_generation = worker.metadata.generation;
    for verdict in pass.verdicts {
        let Verdict {
            condition,
            truth,
            reason,
            message,
        } = verdict;
        let verdict = conditions::Verdict {
            type_: condition_name(*condition).to_owned(),
            status: match truth {
                Truth::True => conditions::Status::True,
                Truth::False => conditions::Status::False,
                Truth::Unknown => conditions::Status::Unknown,
            },
            reason: reason.name(),
            message: message.clone(),
        };
        conditions::set(&mut status.conditions, verdict, worker.metadata.generation, pass.now);
    }
    if let Some(live) = pass.deployment.and_then(|deployment| deployment.status.as_ref()) {
        status.replicas = Some(live.replicas.unwrap_or(0));
        status.ready_replicas = Some(live.ready_replicas.unwrap_or(0));
        status.available_replicas = Some(live.available_replicas.unwrap_or(0));
        status.updated_replicas = Some(live.updated_replicas.unwrap_or(0));
    } else if status.replicas.is_none() {
        status.replicas = Some(0);
    }
    let selector: Vec<_> = render::selector_labels(&worker.name_any())
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    status.selector = Some(selector.join(","));
    status.summary = Some(summary(worker));
    if let Some(world) = pass.world {
        status.task_queues = world.queues.iter().map(|view| queue(view, world)).collect();
        status.backlog = status.task_queues.iter().map(|queue| queue.backlog).sum();
    }
    if let Some(plan) = pass.plan {
        status.desired_replicas = i32::try_from(plan.replicas).ok();
        status.memory = serde_json::to_string(&plan.memory)
            .ok()
            .filter(|text| text.len() <= api::status::MEMORY_MAX);
        status.autoscaling = autoscaling(pass, plan.decision.as_ref(), status.autoscaling.take());
    }
    status
}

/// Whether `after` must be written now: at once for what people wait for, every 30 s for the fast numbers, never for the time
/// of a sample or the memory alone: an idle fleet writes nothing.
pub fn worth_writing(
    before: Option<&(TemporalWorkerStatus, Timestamp)>,
    after: &TemporalWorkerStatus,
    now: Timestamp,
) -> bool {
    let Some((before, at)) = before else { return true };
    if slow(before) != slow(after) {
        return true;
    }
    // A clock that went back must not silence them for as long.
    fast(before) != fast(after) && now.duration_since(*at).abs() >= FAST
}

fn slow(status: &TemporalWorkerStatus) -> TemporalWorkerStatus {
    let mut status = status.clone();
    status.task_queues.clear();
    status.backlog = None;
    status.memory = None;
    if let Some(autoscaling) = &mut status.autoscaling {
        autoscaling.targets.clear();
        autoscaling.recommended_replicas = None;
        autoscaling.arithmetic.clear();
        autoscaling.evaluated_at = None;
    }
    for condition in &mut status.conditions {
        // Texts carry figures; the reason tells whether anything happened.
        condition.message.clear();
    }
    status
}

fn fast(status: &TemporalWorkerStatus) -> TemporalWorkerStatus {
    let mut status = status.clone();
    status.memory = None;
    for queue in &mut status.task_queues {
        queue.sampled_at = None;
    }
    if let Some(autoscaling) = &mut status.autoscaling {
        autoscaling.evaluated_at = None;
        for line in &mut autoscaling.arithmetic {
            // Ages of samples.
            line.note.clear();
        }
    }
    status
}

fn condition_name(condition: ConditionType) -> &'static str {
    match condition {
        ConditionType::Ready => "Ready",
        ConditionType::Reconciling => "Reconciling",
        ConditionType::Stalled => "Stalled",
        ConditionType::ConnectionReady => "ConnectionReady",
        ConditionType::PollersReady => "PollersReady",
        ConditionType::ScalingActive => "ScalingActive",
        ConditionType::ScalingLimited => "ScalingLimited",
        ConditionType::ScalingPaused => "ScalingPaused",
    }
}

fn summary(worker: &TemporalWorker) -> Summary {
    let spec = &worker.spec;
    let mut queues = spec
        .task_queues
        .iter()
        .map(|queue| queue.name.as_str())
        .collect::<Vec<_>>()
        .join(",");
    cut(&mut queues, 256);
    let reference = spec.connection_ref.as_ref().map(|reference| reference.name.clone());
    let connection = reference
        .or_else(|| spec.connection.as_ref().map(|inline| inline.address.clone()))
        .unwrap_or_default();
    let image = spec.worker_image().unwrap_or_default();
    let mut image = image.rsplit('/').next().unwrap_or(image).to_owned();
    cut(&mut image, 256);
    Summary {
        queues,
        connection,
        image,
    }
}

fn queue(view: &QueueView, world: &World) -> TaskQueueStatus {
    let stats = view.stats.known();
    let pollers = match (&view.pollers, &world.pods) {
        (Seen::Known(identities), Seen::Known(pods)) => i32::try_from(own_pollers(identities, pods)).ok(),
        _ => None,
    };
    TaskQueueStatus {
        key: view.queue.to_string(),
        name: view.queue.name.clone(),
        type_: match view.queue.task_type {
            fleet_core::TaskType::Workflow => api::TaskType::Workflow,
            fleet_core::TaskType::Activity => api::TaskType::Activity,
            fleet_core::TaskType::Nexus => api::TaskType::Nexus,
        },
        backlog: stats.and_then(|stats| i64::try_from(stats.backlog).ok()),
        backlog_age_seconds: stats.map(|stats| stats.backlog_age_seconds as i64),
        pollers,
        sampled_at: stats.map(|_| Time(view.at)),
    }
}

/// The law's lines as the API keeps them. The law does not know by which way the pods' figures came; it stands before their number.
fn arithmetic(lines: &[Line], world: Option<&World>) -> Vec<ArithmeticLine> {
    let origin = world.map(origin).filter(|origin| !origin.is_empty());
    let mut lines: Vec<ArithmeticLine> = lines
        .iter()
        .map(|line| {
            let Line {
                step,
                text,
                result,
                note,
            } = line;
            ArithmeticLine {
                step: step.to_string(),
                text: text.clone(),
                result: result.clone(),
                note: note.clone(),
            }
        })
        .collect();
    if let (Some(origin), Some(first)) = (origin, lines.first_mut().filter(|line| !line.note.is_empty())) {
        first.note = format!("{origin} {}", first.note);
        cut(&mut first.note, api::status::NOTE_MAX);
    }
    lines
}

/// The sources of the reports of Ready pods, best first.
fn origin(world: &World) -> String {
    let pods = world.pods.known().into_iter().flatten();
    let sources: BTreeSet<Source> = pods
        .filter(|pod| pod.serves() && pod.ready.is_some())
        .filter_map(|pod| Some(pod.report.known()?.source))
        .collect();
    let names: Vec<&str> = sources
        .into_iter()
        .map(|source| match source {
            Source::WorkerControl => "WorkerControl",
            Source::Scrape => "metrics port",
            Source::Heartbeat => "heartbeats",
        })
        .collect();
    names.join(" and ")
}

fn autoscaling(
    pass: &Pass,
    decision: Option<&Decision>,
    before: Option<AutoscalingStatus>,
) -> Option<AutoscalingStatus> {
    let mode = pass.worker.spec.autoscaling.as_ref().map(|spec| spec.mode);
    let mut status = before.unwrap_or_default();
    status.mode = mode;
    if let Some(Decision {
        recommended,
        targets,
        arithmetic: lines,
        ..
    }) = decision
    {
        status.evaluated_at = Some(Time(pass.now));
        status.arithmetic = arithmetic(lines, pass.world);
        status.recommended_replicas = i32::try_from(*recommended).ok();
        status.targets = targets
            .iter()
            .map(|report| TargetStatus {
                type_: match report.target {
                    Target::ScheduleToStart => TargetType::ScheduleToStart,
                    Target::CpuUtilization => TargetType::CpuUtilization,
                    Target::MemoryUtilization => TargetType::MemoryUtilization,
                    Target::SlotUtilization => TargetType::SlotUtilization,
                    Target::BacklogPerReplica => TargetType::BacklogPerReplica,
                },
                current: report.current.clone(),
                target: report.goal.clone(),
                recommended_replicas: i32::try_from(report.recommended).ok(),
            })
            .collect();
    } else {
        status.recommended_replicas = None;
        status.targets.clear();
        status.evaluated_at = None;
        status.arithmetic.clear();
    }
    if let Some((from, to, why)) = &pass.applied.scaled {
        let mut message = why.message.clone();
        cut(&mut message, 1024);
        status.last_scale_time = Some(Time(pass.now));
        status.decisions.push(ScalingDecision {
            time: Time(pass.now),
            from: i32::try_from(*from).unwrap_or(i32::MAX),
            to: i32::try_from(*to).unwrap_or(i32::MAX),
            reason: why.reason.clone(),
            message,
        });
        let excess = status.decisions.len().saturating_sub(api::status::DECISIONS_MAX);
        status.decisions.drain(..excess);
    }
    (mode.is_some() || !status.decisions.is_empty()).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn with_line(text: &str, note: &str, evaluated: i64) -> TemporalWorkerStatus {
        let line = ArithmeticLine {
            step: "Demand".into(),
            text: text.into(),
            result: "0 busy slots".into(),
            note: note.into(),
        };
        TemporalWorkerStatus {
            autoscaling: Some(AutoscalingStatus {
                evaluated_at: Some(Time(at(evaluated))),
                arithmetic: vec![line],
                ..AutoscalingStatus::default()
            }),
            ..TemporalWorkerStatus::default()
        }
    }

    #[test]
    fn arithmetic_is_written_at_the_pace_of_fast_numbers_and_never_for_an_age_alone() {
        let before = (with_line("idle", "queue 3 s old", 0), at(0));
        let later =
            |text: &str, second| worth_writing(Some(&before), &with_line(text, "queue 8 s old", second), at(second));
        assert!(!later("idle", 3600), "an idle fleet writes nothing");
        assert!(!later("2 tasks/s x 1 s", 29));
        assert!(later("2 tasks/s x 1 s", 30));
    }
}
