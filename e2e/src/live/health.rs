//! Whether the machine was fit to measure on: what the hypervisor took, what was left idle, and how soon Temporal answered.
//!
//! Two cores carry everything, and others may live on the same host. Minutes in which the machine was disturbed say nothing about a
//! scaler; `score` leaves them out for all scalers of a scenario.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{task::JoinHandle, time::MissedTickBehavior};

use super::record::{Health, Record};
use crate::{clock, load::TemporalClient};

/// Time of one line.
const LINE: Duration = Duration::from_secs(30);
/// Temporal is asked so often within it.
const ASK: Duration = Duration::from_secs(5);
/// Longest wait for Temporal's answer.
const PATIENCE: Duration = Duration::from_secs(4);
/// Beyond this share of the CPUs taken by the hypervisor the machine counts as disturbed. Below it a task that runs takes at most a quarter
/// longer, and the objective is one of seconds: with 10 % taken Temporal answered as soon as with none.
pub(super) const MOST_STEAL: f64 = 0.20;
/// … and below this share left idle, …
pub(super) const LEAST_IDLE: f64 = 0.03;
/// … and beyond so many seconds to a call that does no work.
pub(super) const SLOWEST_ANSWER: f64 = 1.0;

/// A watch that runs until it is dropped.
#[derive(Debug)]
pub(super) struct HealthWatch {
    lines: Arc<Mutex<Vec<Health>>>,
    task: JoinHandle<()>,
}

impl HealthWatch {
    /// Begins to watch; prints a line each half minute, after `name`.
    pub(super) fn start(name: String, temporal: TemporalClient) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let shared = lines.clone();
        let task = tokio::spawn(async move {
            let mut before = cpu_times();
            let mut since = clock::now();
            let mut second = tokio::time::interval(ASK);
            second.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut slowest = Some(Duration::ZERO);
            loop {
                second.tick().await;
                let answer = temporal.answer_time(PATIENCE).await;
                // One answer that did not come stays known as that.
                slowest = slowest.zip(answer).map(|(known, new)| known.max(new));
                let at = clock::now();
                let seconds = at.duration_since(since).as_secs_f64();
                if seconds < LINE.as_secs_f64() {
                    continue;
                }
                let after = cpu_times();
                let line = Health {
                    at,
                    seconds,
                    idle: share(before.as_ref(), after.as_ref(), |times| times.idle),
                    steal: share(before.as_ref(), after.as_ref(), |times| times.steal),
                    answer_seconds: slowest.map(|answer| answer.as_secs_f64()),
                };
                eprintln!("{name}: {}", text(&line));
                shared.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                (before, since, slowest) = (after, at, Some(Duration::ZERO));
            }
        });
        Self { lines, task }
    }

    /// All lines so far.
    pub(super) fn lines(&self) -> Vec<Health> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for HealthWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// CPU time of all CPUs since the start of the machine, in ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
struct CpuTimes {
    idle: f64,
    steal: f64,
    all: f64,
}

fn cpu_times() -> Option<CpuTimes> {
    parse(&fs::read_to_string("/proc/stat").ok()?)
}

/// Reads `cpu user nice system idle iowait irq softirq steal guest guest_nice`; guests are in user and nice already.
fn parse(stat: &str) -> Option<CpuTimes> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<f64> = line
        .split_ascii_whitespace()
        .take(8)
        .map(str::parse::<f64>)
        .collect::<Result<_, _>>()
        .ok()?;
    let [_, _, _, idle, iowait, _, _, steal] = *fields.as_slice() else {
        return None;
    };
    Some(CpuTimes {
        idle: idle + iowait,
        steal,
        all: fields.iter().sum(),
    })
}

/// The share that a part had between two readings.
fn share(before: Option<&CpuTimes>, after: Option<&CpuTimes>, part: fn(&CpuTimes) -> f64) -> Option<f64> {
    let (before, after) = (before?, after?);
    let all = after.all - before.all;
    (all > 0.0).then(|| ((part(after) - part(before)) / all).clamp(0.0, 1.0))
}

