//! `Memory`: what `decide` must not forget between two calls.
//!
//! Two levels. The persisted part (estimates, steps of scale-in, pod start times) is serialised into the status of the fleet:
//! bounded, and rounded so that an idle fleet writes nothing. The transient part (baselines of counters, rings of samples) is
//! skipped: after a restart counters get new baselines and the present size stands in for the window of scale-in.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::SlotKind;
use crate::baselines::Baselines;
use crate::fall::Level;
use crate::footprint::Sums;
use crate::ghost::{Ghost, Stuck};
use crate::num::{PerKind, ratio, rounded};
use crate::workers::ENOUGH;

/// Most pod start times that are kept.
pub(crate) const START_TIMES: usize = 30;
/// Most steps of scale-in that are kept; older ones are merged.
pub(crate) const STEPS: usize = 24;

/// What `decide` carries from call to call. `Memory::default()` knows nothing.
///
/// Its JSON form stays below 2 KiB. Everything in it may be lost: decisions get more careful, never wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Memory {
    /// Estimates per slot kind.
    pub(crate) kinds: [KindMemory; 4],
    /// CPU, pooled over the slot kinds.
    pub(crate) cpu: CpuMemory,
    /// Pod start times, newest last [s].
    #[serde(serialize_with = "rounded_list")]
    pub(crate) start_seconds: Vec<f64>,
    /// Ready time of the newest pod in `start_seconds` [Unix s].
    pub(crate) newest_start: i64,
    /// Replicas at the last call.
    pub(crate) replicas: Option<u32>,
    /// Last change of the replicas [Unix s].
    pub(crate) last_change: i64,
    /// Steps of scale-in, oldest first.
    pub(crate) steps: Vec<Step>,
    /// Pods of this fleet have a report: one that is missing is a gap, not another kind of image.
    pub(crate) reports: bool,
    /// A pod was Ready once, so that the server knows the queues.
    pub(crate) registered: bool,
    /// Headroom as last learned, before the bounds of the profile (share of demand).
    #[serde(serialize_with = "rounded_number")]
    pub(crate) headroom: f64,
    /// Factor on demand where the model asks for too little; 0 counts as 1.
    #[serde(serialize_with = "rounded_number")]
    pub(crate) trim: f64,
    /// Something behind the workers was full: no scale-out for waiting tasks before this time [Unix s]; 0 if never.
    pub(crate) no_attempt_before: i64,
    /// Replicas when the server's statistics went missing; `None` while they are there.
    pub(crate) held_at: Option<u32>,
    /// Backlogs that nobody gets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ghosts: Vec<Ghost>,
    /// What a restart may forget.
    #[serde(skip)]
    pub(crate) transient: Transient,
}

/// Estimates of one slot kind. Sums decay together; their quotient is the estimate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct KindMemory {
    /// Decayed busy slot-seconds.
    #[serde(serialize_with = "rounded_number")]
    pub(crate) busy: f64,
    /// Decayed completions.
    #[serde(serialize_with = "rounded_number")]
    pub(crate) completions: f64,
    /// Slot-seconds and ended tasks as the server alone shows them, of images without a report.
    pub(crate) outside: Outside,
    /// Arrivals counted by workers per arrival counted by the server (eager and sticky tasks).
    #[serde(serialize_with = "rounded_number")]
    pub(crate) ratio: f64,
    /// Slots of a pod as last reported; 0 if never.
    pub(crate) slots: u32,
}

impl Default for KindMemory {
    fn default() -> Self {
        Self {
            busy: 0.0,
            completions: 0.0,
            outside: Outside::default(),
            ratio: 1.0,
            slots: 0,
        }
    }
}

/// What the server alone shows of service times; the quotient is the estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Outside {
    /// Slot-seconds.
    #[serde(serialize_with = "rounded_number")]
    pub(crate) busy: f64,
    /// Ended tasks.
    #[serde(serialize_with = "rounded_number")]
    pub(crate) ended: f64,
}

/// CPU sums, decayed together, net of idle use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct CpuMemory {
    /// Decayed core-seconds.
    #[serde(serialize_with = "rounded_number")]
    pub(crate) core_seconds: f64,
    /// Decayed completions of all kinds.
    #[serde(serialize_with = "rounded_number")]
    pub(crate) completions: f64,
    /// Decayed busy slot-seconds of all kinds.
    #[serde(serialize_with = "rounded_number")]
    pub(crate) busy: f64,
    /// What an idle pod uses [cores]; 0 if none was seen.
    #[serde(serialize_with = "rounded_number")]
    pub(crate) idle_cores: f64,
    /// Capacity of a pod [cores]; 0 if unknown.
    #[serde(serialize_with = "rounded_number")]
    pub(crate) capacity: f64,
}

