//! The metrics of a run. Tasks that still wait at the end count with their wait so far; an attempt after a kill counts as a task
//! of its own.

use serde::Serialize;

use crate::clock::At;
use crate::scenario::Scenario;

/// Late tasks that are further apart belong to different disturbances [s].
const CALM: f64 = 60.0;

/// The metrics of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Minutes in which a larger share of the tasks that were scheduled came late than the objective allows.
    pub violation_minutes: f64,
    /// Share of all tasks that came late.
    pub late_share: f64,
    /// Median schedule-to-start [s].
    pub wait_p50: f64,
    /// 95th percentile of schedule-to-start [s].
    pub wait_p95: f64,
    /// 99th percentile of schedule-to-start [s].
    pub wait_p99: f64,
    /// Longest schedule-to-start [s].
    pub wait_max: f64,
    /// Cost, from the node to the end of the pod [pod-h].
    pub pod_hours: f64,
    /// Mean CPU use of Ready pods as a share of their limit; 0 if there was never one.
    pub mean_cpu: f64,
    /// Changes of the replicas.
    pub scale_events: f64,
    /// Changes of the replicas in the other direction than the one before.
    pub reversals: f64,
    /// Pods that were created after the start.
    pub pod_starts: f64,
    /// Tasks that were running when their pod was killed.
    pub killed: f64,
    /// Time that these had run [s].
    pub wasted_seconds: f64,
    /// The longest disturbance: time from the first task that is late to the last that was [s].
    pub recovery_seconds: f64,
    /// Calls to the Temporal server per second.
    pub calls_per_second: f64,
    /// Tasks that were scheduled, attempts after a kill included.
    pub tasks: f64,
}

