//! What a run was worth: pure functions over its record.
//!
//! Two waits are judged. A *workflow's* is from its start to the start of its first activity on a worker: what its caller waits for,
//! and while a fleet is at zero the only place where the waiting shows, as the activity is not even scheduled. An *activity's* is its
//! schedule-to-start. Both are of first attempts; later ones wait for their backoff. What still waits at the end of the run counts with
//! its wait so far. A minute violates the objective if more of what began in it was late than the objective allows: the simulator's
//! definition, so that both can be compared.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    record::Record,
    scenario::{OBJECTIVE_PERCENTILE, OBJECTIVE_SECONDS},
};
use crate::{
    fleet::{pods::PodLife, sizes},
    load::{ActivityRecord, ActivityResult, FailureKind, Outcome, WorkflowRecord, stats::quantile},
};

/// What is later than that was not just handed over, it waited: a backlog.
const BACKLOG_SECONDS: f64 = 1.0;
/// Backlogs that are further apart are answered apart.
const CALM_SECONDS: f64 = 60.0;
/// Exit code of a container that was killed.
const KILLED: i32 = 137;

/// One wait for a worker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wait {
    /// When it began, in seconds after the begin of the run.
    pub at: f64,
    /// How long it was, in seconds, up to the end of the run.
    pub seconds: f64,
}

/// All waits of one sort.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Waits {
    /// Those that are known, in order of their begin.
    pub known: Vec<Wait>,
    /// Those of which the first attempt's start is in no history: a later attempt followed, or the history could not be read.
    pub unknown: usize,
}

/// The waits of one sort, judged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// How many are judged.
    pub count: usize,
    /// How many could not be.
    pub unknown: usize,
    /// Seconds of the minutes in which the objective was violated.
    pub violation_seconds: f64,
    /// Share that was late; `None` without any wait, as for the next four.
    pub late_share: Option<f64>,
    /// Median, in seconds.
    pub p50: Option<f64>,
    /// 95th percentile.
    pub p95: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
    /// Longest.
    pub max: Option<f64>,
}

/// How a backlog was answered.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reaction {
    /// When the first task of it began to wait, in seconds after the begin of the run.
    pub at: f64,
    /// The size at that time; `None` if not known.
    pub from: Option<u32>,
    /// Seconds until a larger size was written; `None` if none was while it lasted.
    pub write_seconds: Option<f64>,
    /// Seconds until the first task that waited was started.
    pub first_start_seconds: f64,
}

/// The score of one run. Minutes that are left out count nowhere but in `killed_tasks`, `retried_tasks` and the sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Workflows that were due.
    pub workflows: usize,
    /// … and completed by the time the histories were read.
    pub completed: usize,
    /// From a workflow's start to its first activity's.
    pub workflow_wait: Latency,
    /// Schedule-to-start of activities.
    pub activity_wait: Latency,
    /// Seconds that containers ran, to their pods' end.
    pub pod_seconds: f64,
    /// Activities of which an attempt was cut off while a pod was going.
    pub killed_tasks: usize,
    /// Activities of which an attempt was cut off while no pod was.
    pub retried_tasks: usize,
    /// Activities whose time was up before anybody took them.
    pub expired_tasks: usize,
    /// Workflow tasks that a worker took and never answered.
    pub lost_workflow_tasks: u32,
    /// Pods that had been Ready, were asked to end and were killed at the end of their grace, as far as their exit was seen.
    pub killed_pods: usize,
    /// Backlogs, and how each was answered.
    pub reactions: Vec<Reaction>,
    /// Largest size asked for.
    pub max_replicas: Option<u32>,
    /// Mean size asked for.
    pub mean_replicas: Option<f64>,
    /// Changes of the size.
    pub scale_events: usize,
    /// Changes of direction.
    pub reversals: usize,
    /// Mean CPU of the pods as a share of their limits.
    pub mean_cpu: Option<f64>,
    /// Median seconds from a pod's creation to Ready.
    pub pod_start_seconds: Option<f64>,
}