/// One step of scale-in: time [Unix s], size before, size after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step(pub(crate) i64, pub(crate) u32, pub(crate) u32);

/// What a restart may forget.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Transient {
    /// Last call.
    pub(crate) last: Option<Timestamp>,
    /// Watching without a gap since then.
    pub(crate) since: Option<Timestamp>,
    /// Baselines of the pods' counters.
    pub(crate) baselines: Arc<Baselines>,
    /// Bounds of the latency buckets [s].
    pub(crate) latency_bounds: Vec<f64>,
    /// Tasks per latency bucket, one entry per 5 s.
    pub(crate) latency: VecDeque<(i64, Vec<u64>)>,
    /// Tasks started so far, counted by the workers.
    pub(crate) flow: PerKind,
    /// Completions per second, smoothed.
    pub(crate) completion_rate: PerKind,
    /// Service time of the latest tasks.
    pub(crate) recent: [Recent; 4],
    /// Mean CPU use, smoothed (share of capacity).
    pub(crate) cpu: Option<f64>,
    /// Where the count of arrivals goes on from.
    pub(crate) arrivals_from: Option<ArrivalBaseline>,
    /// Arrivals per sample.
    pub(crate) arrivals: VecDeque<Arrivals>,
    /// Arrivals per 20 s, for burstiness.
    pub(crate) bins: VecDeque<(i64, PerKind)>,
    /// Last estimate of arrivals per second.
    pub(crate) rate: Option<PerKind>,
    /// The rate changed at this time: nothing older counts.
    pub(crate) changed: [Option<Timestamp>; 4],
    /// Demand over time [pods]: start of a slice of time, largest value in it.
    pub(crate) window: VecDeque<(Timestamp, f64)>,
    /// What demand was taken for, and when it is to be compared [pods].
    pub(crate) forecasts: VecDeque<(Timestamp, f64)>,
    /// How far demand went beyond its forecast (share of it), over the last hour.
    pub(crate) surprises: VecDeque<(Timestamp, f64)>,
    /// Samples in a row that missed the objective for want of slots.
    pub(crate) late_samples: u32,
    /// A scale-out of full workers that is still to be judged.
    pub(crate) attempt: Option<Attempt>,
    /// Such scale-outs in a row that did not help.
    pub(crate) failed_attempts: u32,
    /// Running tasks as the server alone shows them; `None` before the first look.
    pub(crate) books: [Option<Book>; 4],
    /// Memory of the pods against their busy slots.
    pub(crate) footprint: Sums,
    /// Nothing to do since then.
    pub(crate) idle_since: Option<Timestamp>,
    /// The server says nothing since then.
    pub(crate) blind_since: Option<Timestamp>,
    /// No pod reports since then.
    pub(crate) silent_since: Option<Timestamp>,
    /// Tasks wait beside free slots since then.
    pub(crate) pollers_since: Option<Timestamp>,
    /// Backlogs that nobody takes from, though not for long enough yet.
    pub(crate) stuck: Vec<Stuck>,
    /// The backlogs of the last answers.
    pub(crate) levels: Vec<Level>,
}

/// Busy slot-seconds and completions of the latest tasks, decayed together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Recent {
    pub(crate) busy: f64,
    pub(crate) completions: f64,
}

/// The running tasks of one kind, of images without a report.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Book {
    /// Running tasks.
    pub(crate) running: f64,
    /// Those of them that were there when the book began, as far as anybody knows.
    pub(crate) unseen: f64,
    /// Since the book was last known to be right: seconds, slot-seconds, ended tasks.
    pub(crate) seconds: f64,
    pub(crate) busy: f64,
    pub(crate) ended: f64,
    /// What would run if no task had ended since then, and its slot-seconds.
    pub(crate) standing: f64,
    pub(crate) most: f64,
}

/// A scale-out of full workers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Attempt {
    pub(crate) at: Timestamp,
    /// The slot kind that was full.
    pub(crate) kind: usize,
    /// Ready pods then, and what they completed [tasks/s].
    pub(crate) ready: u32,
    pub(crate) rate: f64,
}

/// Counters of one pod at its last report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PodBaseline {
    pub(crate) uid: u64,
    pub(crate) at: Timestamp,
    pub(crate) started: Timestamp,
    pub(crate) used: [u32; 4],
    pub(crate) completions: [u64; 4],
    pub(crate) busy: PerKind,
    pub(crate) cpu_seconds: Option<f64>,
    /// Index of its block in `Baselines::latency_counts`, in blocks; `None` if it has none.
    pub(crate) block: Option<u32>,
}

/// State at the last count of arrivals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ArrivalBaseline {
    pub(crate) when: Timestamp,
    pub(crate) oldest: Timestamp,
    pub(crate) backlog: PerKind,
    pub(crate) flow: PerKind,
    pub(crate) owed: PerKind,
}

