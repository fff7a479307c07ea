//! Runs put together by hand, in whole seconds.

use jiff::SignedDuration;

use super::*;
use crate::{
    fleet::sizes::Size,
    live::{args::Scaler, record::Sample, scenario::Name},
};

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

fn run(seconds: f64) -> Record {
    Record {
        scaler: Scaler::Ours,
        scenario: Name::Step,
        beside: vec![],
        seed: 1,
        machine: String::new(),
        began: at(0),
        seconds,
        due: vec![],
        workflows: vec![],
        pods: vec![],
        sizes: vec![],
        samples: vec![],
        health: vec![],
    }
}

/// A workflow with one activity that is scheduled at once and starts after `wait` seconds.
fn workflow(began: i64, wait: i64) -> WorkflowRecord {
    WorkflowRecord {
        workflow_id: format!("w-{began}"),
        workflow: "DataProcessingWorkflow".to_owned(),
        phase: "step".to_owned(),
        outcome: Outcome::Completed,
        started: Some(at(began)),
        closed: Some(at(began + wait + 2)),
        activities: vec![ActivityRecord {
            activity: "process_data_activity".to_owned(),
            scheduled: Some(at(began)),
            started: Some(at(began + wait)),
            finished: Some(at(began + wait + 2)),
            attempt: 1,
            result: ActivityResult::Completed,
            last_failure: None,
            worker: "p-1/bench/u-1".to_owned(),
        }],
        workflow_task_schedule_to_start_seconds: vec![0.0],
        lost_workflow_tasks: 0,
    }
}

fn pod(running: i64, end_asked: Option<i64>, gone: Option<i64>) -> PodLife {
    PodLife {
        name: "p-1".to_owned(),
        uid: "u-1".to_owned(),
        created: Some(at(running - 1)),
        running: Some(at(running)),
        ready: Some(at(running + 2)),
        end_asked: end_asked.map(at),
        gone: gone.map(at),
        exit_code: None,
        restarts: 0,
    }
}

fn judged(record: &Record) -> Score {
    score(record, &BTreeSet::new())
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
}

#[test]
fn a_minute_is_violated_by_more_than_one_percent_of_what_began_in_it() {
    let mut record = run(170.0);
    // One of 100 is late in the first minute, two of 100 in the second, one of one in the third, which has 50 seconds.
    for index in 0..100 {
        let second = index % 60;
        record.workflows.push(workflow(second, if index == 0 { 9 } else { 0 }));
        record
            .workflows
            .push(workflow(60 + second, if index < 2 { 9 } else { 0 }));
    }
    record.workflows.push(workflow(121, 6));
    let score = judged(&record);
    near(score.workflow_wait.violation_seconds, 60.0 + 50.0);
    near(score.activity_wait.violation_seconds, 60.0 + 50.0);
    near(score.workflow_wait.late_share.unwrap_or_default(), 4.0 / 201.0);
    assert_eq!(
        (score.workflows, score.completed, score.workflow_wait.count),
        (201, 201, 201)
    );
    assert_eq!(score.workflow_wait.max, Some(9.0));
}

#[test]
fn minutes_that_are_left_out_count_nowhere() {
    let mut record = run(180.0);
    record.workflows = vec![workflow(30, 9), workflow(70, 0), workflow(130, 0)];
    record.pods = vec![pod(0, None, None)];
    record.samples = [30, 90]
        .map(|second| Sample {
            at: at(second),
            desired: Some(1),
            ready: Some(1),
            cpu: Some(f64::from(second as i32) / 100.0),
        })
        .to_vec();
    let score = score(&record, &BTreeSet::from([0]));
    near(score.workflow_wait.violation_seconds, 0.0);
    assert_eq!(score.workflow_wait.count, 2);
    near(score.pod_seconds, 120.0);
    assert_eq!(score.mean_cpu, Some(0.9));
    assert!(score.reactions.is_empty());
}

#[test]
fn at_zero_the_workflow_waits_and_its_activity_does_not() {
    let mut record = run(60.0);
    let mut woken = workflow(0, 20);
    woken.activities[0].scheduled = Some(at(20));
    record.workflows = vec![woken];
    let score = judged(&record);
    assert_eq!(score.workflow_wait.max, Some(20.0));
    assert_eq!(score.activity_wait.max, Some(0.0));
    near(score.workflow_wait.violation_seconds, 60.0);
    near(score.activity_wait.violation_seconds, 0.0);
}

#[test]
fn what_still_waits_at_the_end_counts_with_its_wait_so_far() {
    let mut record = run(60.0);
    let mut without_a_start = workflow(40, 0);
    without_a_start.outcome = Outcome::Open;
    without_a_start.activities[0].attempt = 0;
    without_a_start.activities[0].started = None;
    without_a_start.activities[0].finished = None;
    without_a_start.activities[0].result = ActivityResult::Open;
    let mut without_an_activity = workflow(50, 0);
    without_an_activity.outcome = Outcome::Open;
    without_an_activity.activities.clear();
    // Started after the end of the run: the same.
    let late = workflow(30, 100);
    record.workflows = vec![without_a_start, without_an_activity, late];
    let waits: Vec<f64> = workflow_waits(&record).known.iter().map(|wait| wait.seconds).collect();
    assert_eq!(waits, [30.0, 20.0, 10.0]);
    assert_eq!(judged(&record).workflow_wait.unknown, 0);
}

