//! Whether the demo showed what it promises: a pure function over what was recorded.
//!
//! Each check says what it looked for and what it found. Nothing that was not seen counts as shown.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::record::{PhaseKind, Record, Sample};
use crate::{
    fleet::pods::PodLife,
    load::{ActivityRecord, ActivityResult, Outcome, WorkerIdentity, WorkflowRecord, stats::quantile},
};

/// Ready pods that the fleet must reach at least.
pub const MIN_MAX_REPLICAS: u32 = 4;
/// … and how many times the quiet size.
pub const MIN_GROWTH: u32 = 3;
/// Workflows that must be started at least.
pub const MIN_WORKFLOWS: usize = 200;

/// One thing that had to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// A stable name.
    pub name: String,
    /// Whether it was shown.
    pub passed: bool,
    /// What was found.
    pub evidence: String,
}

/// Every check and every number of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// All checks, passed or not.
    pub checks: Vec<Check>,
    /// Most Ready pods at one time.
    pub max_replicas: u32,
    /// Ready pods in the quiet phase.
    pub quiet_replicas: Option<u32>,
    /// Ready pods at the end.
    pub final_replicas: Option<u32>,
    /// Workflows that were due.
    pub workflows_started: usize,
    /// Of them completed.
    pub workflows_completed: usize,
    /// Activities of which an attempt was cut off.
    pub killed_tasks: usize,
    /// Workflow tasks that a worker took and never answered (they are retried by the server).
    pub lost_workflow_tasks: u32,
    /// From the begin of the step to the first decision to scale out, in seconds.
    pub reaction_seconds: Option<f64>,
    /// From the begin of the step to the first additional Ready pod, in seconds.
    pub capacity_seconds: Option<f64>,
    /// 99th percentile of the activities' schedule-to-start over the whole run, in seconds, from the histories.
    pub schedule_to_start_p99_seconds: Option<f64>,
    /// Length of the scenario, in seconds.
    pub scenario_seconds: f64,
}

impl Verdict {
    /// Whether everything was shown.
    pub fn passed(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.passed)
    }
}

/// Judges a run.
pub fn judge(record: &Record) -> Verdict {
    let activities = || record.workflows.iter().flat_map(|workflow| &workflow.activities);
    let max_replicas = record
        .samples
        .iter()
        .filter_map(|sample| sample.ready)
        .max()
        .unwrap_or(0);
    let quiet_replicas = record.quiet_size();
    let completed = record
        .workflows
        .iter()
        .filter(|each| each.outcome == Outcome::Completed)
        .count();
    Verdict {
        checks: vec![
            scenario_finished(record),
            enough_pods(max_replicas),
            grown(max_replicas, quiet_replicas),
            zero_reached(record),
            zero_left(record),
            enough_workflows(record.workflows.len()),
            all_completed(&record.workflows),
            none_cut_off(&record.workflows),
            busy_pod_ended(record),
            decided_by(record, "ScheduleToStart"),
            decided_by(record, "CpuUtilization"),
        ],
        max_replicas,
        quiet_replicas,
        final_replicas: record.samples.iter().rev().find_map(|sample| sample.ready),
        workflows_started: record.workflows.len(),
        workflows_completed: completed,
        killed_tasks: activities().filter(|activity| activity.was_cut_off()).count(),
        lost_workflow_tasks: record.workflows.iter().map(|each| each.lost_workflow_tasks).sum(),
        reaction_seconds: reaction(record),
        capacity_seconds: capacity(record),
        schedule_to_start_p99_seconds: quantile(
            activities().filter_map(ActivityRecord::schedule_to_start_seconds),
            0.99,
        ),
        scenario_seconds: match (record.phases.first(), record.phases.last()) {
            (Some(first), Some(last)) => seconds(first.from, last.to),
            _ => 0.0,
        },
    }
}

fn check(name: &str, passed: bool, evidence: String) -> Check {
    Check {
        name: name.to_owned(),
        passed,
        evidence,
    }
}