/// Arrivals between two samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Arrivals {
    pub(crate) at: Timestamp,
    pub(crate) seconds: f64,
    pub(crate) tasks: PerKind,
}

impl Memory {
    /// Mean service time of a kind of task, as the pods report it [s]; `None` until enough tasks have ended. Tasks that run and do not
    /// end raise it.
    pub fn service_seconds(&self, kind: SlotKind) -> Option<f64> {
        let known = self.kinds[kind.index()];
        (known.completions >= ENOUGH).then(|| ratio(known.busy, known.completions))
    }

    /// Notes the size that the Deployment has now: a change of it, whoever made it, is a step.
    pub(crate) fn note_replicas(&mut self, replicas: u32, now: Timestamp) {
        if let Some(before) = self.replicas.filter(|before| *before != replicas) {
            self.last_change = now.as_second();
            if replicas < before {
                self.steps.push(Step(now.as_second(), before, replicas));
            }
        }
        self.replicas = Some(replicas);
        // Half an hour is the longest period a rule can have.
        let oldest = now.as_second().saturating_sub(1800);
        let last = self.steps.len().saturating_sub(1);
        let mut index = 0;
        self.steps.retain(|step| {
            index += 1;
            step.0 >= oldest || index > last
        });
        while self.steps.len() > STEPS {
            let Step(_, from, _) = self.steps.remove(0);
            if let Some(Step(_, first, _)) = self.steps.first_mut() {
                *first = from;
            }
        }
    }

    /// The clock went back, or a former leader's was ahead: what is still to come counts as now or is forgotten. Else all that
    /// waits for such a time would wait for as long as the clock was wrong.
    pub(crate) fn rewind(&mut self, now: Timestamp) {
        let second = now.as_second();
        self.last_change = self.last_change.min(second);
        self.newest_start = self.newest_start.min(second);
        for step in &mut self.steps {
            step.0 = step.0.min(second);
        }
        let transient = &mut self.transient;
        transient.attempt = transient.attempt.filter(|attempt| attempt.at <= now);
        transient.surprises.retain(|(at, _)| *at <= now);
        transient.levels.retain(|level| level.at <= now);
    }
}

// serde calls it with a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn rounded_number<S: Serializer>(x: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(rounded(*x))
}

fn rounded_list<S: Serializer>(list: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter().map(|x| rounded(*x)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn the_persisted_form_is_small_at_its_bounds() {
        let mut memory = Memory {
            kinds: [KindMemory {
                busy: 1.234_567_89e11,
                completions: 9.876_543_21e11,
                outside: Outside {
                    busy: 1.234_567e-4,
                    ended: 1.0,
                },
                ratio: 9.876_543,
                slots: u32::MAX,
            }; 4],
            cpu: CpuMemory {
                core_seconds: 1.234_567e11,
                completions: 1.234_567e11,
                busy: 1.234_567e11,
                idle_cores: 0.001_234_567,
                capacity: 0.123_456_7,
            },
            start_seconds: vec![1_234.567_89; START_TIMES],
            newest_start: 1_795_000_000,
            headroom: 0.123_456_7,
            trim: 1.234_567,
            no_attempt_before: 1_795_000_000,
            held_at: Some(u32::MAX),
            ghosts: vec![Ghost(u32::MAX, u64::MAX, 1_795_000_000); crate::ghost::GHOSTS],
            reports: true,
            registered: true,
            ..Memory::default()
        };
        for second in 0..200_i64 {
            memory.note_replicas(10_000 - second as u32, at(1_795_000_000 + second));
        }
        let json = serde_json::to_string(&memory).expect("serialises");
        assert!(json.len() < 2048, "{} bytes: {json}", json.len());
        let back: Memory = serde_json::from_str(&json).expect("reads back");
        assert_eq!(
            serde_json::to_string(&back).expect("serialises"),
            json,
            "rounding is stable"
        );
    }

    #[test]
    fn merged_steps_keep_the_sum_of_what_left() {
        let mut memory = Memory::default();
        for second in 0..100_i64 {
            memory.note_replicas(1000 - second as u32, at(1_795_000_000 + second));
        }
        let left: u32 = memory.steps.iter().map(|Step(_, from, to)| from - to).sum();
        assert_eq!((memory.steps.len(), left), (STEPS, 99));
    }

    #[test]
    fn an_older_form_reads_as_what_it_has() {
        let memory: Memory = serde_json::from_str(r#"{"replicas":3,"unheardOf":1}"#).expect("lenient");
        assert_eq!(
            memory,
            Memory {
                replicas: Some(3),
                ..Memory::default()
            }
        );
    }
}