/// A line for people.
fn text(health: &Health) -> String {
    let percent = |share: Option<f64>| share.map_or_else(|| "?".to_owned(), |share| format!("{:.0} %", share * 100.0));
    let answer = health.answer_seconds.map_or_else(
        || "does not answer".to_owned(),
        |seconds| format!("answers within {:.0} ms", seconds * 1e3),
    );
    let verdict = disturbance(health).map_or_else(String::new, |why| format!("; disturbed: {why}"));
    format!(
        "idle {}, steal {}, Temporal {answer}{verdict}",
        percent(health.idle),
        percent(health.steal)
    )
}

/// Why these seconds do not count; `None` if they do. What is not known is not vouched for.
pub(super) fn disturbance(health: &Health) -> Option<&'static str> {
    let Some((idle, steal)) = health.idle.zip(health.steal) else {
        return Some("CPU time not known");
    };
    let Some(answer) = health.answer_seconds else {
        return Some("no answer");
    };
    if steal > MOST_STEAL {
        Some("steal")
    } else if idle < LEAST_IDLE {
        Some("no idle CPU")
    } else if answer > SLOWEST_ANSWER {
        Some("slow answer")
    } else {
        None
    }
}

/// Minutes of a run in which the machine was disturbed, with the reason; minute 0 is the first.
pub(super) fn disturbed_minutes(record: &Record) -> BTreeMap<u32, &'static str> {
    let mut minutes = BTreeMap::new();
    for health in &record.health {
        let Some(why) = disturbance(health) else { continue };
        let end = record.after(health.at);
        // A second is not enough of a minute to speak of it.
        let (from, to) = ((end - health.seconds).max(0.0) + 1.0, end.min(record.seconds) - 1.0);
        if from <= to {
            for minute in (from / 60.0) as u32..=(to / 60.0) as u32 {
                minutes.entry(minute).or_insert(why);
            }
        }
    }
    minutes
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::live::{args::Scaler, scenario::Name};

    fn fine() -> Health {
        Health {
            at: Timestamp::UNIX_EPOCH,
            seconds: 30.0,
            idle: Some(0.5),
            steal: Some(0.01),
            answer_seconds: Some(0.004),
        }
    }

    #[test]
    fn cpu_time_is_read_from_the_kernel() {
        let before = parse("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3\n").expect("times");
        let after = parse("cpu  150 0 60 820 60 0 0 10 0 0\n").expect("times");
        assert_eq!(share(Some(&before), Some(&after), |times| times.idle), Some(0.3));
        assert_eq!(share(Some(&before), Some(&after), |times| times.steal), Some(0.1));
        assert_eq!(
            share(Some(&before), Some(&before), |times| times.idle),
            None,
            "no time has passed"
        );
        assert_eq!(share(None, Some(&after), |times| times.idle), None);
        assert_eq!(parse("intr 1 2 3\n"), None);
        assert_eq!(parse("cpu  1 2 3\n"), None);
    }

    #[test]
    fn what_disturbs_is_named_and_what_is_unknown_is_not_vouched_for() {
        let changed = |change: fn(&mut Health)| {
            let mut health = fine();
            change(&mut health);
            disturbance(&health)
        };
        assert_eq!(disturbance(&fine()), None);
        assert_eq!(changed(|health| health.steal = Some(0.21)), Some("steal"));
        assert_eq!(changed(|health| health.idle = Some(0.0)), Some("no idle CPU"));
        assert_eq!(changed(|health| health.answer_seconds = Some(1.5)), Some("slow answer"));
        assert_eq!(changed(|health| health.answer_seconds = None), Some("no answer"));
        assert_eq!(changed(|health| health.idle = None), Some("CPU time not known"));
    }

    #[test]
    fn a_disturbed_line_costs_the_minutes_it_lies_in() {
        let line = |second: i64, steal: f64| Health {
            at: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second),
            steal: Some(steal),
            ..fine()
        };
        let record = Record {
            scaler: Scaler::Ours,
            scenario: Name::Step,
            beside: vec![],
            seed: 1,
            machine: String::new(),
            began: Timestamp::UNIX_EPOCH,
            seconds: 600.0,
            due: vec![],
            workflows: vec![],
            pods: vec![],
            sizes: vec![],
            samples: vec![],
            // 30 to 60 s, which ends a minute; 165 to 195 s, which lies in two; the last is past the end.
            health: vec![line(60, 0.5), line(90, 0.0), line(195, 0.5), line(640, 0.5)],
        };
        assert_eq!(disturbed_minutes(&record).into_keys().collect::<Vec<_>>(), [0, 2, 3]);
    }
}