fn scenario_finished(record: &Record) -> Check {
    let evidence = match &record.cut_short {
        Some(why) => format!("cut short: {why}"),
        None => format!("{} phases, {} samples", record.phases.len(), record.samples.len()),
    };
    let finished = record.cut_short.is_none() && record.phase(PhaseKind::Back).is_some();
    check("the scenario ran to its end", finished, evidence)
}

fn enough_pods(max: u32) -> Check {
    let name = format!("at least {MIN_MAX_REPLICAS} pods were Ready at one time");
    check(&name, max >= MIN_MAX_REPLICAS, format!("{max} at most"))
}

fn grown(max: u32, quiet: Option<u32>) -> Check {
    let passed = quiet.is_some_and(|quiet| quiet > 0 && max >= MIN_GROWTH * quiet);
    let quiet = quiet.map_or_else(|| "unknown".to_owned(), |quiet| quiet.to_string());
    check(
        &format!("the fleet grew to {MIN_GROWTH} times its quiet size"),
        passed,
        format!("{quiet} when quiet, {max} at most"),
    )
}

fn is_zero(sample: &Sample) -> bool {
    sample.desired == Some(0) && sample.ready == Some(0)
}

/// The first sample at zero after the step: a fleet that idled before the load began proves nothing.
fn zero_since(record: &Record) -> Option<Timestamp> {
    let loaded = record.phase(PhaseKind::Step)?.to;
    record
        .samples
        .iter()
        .find(|sample| sample.at >= loaded && is_zero(sample))
        .map(|sample| sample.at)
}

fn zero_reached(record: &Record) -> Check {
    let evidence = match (zero_since(record), record.phase(PhaseKind::Zero)) {
        (Some(at), Some(phase)) => format!("{:.0} s after the last load", seconds(phase.from, at)),
        (Some(_), None) => "before the load had ended".to_owned(),
        (None, _) => {
            let least = record.samples.iter().filter_map(|sample| sample.desired).min();
            format!(
                "never; {} replicas at least",
                least.map_or_else(|| "?".to_owned(), |least| least.to_string())
            )
        }
    };
    check("the idle fleet went to zero", zero_since(record).is_some(), evidence)
}

fn zero_left(record: &Record) -> Check {
    let name = "a waiting task woke the fleet from zero";
    let Some((zero, back)) = zero_since(record).zip(record.phase(PhaseKind::Back)) else {
        return check(name, false, "it was not at zero".to_owned());
    };
    let ready = record
        .samples
        .iter()
        .find(|each| each.at > zero && each.at >= back.from && each.ready.is_some_and(|n| n > 0));
    let served = record
        .workflows
        .iter()
        .filter(|each| each.phase == PhaseKind::Back.name() && each.outcome == Outcome::Completed)
        .count();
    let evidence = match ready {
        Some(sample) => format!(
            "a pod was Ready {:.0} s after the first task, {served} workflows completed",
            seconds(back.from, sample.at)
        ),
        None => "no pod became Ready again".to_owned(),
    };
    check(name, ready.is_some() && served > 0, evidence)
}

fn enough_workflows(started: usize) -> Check {
    check(
        &format!("at least {MIN_WORKFLOWS} workflows were started"),
        started >= MIN_WORKFLOWS,
        started.to_string(),
    )
}

fn all_completed(workflows: &[WorkflowRecord]) -> Check {
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    for workflow in workflows.iter().filter(|each| each.outcome != Outcome::Completed) {
        *others.entry(format!("{:?}", workflow.outcome)).or_default() += 1;
    }
    let evidence = if others.is_empty() {
        format!("{} of {}", workflows.len(), workflows.len())
    } else {
        let list: Vec<_> = others
            .iter()
            .map(|(outcome, count)| format!("{count} {outcome}"))
            .collect();
        format!("of {}: {}", workflows.len(), list.join(", "))
    };
    check(
        "every workflow completed",
        !workflows.is_empty() && others.is_empty(),
        evidence,
    )
}

