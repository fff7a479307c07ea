//! Our scaler: `Seen` becomes a `fleet_autoscale::Sample`, the production `decide()` answers. Nothing of the law is repeated here.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleet_autoscale::record::Record;
use fleet_autoscale::{
    LatencyHistogram, Memory, PodPhase, PodReport, PodSample, Policy, Profile, QueueSample, QueueStats, Sample,
    ScheduleToStart, SlotKind, SlotReport, TaskType, decide,
};
use jiff::Timestamp;

use crate::scaler::{self, BUCKETS, Ending, Phase, Scaler, Seen, Time};
use crate::setting::Setting;

/// Start of all simulations on the calendar [Unix s]: 2026-01-01T00:00:00Z.
const EPOCH: i64 = 1_767_225_600;
/// Interval of the degraded scaler [s].
const TICK: f64 = 15.0;

/// Names of our scalers.
pub const NAMES: [&str; 4] = ["ours", "ours-cost", "ours-latency", "ours-degraded"];

/// Where records of decisions go.
type Recorder = Box<dyn FnMut(&Record) + Send>;

/// Our scaler.
pub struct Ours {
    name: &'static str,
    policy: Policy,
    memory: Memory,
    queues: Vec<(Arc<str>, TaskType)>,
    slots: BTreeMap<SlotKind, u32>,
    grace: f64,
    /// Server rates only, at a fixed interval, no word from the pods.
    degraded: bool,
    pause: f64,
    because: Option<String>,
    recorder: Option<Recorder>,
}

impl std::fmt::Debug for Ours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ours")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// One of our scalers by its name.
pub fn by_name(name: &str, setting: &Setting) -> Option<Ours> {
    let policy = policy(setting);
    let profiled = |name, profile| {
        Ours::new(
            name,
            Policy {
                profile,
                ..policy.clone()
            },
            setting,
        )
    };
    match name {
        "ours" => Some(Ours::new("ours", policy, setting)),
        "ours-cost" => Some(profiled("ours-cost", Profile::Cost)),
        "ours-latency" => Some(profiled("ours-latency", Profile::Latency)),
        "ours-degraded" => Some(Ours {
            degraded: true,
            ..Ours::new("ours-degraded", policy, setting)
        }),
        _ => None,
    }
}

/// The policy of a fleet; for one without, the default within its bounds and for its objective.
pub fn policy(setting: &Setting) -> Policy {
    if let Some(policy) = &setting.policy {
        return policy.clone();
    }
    let max_replicas = setting.max_replicas.max(1);
    Policy {
        min_replicas: setting.min_replicas.min(max_replicas),
        max_replicas,
        schedule_to_start: Some(ScheduleToStart {
            seconds: setting.objective_seconds,
            percentile: setting.objective_percentile,
        }),
        ..Policy::default()
    }
}

/// A moment of the simulation on the calendar, to the nanosecond.
pub fn timestamp(time: Time) -> Timestamp {
    let nanos = i128::from(EPOCH) * 1_000_000_000 + libm::round(time * 1e9) as i128;
    Timestamp::from_nanosecond(nanos).unwrap_or(Timestamp::MAX)
}

impl Ours {
    /// A scaler with a policy of its own.
    pub fn new(name: &'static str, policy: Policy, setting: &Setting) -> Self {
        let named = |(number, task_type): (usize, &TaskType)| (Arc::from(format!("queue-{number}")), *task_type);
        let slots = setting.types.iter().zip(&setting.slots);
        Self {
            name,
            policy,
            memory: Memory::default(),
            queues: setting.types.iter().enumerate().map(named).collect(),
            slots: slots
                .map(|(task_type, slots)| (SlotKind::from(*task_type), *slots))
                .collect(),
            grace: setting.grace_seconds,
            degraded: false,
            pause: TICK,
            because: None,
            recorder: None,
        }
    }

    /// Hands every decision with all it was made from to `recorder`.
    #[must_use]
    pub fn recording(self, recorder: impl FnMut(&Record) + Send + 'static) -> Self {
        Self {
            recorder: Some(Box::new(recorder)),
            ..self
        }
    }