/// The minutes of a run that count.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    /// Length of the run, in seconds.
    pub seconds: f64,
    /// Minutes that do not count; 0 is the first.
    pub dropped: &'a BTreeSet<u32>,
}

impl Kept<'_> {
    /// Whether a moment counts, in seconds after the begin.
    pub fn holds(&self, at: f64) -> bool {
        (0.0..self.seconds).contains(&at) && !self.dropped.contains(&minute(at))
    }

    /// How many seconds of a span count.
    pub fn seconds_of(&self, from: f64, to: f64) -> f64 {
        let (from, to) = (from.max(0.0), to.min(self.seconds));
        if from >= to {
            return 0.0;
        }
        let dropped = self.dropped.iter().map(|minute| {
            let begin = f64::from(*minute) * 60.0;
            (to.min(begin + 60.0) - from.max(begin)).max(0.0)
        });
        (to - from - dropped.sum::<f64>()).max(0.0)
    }
}

fn minute(at: f64) -> u32 {
    (at / 60.0).max(0.0) as u32
}

/// Judges a run.
pub fn score(record: &Record, dropped: &BTreeSet<u32>) -> Score {
    let kept = Kept {
        seconds: record.seconds,
        dropped,
    };
    let steps = record.steps();
    let within = sizes_within(&steps, record.seconds);
    let of_run: Vec<sizes::Size> = within
        .iter()
        .map(|(at, replicas)| sizes::Size {
            at: record.moment(*at),
            replicas: *replicas,
        })
        .collect();
    let cut = cut_off(record);
    let workflow_waits = workflow_waits(record);
    Score {
        workflows: record.workflows.len(),
        completed: record
            .workflows
            .iter()
            .filter(|each| each.outcome == Outcome::Completed)
            .count(),
        workflow_wait: latency(&workflow_waits, kept),
        activity_wait: latency(&activity_waits(record), kept),
        pod_seconds: pod_seconds(record, kept),
        killed_tasks: cut.iter().filter(|by_an_end| **by_an_end).count(),
        retried_tasks: cut.iter().filter(|by_an_end| !**by_an_end).count(),
        expired_tasks: record
            .workflows
            .iter()
            .flat_map(|workflow| &workflow.activities)
            .filter(|activity| activity.attempt == 0 && activity.result == ActivityResult::TimedOut)
            .count(),
        lost_workflow_tasks: record.workflows.iter().map(|each| each.lost_workflow_tasks).sum(),
        killed_pods: record
            .pods
            .iter()
            // One that ends before it has begun has this code, too.
            .filter(|pod| pod.ready.is_some() && pod.end_asked.is_some() && pod.exit_code == Some(KILLED))
            .count(),
        reactions: reactions(&workflow_waits.known, &steps)
            .into_iter()
            .filter(|reaction| kept.holds(reaction.at))
            .collect(),
        max_replicas: within.iter().map(|(_, replicas)| *replicas).max(),
        mean_replicas: mean_replicas(&within, record.seconds),
        scale_events: within.len().saturating_sub(1),
        reversals: sizes::reversals(&of_run),
        mean_cpu: mean(
            record
                .samples
                .iter()
                .filter(|sample| kept.holds(record.after(sample.at)))
                .filter_map(|sample| sample.cpu),
        ),
        pod_start_seconds: quantile(record.pods.iter().filter_map(start_of), 0.5),
    }
}

/// From each workflow's start to the start of its first activity.
pub fn workflow_waits(record: &Record) -> Waits {
    gather(record.workflows.iter().map(|workflow| {
        let at = record.after(workflow.started?);
        let first = workflow.activities.iter().min_by_key(|activity| activity.scheduled);
        let start = match first {
            Some(activity) => started(record, workflow, activity)?,
            None if workflow.outcome == Outcome::Open => record.seconds,
            // It ended before its activity was scheduled: how long it would have waited is not known.
            None => return None,
        };
        Some(Wait {
            at,
            seconds: start - at,
        })
    }))
}