fn none_cut_off(workflows: &[WorkflowRecord]) -> Check {
    let name = "no activity was cut off";
    let cut = |workflow: &WorkflowRecord| {
        let activity = workflow.activities.iter().find(|each| each.was_cut_off())?;
        let why = activity
            .last_failure
            .as_ref()
            .map(|kind| format!("{kind:?}"))
            .unwrap_or_default();
        Some(format!(
            "{} of {} at attempt {}: {why}",
            activity.activity, workflow.workflow_id, activity.attempt
        ))
    };
    let cut: Vec<_> = workflows.iter().filter_map(cut).collect();
    let read = workflows
        .iter()
        .flat_map(|each| &each.activities)
        .filter(|each| each.attempt > 0)
        .count();
    // Histories that could not be read show nothing, so without any there is no pass.
    let evidence = match cut.first() {
        None => format!("{read} activities read from their histories"),
        Some(first) => format!("{} workflows, first {first}", cut.len()),
    };
    check(name, cut.is_empty() && read > 0, evidence)
}

/// The activities that ran on this pod when its end was asked for, and went on to complete at their first attempt.
fn outlived<'a>(pod: &PodLife, activities: &[(&'a str, &'a ActivityRecord)]) -> Vec<(&'a str, &'a ActivityRecord)> {
    let Some(asked) = pod.end_asked else { return vec![] };
    activities
        .iter()
        .filter(|(uid, activity)| {
            *uid == pod.uid
                && activity.attempt == 1
                && activity.result == ActivityResult::Completed
                && activity.started.is_some_and(|started| started < asked)
                && activity.finished.is_some_and(|finished| finished > asked)
        })
        .copied()
        .collect()
}

fn busy_pod_ended(record: &Record) -> Check {
    let identities: Vec<(Option<WorkerIdentity>, &ActivityRecord)> = record
        .workflows
        .iter()
        .flat_map(|workflow| &workflow.activities)
        .map(|activity| (WorkerIdentity::parse(&activity.worker), activity))
        .collect();
    let activities: Vec<(&str, &ActivityRecord)> = identities
        .iter()
        .filter_map(|(identity, activity)| identity.as_ref().map(|identity| (identity.uid.as_str(), *activity)))
        .collect();
    let ended = || {
        record
            .pods
            .iter()
            .filter(|pod| pod.end_asked.is_some() && pod.gone.is_some())
    };
    let proofs: Vec<_> = ended()
        .filter_map(|pod| {
            let (_, activity) = *outlived(pod, &activities).first()?;
            let more = seconds(pod.end_asked?, activity.finished?);
            Some(format!(
                "{} was asked to end and finished {} {more:.1} s later",
                pod.name, activity.activity
            ))
        })
        .collect();
    let evidence = match proofs.first() {
        Some(first) => format!("{} pods, such as {first}", proofs.len()),
        None => format!("{} pods ended, none of them while it ran an activity", ended().count()),
    };
    check(
        "a pod was ended while it ran an activity, which completed at its first attempt",
        !proofs.is_empty(),
        evidence,
    )
}

fn decided_by(record: &Record, reason: &str) -> Check {
    let decisions: Vec<_> = record
        .decisions
        .iter()
        .filter(|decision| decision.reason == reason)
        .collect();
    let evidence = if let Some(first) = decisions.first() {
        format!(
            "{}, first {} -> {}: {}",
            decisions.len(),
            first.from,
            first.to,
            first.message
        )
    } else {
        let mut reasons: Vec<_> = record
            .decisions
            .iter()
            .map(|decision| decision.reason.as_str())
            .collect();
        reasons.sort_unstable();
        reasons.dedup();
        format!("none; {} decisions by [{}]", record.decisions.len(), reasons.join(", "))
    };
    check(
        &format!("a decision was taken by {reason}"),
        !decisions.is_empty(),
        evidence,
    )
}

fn reaction(record: &Record) -> Option<f64> {
    let step = record.phase(PhaseKind::Step)?;
    let decision = record
        .decisions
        .iter()
        .find(|each| each.time >= step.from && each.to > each.from)?;
    Some(seconds(step.from, decision.time))
}

fn capacity(record: &Record) -> Option<f64> {
    let step = record.phase(PhaseKind::Step)?;
    let before = record.quiet_size()?;
    let more = record
        .samples
        .iter()
        .find(|each| each.at >= step.from && each.ready.is_some_and(|ready| ready > before))?;
    Some(seconds(step.from, more.at))
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

#[cfg(test)]
mod tests;
