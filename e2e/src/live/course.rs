//! The course of a run as curves, put together from its record. Pure.

use serde::Serialize;

use super::{
    record::Record,
    score::{Wait, workflow_waits},
};

/// Seconds between two points.
const STEP: f64 = 5.0;
/// The load of a point is the mean over so many seconds before it.
const WINDOW: f64 = 30.0;

/// One moment. `None`: not known, which is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Point {
    /// Seconds after the begin.
    pub(super) at: f64,
    /// Workflows that were due, per second.
    pub(super) load: f64,
    /// Workflows that wait for the start of their first activity, as the histories tell afterwards.
    pub(super) backlog: usize,
    /// How long the oldest of them has waited, in seconds; 0 if none waits.
    pub(super) age: f64,
    /// Replicas asked for.
    pub(super) desired: Option<u32>,
    /// Pods that are Ready.
    pub(super) ready: Option<u32>,
}

/// The points of a run, evenly spaced.
pub(super) fn course(record: &Record) -> Vec<Point> {
    let waits = workflow_waits(record).known;
    let steps = record.steps();
    let count = (record.seconds / STEP).floor() as u32;
    (0..=count)
        .map(|number| {
            let at = f64::from(number) * STEP;
            let waiting = || waits.iter().filter(|wait| waits_at(wait, at));
            Point {
                at,
                load: load(&record.due, at),
                backlog: waiting().count(),
                age: waiting().map(|wait| at - wait.at).fold(0.0, f64::max),
                desired: steps
                    .iter()
                    .rev()
                    .find(|(since, _)| *since <= at)
                    .map(|(_, replicas)| *replicas),
                ready: ready(record, at),
            }
        })
        .collect()
}

fn waits_at(wait: &Wait, at: f64) -> bool {
    wait.at <= at && at < wait.at + wait.seconds
}

fn load(due: &[f64], at: f64) -> f64 {
    let from = (at - WINDOW).max(0.0);
    let window = (at - from).max(STEP);
    // Ascending: counted without going through all of them.
    let before = |limit: f64| due.partition_point(|moment| *moment < limit);
    (before(at) - before(from)) as f64 / window
}

/// Ready pods by their lives: without gaps, and without those that are ending.
fn ready(record: &Record, at: f64) -> Option<u32> {
    let serves = record.pods.iter().filter(|pod| {
        pod.ready.is_some_and(|since| record.after(since) <= at)
            && pod.end_asked.or(pod.gone).is_none_or(|until| record.after(until) > at)
    });
    u32::try_from(serves.count()).ok()
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::{
        fleet::{pods::PodLife, sizes::Size},
        live::{args::Scaler, scenario::Name},
        load::{Outcome, WorkflowRecord},
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
    }

    #[test]
    fn curves_are_of_the_histories_and_the_lives_of_pods() {
        // It has no activity when its history is read: it waited to the end.
        let open = WorkflowRecord {
            workflow_id: "w-1".to_owned(),
            workflow: "DataProcessingWorkflow".to_owned(),
            phase: "step".to_owned(),
            outcome: Outcome::Open,
            started: Some(at(10)),
            closed: None,
            activities: vec![],
            workflow_task_schedule_to_start_seconds: vec![],
            lost_workflow_tasks: 0,
        };
        let pod = PodLife {
            name: "p-1".to_owned(),
            uid: "u-1".to_owned(),
            created: Some(at(0)),
            running: Some(at(1)),
            ready: Some(at(5)),
            end_asked: Some(at(15)),
            gone: Some(at(20)),
            exit_code: None,
            restarts: 0,
        };
        let record = Record {
            scaler: Scaler::Keda,
            scenario: Name::Burst,
            beside: vec![],
            seed: 1,
            machine: String::new(),
            began: at(0),
            seconds: 20.0,
            due: vec![9.0, 10.0],
            workflows: vec![open],
            pods: vec![pod],
            sizes: vec![Size { at: at(3), replicas: 2 }],
            samples: vec![],
            health: vec![],
        };
        let points = course(&record);
        let column = |read: fn(&Point) -> Option<u32>| points.iter().map(read).collect::<Vec<_>>();
        assert_eq!(
            column(|point| point.desired),
            [None, Some(2), Some(2), Some(2), Some(2)]
        );
        assert_eq!(column(|point| point.ready), [0, 1, 1, 0, 0].map(Some));
        assert_eq!(
            points.iter().map(|point| point.backlog).collect::<Vec<_>>(),
            [0, 0, 1, 1, 0]
        );
        assert_eq!(
            points.iter().map(|point| point.age).collect::<Vec<_>>(),
            [0.0, 0.0, 0.0, 5.0, 0.0]
        );
        assert!(
            (points[2].load - 0.1).abs() < 1e-9,
            "one in the first ten seconds: {points:?}"
        );
    }
}