/// A metric: its key in JSON, and how to read it.
pub type Metric = (&'static str, fn(&Score) -> f64);

/// All metrics, in the order of tables.
pub const METRICS: [Metric; 16] = [
    ("violation_minutes", |score| score.violation_minutes),
    ("pod_hours", |score| score.pod_hours),
    ("killed", |score| score.killed),
    ("scale_events", |score| score.scale_events),
    ("reversals", |score| score.reversals),
    ("late_share", |score| score.late_share),
    ("wait_p50", |score| score.wait_p50),
    ("wait_p95", |score| score.wait_p95),
    ("wait_p99", |score| score.wait_p99),
    ("wait_max", |score| score.wait_max),
    ("recovery_seconds", |score| score.recovery_seconds),
    ("mean_cpu", |score| score.mean_cpu),
    ("pod_starts", |score| score.pod_starts),
    ("wasted_seconds", |score| score.wasted_seconds),
    ("calls_per_second", |score| score.calls_per_second),
    ("tasks", |score| score.tasks),
];

/// Counts during a run.
#[derive(Debug)]
pub(crate) struct Tally {
    objective: f64,
    allowed: f64,
    duration: f64,
    waits: Vec<f32>,
    /// Tasks scheduled in each minute, and those of them that came late.
    minutes: Vec<(u32, u32)>,
    late: u64,
    /// Begin and end of the disturbance that goes on, and the longest one so far [s].
    disturbance: Option<(f64, f64)>,
    longest: f64,
    last_up: Option<bool>,
    events: u64,
    reversals: u64,
    pub(crate) arrived: u64,
    pub(crate) completed: u64,
    pub(crate) killed: u64,
    pub(crate) wasted_seconds: f64,
    pub(crate) calls: u64,
}

impl Tally {
    pub(crate) fn new(scenario: &Scenario, tasks: usize) -> Self {
        let minutes = libm::ceil(scenario.duration_seconds / 60.0) as usize + 1;
        Self {
            objective: scenario.objective.seconds,
            allowed: 1.0 - scenario.objective.percentile / 100.0,
            duration: scenario.duration_seconds,
            waits: Vec::with_capacity(tasks),
            minutes: vec![(0, 0); minutes],
            late: 0,
            disturbance: None,
            longest: 0.0,
            last_up: None,
            events: 0,
            reversals: 0,
            arrived: 0,
            completed: 0,
            killed: 0,
            wasted_seconds: 0.0,
            calls: 0,
        }
    }

    /// A task starts now, or the run ends.
    pub(crate) fn waited(&mut self, scheduled: At, now: At) {
        let wait = now.since(scheduled);
        self.waits.push(wait as f32);
        let late = wait > self.objective;
        let minute = (scheduled.as_seconds() / 60.0).max(0.0) as usize;
        if let Some((tasks, of_them)) = self.minutes.get_mut(minute) {
            *tasks += 1;
            *of_them += u32::from(late);
        }
        if late {
            self.late += 1;
            let (due, start) = (scheduled.as_seconds() + self.objective, now.as_seconds());
            let (from, until) = match self.disturbance {
                Some((from, until)) if due <= until + CALM => (from.min(due), until.max(start)),
                _ => (due, start),
            };
            self.disturbance = Some((from, until));
            self.longest = self.longest.max(until - from);
        }
    }

    pub(crate) fn scaled(&mut self, from: u32, to: u32) {
        let up = to > from;
        self.events += 1;
        self.reversals += u64::from(self.last_up.is_some_and(|last| last != up));
        self.last_up = Some(up);
    }

    pub(crate) fn score(&mut self, pod_seconds: f64, pod_starts: u64, cpu: Option<f64>) -> Score {
        let tasks = self.waits.len();
        let allowed = self.allowed;
        let violated = |(tasks, late): &&(u32, u32)| f64::from(*late) > allowed * f64::from(*tasks) + 1e-9;
        Score {
            violation_minutes: self.minutes.iter().filter(violated).count() as f64,
            late_share: if tasks > 0 {
                self.late as f64 / tasks as f64
            } else {
                0.0
            },
            wait_p50: quantile(&mut self.waits, 0.50),
            wait_p95: quantile(&mut self.waits, 0.95),
            wait_p99: quantile(&mut self.waits, 0.99),
            wait_max: quantile(&mut self.waits, 1.0),
            pod_hours: pod_seconds / 3600.0,
            mean_cpu: cpu.unwrap_or(0.0),
            scale_events: self.events as f64,
            reversals: self.reversals as f64,
            pod_starts: pod_starts as f64,
            killed: self.killed as f64,
            wasted_seconds: self.wasted_seconds,
            recovery_seconds: self.longest,
            calls_per_second: self.calls as f64 / self.duration,
            tasks: tasks as f64,
        }
    }
}

/// The smallest value that a share `q` of all does not exceed.
fn quantile(values: &mut [f32], q: f64) -> f64 {
    let rank = libm::ceil(values.len() as f64 * q) as usize;
    if values.is_empty() {
        return 0.0;
    }
    let (_, value, _) = values.select_nth_unstable_by(rank.saturating_sub(1), f32::total_cmp);
    f64::from(*value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;

    fn tally() -> Tally {
        Tally::new(&parse("profile: io\ndurationSeconds: 600").expect("a scenario"), 0)
    }

    #[test]
    fn a_minute_is_violated_by_more_than_one_percent() {
        let mut tally = tally();
        for task in 0..300 {
            // One of 100 in the first minute, two of 100 in the second, none in the third.
            let late = [1, 2, 0][task / 100] > task % 100;
            let scheduled = 60.0 * (task / 100) as f64;
            tally.waited(
                At::seconds(scheduled),
                At::seconds(scheduled + if late { 9.0 } else { 0.1 }),
            );
        }
        let score = tally.score(7200.0, 3, None);
        assert!((score.violation_minutes - 1.0).abs() < 1e-9);
        assert!((score.late_share - 0.01).abs() < 1e-9);
        assert!((score.wait_max - 9.0).abs() < 1e-6);
        assert!((score.wait_p50 - 0.1).abs() < 1e-6);
        assert!((score.pod_hours - 2.0).abs() < 1e-9);
    }

    #[test]
    fn the_longest_disturbance_is_from_the_first_late_task_to_the_last() {
        let mut tally = tally();
        for (scheduled, started) in [(0.0, 10.0), (20.0, 50.0), (200.0, 206.0)] {
            tally.waited(At::seconds(scheduled), At::seconds(started));
        }
        assert!(
            (tally.score(0.0, 0, None).recovery_seconds - 45.0).abs() < 1e-9,
            "from 5 s to 50 s"
        );
    }

    #[test]
    fn only_turns_are_reversals() {
        let mut tally = tally();
        for (from, to) in [(1, 2), (2, 4), (4, 3), (3, 2), (2, 5)] {
            tally.scaled(from, to);
        }
        let score = tally.score(0.0, 0, None);
        assert!((score.scale_events - 5.0).abs() < 1e-9);
        assert!((score.reversals - 2.0).abs() < 1e-9);
    }
}
