//! What an event history says about one workflow and its activities. Pure.
//!
//! This is the judge of "no task was cut off": the server's own record, not what workers or operator say of themselves.
//! The server writes an activity's started event when the attempt ends, with the number of that attempt and the failure
//! of the one before; so a lost attempt shows even when a later one succeeded.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use temporalio_common::protos::temporal::api::{
    enums::v1::{EventType, TimeoutType},
    failure::v1::{Failure, failure::FailureInfo},
    history::v1::{HistoryEvent, history_event::Attributes},
};

/// How a workflow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Still open when its history was read.
    Open,
    /// With a result.
    Completed,
    /// With a failure.
    Failed,
    /// At its own timeout.
    TimedOut,
    /// By a cancellation.
    Canceled,
    /// From outside.
    Terminated,
    /// Went on as another run.
    ContinuedAsNew,
    /// Temporal did not give the history.
    Unknown,
}

/// How an activity ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActivityResult {
    /// Not when its history was read.
    Open,
    /// With a result.
    Completed,
    /// With a failure that is not retried.
    Failed,
    /// At a timeout that is not retried.
    TimedOut,
    /// By a cancellation.
    Canceled,
}

/// Why an attempt ended without a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// The named timeout: the worker that ran it was not heard of in time.
    Timeout(String),
    /// The worker gave it back because it was shutting down.
    WorkerShutdown,
    /// The activity itself failed, with this type.
    Application(String),
    /// It was cancelled.
    Canceled,
    /// Anything else, in the server's words.
    Other(String),
}

impl FailureKind {
    /// Whether the attempt was cut off from outside: not by its own failure, nor by a cancellation somebody asked for.
    pub fn is_cut_off(&self) -> bool {
        matches!(self, Self::Timeout(_) | Self::WorkerShutdown)
    }
}

/// The parts of a worker's identity `[prefix/]pod/namespace/uid`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerIdentity {
    /// Pod name.
    pub pod: String,
    /// Its Kubernetes namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
}

impl WorkerIdentity {
    /// Reads an identity; `None` for workers that are no pods of a fleet.
    pub fn parse(identity: &str) -> Option<Self> {
        let mut parts = identity.rsplit('/');
        let (uid, namespace, pod) = (parts.next()?, parts.next()?, parts.next()?);
        let whole = [uid, namespace, pod].iter().all(|part| !part.is_empty());
        whole.then(|| Self {
            pod: pod.to_owned(),
            namespace: namespace.to_owned(),
            uid: uid.to_owned(),
        })
    }
}

/// One activity of a workflow. Times are the server's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActivityRecord {
    /// Activity type.
    pub activity: String,
    /// When the workflow asked for it.
    pub scheduled: Option<Timestamp>,
    /// When a worker began its last attempt.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// Number of the last attempt, from 1; 0 if none is recorded.
    pub attempt: u32,
    /// How it ended.
    pub result: ActivityResult,
    /// Why the attempt before the last, or the last without a result, failed.
    pub last_failure: Option<FailureKind>,
    /// Identity of the worker of the last attempt.
    pub worker: String,
}

impl ActivityRecord {
    /// Whether an attempt of it was cut off.
    pub fn was_cut_off(&self) -> bool {
        self.last_failure.as_ref().is_some_and(FailureKind::is_cut_off)
    }

    /// Seconds from scheduling to the start on a worker. Only of a first attempt: later ones wait for their backoff.
    pub fn schedule_to_start_seconds(&self) -> Option<f64> {
        if self.attempt != 1 {
            return None;
        }
        Some(seconds_between(self.scheduled?, self.started?))
    }
}

/// One workflow as its history tells it. Times are the server's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkflowRecord {
    /// Its ID.
    pub workflow_id: String,
    /// Workflow type.
    pub workflow: String,
    /// The phase of the load in which it was due.
    pub phase: String,
    /// How it ended.
    pub outcome: Outcome,
    /// When the server accepted it.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub closed: Option<Timestamp>,
    /// Its activities, in the order of their scheduling.
    pub activities: Vec<ActivityRecord>,
    /// Schedule-to-start of its workflow tasks, in seconds. Those of sticky queues are among them.
    pub workflow_task_schedule_to_start_seconds: Vec<f64>,
    /// Workflow tasks that a worker took and never answered.
    pub lost_workflow_tasks: u32,
}

/// Whether this event ends a run.
pub fn closes(event: &HistoryEvent) -> bool {
    outcome_of(event).is_some()
}

fn outcome_of(event: &HistoryEvent) -> Option<Outcome> {
    Some(match event.event_type() {
        EventType::WorkflowExecutionCompleted => Outcome::Completed,
        EventType::WorkflowExecutionFailed => Outcome::Failed,
        EventType::WorkflowExecutionTimedOut => Outcome::TimedOut,
        EventType::WorkflowExecutionCanceled => Outcome::Canceled,
        EventType::WorkflowExecutionTerminated => Outcome::Terminated,
        EventType::WorkflowExecutionContinuedAsNew => Outcome::ContinuedAsNew,
        _ => return None,
    })
}