/// Schedule-to-start of each activity.
pub fn activity_waits(record: &Record) -> Waits {
    let activities = record
        .workflows
        .iter()
        .flat_map(|workflow| workflow.activities.iter().map(move |activity| (workflow, activity)));
    gather(activities.map(|(workflow, activity)| {
        let at = record.after(activity.scheduled?);
        Some(Wait {
            at,
            seconds: started(record, workflow, activity)? - at,
        })
    }))
}

fn gather(waits: impl Iterator<Item = Option<Wait>>) -> Waits {
    let mut gathered = Waits::default();
    for wait in waits {
        match wait {
            Some(Wait { at, seconds }) => gathered.known.push(Wait {
                at,
                seconds: seconds.max(0.0),
            }),
            None => gathered.unknown += 1,
        }
    }
    gathered.known.sort_by(|a, b| a.at.total_cmp(&b.at));
    gathered
}

/// When the first attempt began on a worker, or the end of the run if it had not by then; seconds after the begin of the run.
fn started(record: &Record, workflow: &WorkflowRecord, activity: &ActivityRecord) -> Option<f64> {
    match (activity.attempt, activity.started) {
        (1, Some(at)) => Some(record.after(at).min(record.seconds)),
        // The server tells of a start when the attempt ends. One that has not ended by the time the histories are read, longer after the
        // end of the run than any activity takes, had not begun at the end of the run.
        (0, None) if workflow.outcome == Outcome::Open => Some(record.seconds),
        // Nobody took it before its time was up: it waited until then.
        (0, None) if activity.result == ActivityResult::TimedOut => {
            Some(record.after(activity.finished?).min(record.seconds))
        }
        _ => None,
    }
}

fn latency(waits: &Waits, kept: Kept) -> Latency {
    let judged: Vec<Wait> = waits.known.iter().copied().filter(|wait| kept.holds(wait.at)).collect();
    let seconds = || judged.iter().map(|wait| wait.seconds);
    let late = seconds().filter(|wait| *wait > OBJECTIVE_SECONDS).count();
    Latency {
        count: judged.len(),
        unknown: waits.unknown,
        violation_seconds: violation_seconds(&judged, kept.seconds),
        late_share: (!judged.is_empty()).then(|| late as f64 / judged.len() as f64),
        p50: quantile(seconds(), 0.5),
        p95: quantile(seconds(), 0.95),
        p99: quantile(seconds(), 0.99),
        max: quantile(seconds(), 1.0),
    }
}

/// Seconds of the minutes in which more waits began that were late than the objective allows.
fn violation_seconds(waits: &[Wait], run_seconds: f64) -> f64 {
    let allowed = 1.0 - OBJECTIVE_PERCENTILE / 100.0;
    let minutes: BTreeSet<u32> = waits.iter().map(|wait| minute(wait.at)).collect();
    let violated = minutes.into_iter().filter(|number| {
        let of_minute = || waits.iter().filter(|wait| minute(wait.at) == *number);
        let late = of_minute().filter(|wait| wait.seconds > OBJECTIVE_SECONDS).count();
        late as f64 > allowed * of_minute().count() as f64 + 1e-9
    });
    // The last minute may be a part of one.
    violated
        .map(|number| (run_seconds - f64::from(number) * 60.0).clamp(0.0, 60.0))
        // A sum of nothing is -0.0, and is shown so.
        .fold(0.0, |sum, seconds| sum + seconds)
}

fn pod_seconds(record: &Record, kept: Kept) -> f64 {
    let spans = record.pods.iter().filter_map(|pod| {
        let from = record.after(pod.running?);
        let to = pod.gone.map_or(record.seconds, |gone| record.after(gone));
        Some(kept.seconds_of(from, to))
    });
    spans.fold(0.0, |sum, seconds| sum + seconds)
}