#[test]
fn what_no_history_tells_is_not_a_wait_of_nothing() {
    let mut record = run(60.0);
    let mut retried = workflow(10, 15);
    retried.activities[0].attempt = 2;
    retried.activities[0].last_failure = Some(FailureKind::WorkerShutdown);
    let mut unread = workflow(20, 0);
    unread.outcome = Outcome::Unknown;
    unread.started = None;
    unread.activities.clear();
    record.workflows = vec![retried, unread];
    let score = judged(&record);
    assert_eq!((score.workflow_wait.count, score.workflow_wait.unknown), (0, 2));
    assert_eq!(score.workflow_wait.p99, None);
}

#[test]
fn an_attempt_is_killed_only_if_a_pod_was_going() {
    let lost = |began: i64, kind: FailureKind| {
        let mut workflow = workflow(began, 30);
        workflow.activities[0].attempt = 2;
        workflow.activities[0].last_failure = Some(kind);
        workflow
    };
    let timeout = || FailureKind::Timeout("HEARTBEAT".to_owned());
    let mut record = run(600.0);
    record.pods = vec![pod(0, Some(110), Some(125)), pod(0, None, None)];
    record.workflows = vec![
        lost(100, timeout()),                                   // the pod went while it ran
        lost(118, FailureKind::WorkerShutdown),                 // it was going
        lost(60, timeout()),                                    // the attempt was over by then
        lost(200, timeout()),                                   // it was gone
        lost(100, FailureKind::Application("Oops".to_owned())), // its own fault
    ];
    let score = judged(&record);
    assert_eq!((score.killed_tasks, score.retried_tasks), (2, 2));
}

#[test]
fn a_task_whose_time_was_up_in_the_backlog_was_not_killed() {
    let mut record = run(900.0);
    let mut expired = workflow(0, 0);
    expired.outcome = Outcome::Failed;
    expired.activities[0].attempt = 0;
    expired.activities[0].started = None;
    expired.activities[0].finished = Some(at(630));
    expired.activities[0].result = ActivityResult::TimedOut;
    expired.activities[0].last_failure = Some(FailureKind::Timeout("SCHEDULE_TO_CLOSE".to_owned()));
    record.workflows = vec![expired];
    record.pods = vec![pod(0, Some(100), Some(110))];
    let score = judged(&record);
    assert_eq!(
        (score.killed_tasks, score.retried_tasks, score.expired_tasks),
        (0, 0, 1)
    );
    assert_eq!(score.workflow_wait.max, Some(630.0));
}

#[test]
fn pods_cost_from_the_start_of_their_container_to_their_end_within_the_run() {
    let mut record = run(300.0);
    let mut never_ran = pod(10, None, None);
    never_ran.running = None;
    record.pods = vec![
        pod(-50, None, None),
        pod(100, Some(150), Some(170)),
        pod(250, Some(290), Some(400)),
        never_ran,
    ];
    let score = judged(&record);
    near(score.pod_seconds, 300.0 + 70.0 + 50.0);
    assert_eq!(score.pod_start_seconds, Some(3.0));
}

#[test]
fn sizes_are_weighted_by_their_time() {
    let mut record = run(100.0);
    let sizes = [(-20, 1), (20, 4), (60, 2), (80, 3), (150, 9)];
    record.sizes = sizes
        .map(|(second, replicas)| Size {
            at: at(second),
            replicas,
        })
        .to_vec();
    let score = judged(&record);
    near(
        score.mean_replicas.unwrap_or_default(),
        (20.0 + 160.0 + 40.0 + 60.0) / 100.0,
    );
    assert_eq!(
        (score.max_replicas, score.scale_events, score.reversals),
        (Some(4), 3, 2)
    );
    assert_eq!(judged(&run(100.0)).mean_replicas, None);
}

#[test]
fn each_backlog_has_its_own_answer() {
    let wait = |at: f64, seconds: f64| Wait { at, seconds };
    let waits = [
        wait(5.0, 0.2),
        // A burst at zero, answered after 9 s; its first task starts after 12 s.
        wait(100.0, 12.0),
        wait(100.0, 40.0),
        wait(130.0, 3.0),
        // Two minutes later one that nobody answers.
        wait(300.0, 20.0),
    ];
    let steps = [(0.0, 0), (109.0, 4), (200.0, 2), (290.0, 3), (400.0, 5)];
    let reactions = reactions(&waits, &steps);
    assert_eq!(
        reactions,
        [
            Reaction {
                at: 100.0,
                from: Some(0),
                write_seconds: Some(9.0),
                first_start_seconds: 12.0,
            },
            Reaction {
                at: 300.0,
                from: Some(3),
                write_seconds: None,
                first_start_seconds: 20.0,
            },
        ]
    );
}