/// Reads one history. `phase` is the load's note, kept as it is.
pub fn audit(workflow_id: &str, workflow: &str, phase: &str, events: &[HistoryEvent]) -> WorkflowRecord {
    let mut record = WorkflowRecord {
        workflow_id: workflow_id.to_owned(),
        workflow: workflow.to_owned(),
        phase: phase.to_owned(),
        outcome: Outcome::Open,
        started: events.first().and_then(time),
        closed: None,
        activities: Vec::new(),
        workflow_task_schedule_to_start_seconds: Vec::new(),
        lost_workflow_tasks: 0,
    };
    let mut activities: BTreeMap<i64, ActivityRecord> = BTreeMap::new();
    let mut tasks_scheduled: BTreeMap<i64, Timestamp> = BTreeMap::new();
    for event in events {
        let at = time(event);
        if let Some(outcome) = outcome_of(event) {
            record.outcome = outcome;
            record.closed = at;
        }
        match event.attributes.as_ref() {
            Some(Attributes::WorkflowTaskScheduledEventAttributes(_)) => {
                if let Some(at) = at {
                    tasks_scheduled.insert(event.event_id, at);
                }
            }
            Some(Attributes::WorkflowTaskStartedEventAttributes(task)) => {
                if let (Some(scheduled), Some(at)) = (tasks_scheduled.get(&task.scheduled_event_id), at) {
                    record
                        .workflow_task_schedule_to_start_seconds
                        .push(seconds_between(*scheduled, at));
                }
            }
            Some(Attributes::WorkflowTaskTimedOutEventAttributes(task)) => {
                // Of a sticky task that nobody took, the timeout is schedule-to-start: it only moves to another pod.
                if task.timeout_type() == TimeoutType::StartToClose {
                    record.lost_workflow_tasks += 1;
                }
            }
            other => note_activity(&mut activities, event.event_id, other, at),
        }
    }
    record.activities = activities.into_values().collect();
    record
}

fn note_activity(
    activities: &mut BTreeMap<i64, ActivityRecord>,
    event_id: i64,
    attributes: Option<&Attributes>,
    at: Option<Timestamp>,
) {
    let mut finish = |scheduled_event_id: i64, result: ActivityResult, failure: Option<&Failure>| {
        if let Some(activity) = activities.get_mut(&scheduled_event_id) {
            activity.finished = at;
            activity.result = result;
            if let Some(failure) = failure {
                activity.last_failure = Some(kind(failure));
            }
        }
    };
    match attributes {
        Some(Attributes::ActivityTaskCompletedEventAttributes(end)) => {
            finish(end.scheduled_event_id, ActivityResult::Completed, None);
        }
        Some(Attributes::ActivityTaskFailedEventAttributes(end)) => {
            finish(end.scheduled_event_id, ActivityResult::Failed, end.failure.as_ref());
        }
        Some(Attributes::ActivityTaskTimedOutEventAttributes(end)) => {
            finish(end.scheduled_event_id, ActivityResult::TimedOut, end.failure.as_ref());
        }
        Some(Attributes::ActivityTaskCanceledEventAttributes(end)) => {
            finish(end.scheduled_event_id, ActivityResult::Canceled, None);
        }
        Some(Attributes::ActivityTaskStartedEventAttributes(start)) => {
            if let Some(activity) = activities.get_mut(&start.scheduled_event_id) {
                activity.started = at;
                activity.attempt = u32::try_from(start.attempt).unwrap_or(0);
                activity.worker.clone_from(&start.identity);
                activity.last_failure = start.last_failure.as_ref().map(kind);
            }
        }
        Some(Attributes::ActivityTaskScheduledEventAttributes(scheduled)) => {
            let activity = ActivityRecord {
                activity: scheduled
                    .activity_type
                    .as_ref()
                    .map(|each| each.name.clone())
                    .unwrap_or_default(),
                scheduled: at,
                started: None,
                finished: None,
                attempt: 0,
                result: ActivityResult::Open,
                last_failure: None,
                worker: String::new(),
            };
            activities.insert(event_id, activity);
        }
        _ => {}
    }
}

/// The kind of a failure. A timeout wraps the failure of earlier attempts as its cause; the outermost one counts.
fn kind(failure: &Failure) -> FailureKind {
    match failure.failure_info.as_ref() {
        Some(FailureInfo::TimeoutFailureInfo(info)) => FailureKind::Timeout(
            info.timeout_type()
                .as_str_name()
                .trim_start_matches("TIMEOUT_TYPE_")
                .to_owned(),
        ),
        // How SDKs on the shared core hand back a task of a worker that shuts down.
        Some(FailureInfo::ApplicationFailureInfo(info)) if info.r#type == "WorkerShutdown" => {
            FailureKind::WorkerShutdown
        }
        Some(FailureInfo::ApplicationFailureInfo(info)) => FailureKind::Application(info.r#type.clone()),
        Some(FailureInfo::CanceledFailureInfo(_)) => FailureKind::Canceled,
        _ => FailureKind::Other(failure.message.chars().take(128).collect()),
    }
}

fn time(event: &HistoryEvent) -> Option<Timestamp> {
    let at = event.event_time.as_ref()?;
    Timestamp::new(at.seconds, at.nanos).ok()
}

fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

#[cfg(test)]
mod tests;