    /// What the operator would see.
    fn sample(&self, seen: &Seen) -> Sample {
        let queues = self.queues.iter().zip(&seen.queues).map(|((name, task_type), stats)| {
            let stale = stats.map_or(0.0, |stats| stats.stale_seconds);
            QueueSample {
                queue: name.to_string(),
                task_type: *task_type,
                stats: match stats {
                    Some(stats) => fleet_autoscale::Seen::Known(QueueStats {
                        backlog: stats.backlog,
                        backlog_age_seconds: stats.age_seconds,
                        add_rate: stats.add_rate,
                        dispatch_rate: stats.dispatch_rate,
                        rate_limited: stats.rate_limited,
                    }),
                    None => fleet_autoscale::Seen::unknown("deadline exceeded"),
                },
                at: timestamp(seen.now - stale),
            }
        });
        Sample {
            replicas: seen.replicas,
            queues: queues.collect(),
            pods: seen.pods.iter().map(|pod| self.pod(pod, seen.now)).collect(),
            rolling: false,
            default_slots: self.slots.clone(),
        }
    }

    fn pod(&self, pod: &scaler::Pod, now: Time) -> PodSample {
        let name = format!("pod-{}", pod.id);
        PodSample {
            uid: name.clone(),
            name,
            phase: match pod.phase {
                Phase::Pending => PodPhase::Pending,
                Phase::Starting => PodPhase::Starting,
                Phase::Ready => PodPhase::Ready,
                Phase::Draining => PodPhase::Draining,
            },
            created: timestamp(pod.created),
            ready: pod.ready.map(timestamp),
            cpu_capacity_cores: Some(pod.cpu_limit),
            report: if pod.slots.is_empty() || self.degraded {
                fleet_autoscale::Seen::unknown("connection refused")
            } else {
                fleet_autoscale::Seen::Known(self.report(pod, now))
            },
            cpu_cores: match pod.cpu_cores.filter(|_| !self.degraded) {
                Some(cores) => fleet_autoscale::Seen::Known(cores),
                None => fleet_autoscale::Seen::unknown("no metrics yet"),
            },
            // The world has no memory.
            memory_capacity_bytes: None,
            memory_bytes: None,
        }
    }

    fn report(&self, pod: &scaler::Pod, now: Time) -> PodReport {
        let slots = pod.slots.iter().filter_map(|slots| {
            let (_, task_type) = self.queues.get(slots.queue)?;
            Some(SlotReport {
                kind: SlotKind::from(*task_type),
                used: slots.used,
                limit: Some(slots.limit),
                completions: slots.completions,
                busy_seconds: slots.busy_seconds,
            })
        });
        let histogram = |((name, task_type), counts): (&(Arc<str>, TaskType), &Vec<u64>)| LatencyHistogram {
            queue: name.to_string(),
            task_type: *task_type,
            bounds_seconds: BUCKETS.to_vec(),
            counts: counts.clone(),
        };
        PodReport {
            at: timestamp(now),
            started: timestamp(pod.created),
            slots: slots.collect(),
            cpu_seconds: Some(pod.cpu_seconds),
            memory_bytes: None,
            schedule_to_start: self.queues.iter().zip(&pod.schedule_to_start).map(histogram).collect(),
        }
    }
}

impl Scaler for Ours {
    fn name(&self) -> &str {
        self.name
    }

    fn ending(&self) -> Ending {
        Ending {
            grace_seconds: self.grace,
            idle_first: true,
            quarantine: true,
        }
    }

    fn next(&self, now: Time) -> Time {
        now + if self.degraded { TICK } else { self.pause }
    }

    fn look(&mut self, seen: &Seen) -> Option<u32> {
        let sample = self.sample(seen);
        let now = timestamp(seen.now);
        let (decision, memory) = decide(&self.policy, &self.memory, &sample, now);
        self.memory = memory;
        self.pause = decision.next_poll.as_secs_f64();
        let replicas = decision.replicas;
        self.because = (replicas != seen.replicas).then(|| format!("{}: {}", decision.reason, decision.message));
        if let Some(recorder) = &mut self.recorder {
            recorder(&Record {
                at: now,
                policy: self.policy.clone(),
                memory: None,
                continues: false,
                sample,
                decision,
            });
        }
        (replicas != seen.replicas).then_some(replicas)
    }

    fn because(&self) -> Option<String> {
        self.because.clone()
    }
}