fn start_of(pod: &PodLife) -> Option<f64> {
    Some(pod.ready?.duration_since(pod.created?).as_secs_f64().max(0.0))
}

/// Whether an attempt that ran was cut off. One whose time was up before anybody took it, or before it could end, was not.
fn lost_an_attempt(activity: &ActivityRecord) -> bool {
    let time_was_up = matches!(
        &activity.last_failure,
        Some(FailureKind::Timeout(kind)) if kind.starts_with("SCHEDULE_TO_")
    );
    activity.was_cut_off() && (activity.attempt > 1 || (activity.attempt == 1 && !time_was_up))
}

/// For each activity of which an attempt was cut off: whether a pod was going at that time. Histories keep the worker of the last attempt
/// only, so it is not known which pod lost it; that none was going acquits the scaler.
fn cut_off(record: &Record) -> Vec<bool> {
    let lost = record
        .workflows
        .iter()
        .flat_map(|workflow| &workflow.activities)
        .filter(|activity| lost_an_attempt(activity));
    lost.map(|activity| {
        // The attempt ran somewhere between the two.
        let from = activity.scheduled.unwrap_or(Timestamp::MIN);
        let to = match activity.attempt {
            0 | 1 => activity.finished,
            _ => activity.started.or(activity.finished),
        };
        let to = to.unwrap_or(Timestamp::MAX);
        record
            .pods
            .iter()
            .any(|pod| pod.end_asked.is_some_and(|asked| asked < to) && pod.gone.is_none_or(|gone| gone > from))
    })
    .collect()
}

/// The sizes of the run: the one at its begin at 0, then each change. Without a size known at the begin, the first change begins.
fn sizes_within(steps: &[(f64, u32)], run_seconds: f64) -> Vec<(f64, u32)> {
    let before = steps
        .iter()
        .rev()
        .find(|(at, _)| *at <= 0.0)
        .map(|(_, replicas)| (0.0, *replicas));
    let changes = steps.iter().copied().filter(|(at, _)| *at > 0.0 && *at < run_seconds);
    before.into_iter().chain(changes).collect()
}

fn mean_replicas(steps: &[(f64, u32)], run_seconds: f64) -> Option<f64> {
    let first = steps.first()?.0;
    let ends = steps.iter().skip(1).map(|(at, _)| *at).chain([run_seconds]);
    let area: f64 = steps
        .iter()
        .zip(ends)
        .map(|((from, replicas), to)| f64::from(*replicas) * (to - from))
        .sum();
    (run_seconds > first).then(|| area / (run_seconds - first))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// Each backlog and its answer. A backlog begins with a wait of more than a second and lasts until all that waited have begun; what
/// begins to wait within a minute after that belongs to it. `steps` are sizes with the seconds at which they were asked for.
pub fn reactions(waits: &[Wait], steps: &[(f64, u32)]) -> Vec<Reaction> {
    let mut reactions: Vec<Reaction> = Vec::new();
    let mut until = f64::NEG_INFINITY;
    for wait in waits.iter().filter(|wait| wait.seconds > BACKLOG_SECONDS) {
        let start = wait.at + wait.seconds;
        if wait.at > until + CALM_SECONDS || reactions.is_empty() {
            let from = steps.iter().rev().find(|(at, _)| *at <= wait.at);
            reactions.push(Reaction {
                at: wait.at,
                from: from.map(|(_, replicas)| *replicas),
                write_seconds: None,
                first_start_seconds: wait.seconds,
            });
            until = start;
        }
        until = until.max(start);
        if let Some(last) = reactions.last_mut() {
            last.first_start_seconds = last.first_start_seconds.min(start - last.at);
            if last.write_seconds.is_none() {
                let larger = steps.windows(2).find_map(|pair| {
                    let [(_, before), (at, after)] = *pair else { return None };
                    (after > before && at > last.at && at <= until).then_some(at)
                });
                last.write_seconds = larger.map(|at| at - last.at);
            }
        }
    }
    reactions
}

#[cfg(test)]
mod tests;
