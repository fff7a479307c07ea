//! Histories as the server writes them, built event by event.

use temporalio_common::protos::temporal::api::{
    common::v1::ActivityType,
    failure::v1::{ApplicationFailureInfo, TimeoutFailureInfo},
    history::v1::{
        ActivityTaskCompletedEventAttributes, ActivityTaskScheduledEventAttributes, ActivityTaskStartedEventAttributes,
        ActivityTaskTimedOutEventAttributes, WorkflowExecutionCompletedEventAttributes,
        WorkflowExecutionFailedEventAttributes, WorkflowExecutionStartedEventAttributes,
        WorkflowTaskScheduledEventAttributes, WorkflowTaskStartedEventAttributes, WorkflowTaskTimedOutEventAttributes,
    },
};

use super::*;

const POD: &str = "fleet-abc-1/default/0f-11";

/// Numbers the events and stamps them with seconds since 1970.
#[derive(Default)]
struct History(Vec<HistoryEvent>);

impl History {
    fn add(mut self, at: f64, kind: EventType, attributes: Attributes) -> Self {
        let mut event = HistoryEvent {
            event_id: i64::try_from(self.0.len()).unwrap_or(i64::MAX - 1) + 1,
            attributes: Some(attributes),
            ..Default::default()
        };
        event.set_event_type(kind);
        let time = Timestamp::from_millisecond((at * 1000.0) as i64).unwrap_or_default();
        let mut stamp = event.event_time.unwrap_or_default();
        stamp.seconds = time.as_second();
        stamp.nanos = time.subsec_nanosecond();
        event.event_time = Some(stamp);
        self.0.push(event);
        self
    }

    fn begun(at: f64) -> Self {
        Self::default().add(
            at,
            EventType::WorkflowExecutionStarted,
            Attributes::WorkflowExecutionStartedEventAttributes(WorkflowExecutionStartedEventAttributes::default()),
        )
    }

    fn activity_scheduled(self, at: f64) -> Self {
        let attributes = ActivityTaskScheduledEventAttributes {
            activity_type: Some(ActivityType {
                name: "process_data_activity".to_owned(),
            }),
            ..Default::default()
        };
        self.add(
            at,
            EventType::ActivityTaskScheduled,
            Attributes::ActivityTaskScheduledEventAttributes(attributes),
        )
    }

    fn activity_started(self, at: f64, scheduled_event_id: i64, attempt: i32, last_failure: Option<Failure>) -> Self {
        let attributes = ActivityTaskStartedEventAttributes {
            scheduled_event_id,
            attempt,
            last_failure,
            identity: POD.to_owned(),
            ..Default::default()
        };
        self.add(
            at,
            EventType::ActivityTaskStarted,
            Attributes::ActivityTaskStartedEventAttributes(attributes),
        )
    }

    fn activity_completed(self, at: f64, scheduled_event_id: i64) -> Self {
        let attributes = ActivityTaskCompletedEventAttributes {
            scheduled_event_id,
            ..Default::default()
        };
        self.add(
            at,
            EventType::ActivityTaskCompleted,
            Attributes::ActivityTaskCompletedEventAttributes(attributes),
        )
    }

    fn completed(self, at: f64) -> WorkflowRecord {
        let attributes = WorkflowExecutionCompletedEventAttributes::default();
        self.add(
            at,
            EventType::WorkflowExecutionCompleted,
            Attributes::WorkflowExecutionCompletedEventAttributes(attributes),
        )
        .read()
    }

    fn read(self) -> WorkflowRecord {
        audit("w-1", "DataProcessingWorkflow", "step", &self.0)
    }
}

fn timeout(kind: TimeoutType) -> Failure {
    let mut info = TimeoutFailureInfo::default();
    info.set_timeout_type(kind);
    Failure {
        failure_info: Some(FailureInfo::TimeoutFailureInfo(info)),
        ..Default::default()
    }
}

fn application(kind: &str) -> Failure {
    let info = ApplicationFailureInfo {
        r#type: kind.to_owned(),
        ..Default::default()
    };
    Failure {
        failure_info: Some(FailureInfo::ApplicationFailureInfo(info)),
        ..Default::default()
    }
}

#[test]
fn a_workflow_with_one_activity_at_its_first_attempt() {
    let record = History::begun(100.0)
        .activity_scheduled(100.5)
        .activity_started(102.0, 2, 1, None)
        .activity_completed(104.0, 2)
        .completed(104.25);
    assert_eq!(record.outcome, Outcome::Completed);
    assert_eq!(record.closed.map(Timestamp::as_millisecond), Some(104_250));
    let [activity] = record.activities.as_slice() else {
        unreachable!("one activity was scheduled: {record:?}")
    };
    assert_eq!(activity.activity, "process_data_activity");
    assert_eq!(activity.schedule_to_start_seconds(), Some(1.5));
    assert_eq!(
        (activity.attempt, activity.result, activity.was_cut_off()),
        (1, ActivityResult::Completed, false)
    );
    assert_eq!(
        WorkerIdentity::parse(&activity.worker).map(|each| each.uid),
        Some("0f-11".to_owned())
    );
}

#[test]
fn a_lost_attempt_shows_although_the_next_one_completed() {
    for (failure, cut) in [
        (timeout(TimeoutType::Heartbeat), true),
        (timeout(TimeoutType::StartToClose), true),
        (application("WorkerShutdown"), true),
        (application("Oops"), false),
    ] {
        let record = History::begun(0.0)
            .activity_scheduled(1.0)
            .activity_started(20.0, 2, 2, Some(failure.clone()))
            .activity_completed(22.0, 2)
            .completed(23.0);
        assert_eq!(record.activities[0].was_cut_off(), cut, "{failure:?}");
        assert_eq!(record.activities[0].attempt, 2);
        assert_eq!(
            record.activities[0].schedule_to_start_seconds(),
            None,
            "later attempts wait for their backoff"
        );
    }
}

#[test]
fn an_activity_that_timed_out_for_good_was_cut_off() {
    let attributes = ActivityTaskTimedOutEventAttributes {
        scheduled_event_id: 2,
        failure: Some(timeout(TimeoutType::ScheduleToClose)),
        ..Default::default()
    };
    let record = History::begun(0.0)
        .activity_scheduled(1.0)
        .add(
            31.0,
            EventType::ActivityTaskTimedOut,
            Attributes::ActivityTaskTimedOutEventAttributes(attributes),
        )
        .add(
            31.5,
            EventType::WorkflowExecutionFailed,
            Attributes::WorkflowExecutionFailedEventAttributes(WorkflowExecutionFailedEventAttributes::default()),
        )
        .read();
    assert_eq!(record.outcome, Outcome::Failed);
    assert_eq!(record.activities[0].result, ActivityResult::TimedOut);
    assert!(record.activities[0].was_cut_off());
    assert_eq!(
        record.activities[0].last_failure,
        Some(FailureKind::Timeout("SCHEDULE_TO_CLOSE".to_owned()))
    );
}

#[test]
fn an_open_workflow_with_a_waiting_activity() {
    let record = History::begun(0.0).activity_scheduled(1.0).read();
    assert_eq!(record.outcome, Outcome::Open);
    assert_eq!(
        (record.activities[0].attempt, record.activities[0].result),
        (0, ActivityResult::Open)
    );
    assert_eq!(record.activities[0].schedule_to_start_seconds(), None);
}

#[test]
fn workflow_tasks_are_timed_and_lost_ones_counted() {
    let timed_out = |kind| {
        let mut attributes = WorkflowTaskTimedOutEventAttributes {
            scheduled_event_id: 2,
            ..Default::default()
        };
        attributes.set_timeout_type(kind);
        Attributes::WorkflowTaskTimedOutEventAttributes(attributes)
    };
    let started = WorkflowTaskStartedEventAttributes {
        scheduled_event_id: 2,
        ..Default::default()
    };
    let record = History::begun(0.0)
        .add(
            0.0,
            EventType::WorkflowTaskScheduled,
            Attributes::WorkflowTaskScheduledEventAttributes(WorkflowTaskScheduledEventAttributes::default()),
        )
        .add(
            0.25,
            EventType::WorkflowTaskStarted,
            Attributes::WorkflowTaskStartedEventAttributes(started),
        )
        .add(
            10.0,
            EventType::WorkflowTaskTimedOut,
            timed_out(TimeoutType::StartToClose),
        )
        .add(
            20.0,
            EventType::WorkflowTaskTimedOut,
            timed_out(TimeoutType::ScheduleToStart),
        )
        .read();
    assert_eq!(record.workflow_task_schedule_to_start_seconds, vec![0.25]);
    assert_eq!(
        record.lost_workflow_tasks, 1,
        "a sticky task that moved to another pod is not lost"
    );
}

#[test]
fn identities_with_and_without_a_prefix() {
    let expected = WorkerIdentity {
        pod: "p-1".to_owned(),
        namespace: "default".to_owned(),
        uid: "u".to_owned(),
    };
    assert_eq!(WorkerIdentity::parse("p-1/default/u"), Some(expected.clone()));
    assert_eq!(WorkerIdentity::parse("team/a/p-1/default/u"), Some(expected));
    assert_eq!(WorkerIdentity::parse("123@laptop"), None);
    assert_eq!(WorkerIdentity::parse("//"), None);
}
