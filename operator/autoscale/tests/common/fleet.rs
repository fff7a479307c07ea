//! A fleet as samples show it, with every figure set by hand.

use std::collections::BTreeMap;

use fleet_autoscale::{
    Decision, LatencyHistogram, Memory, PodPhase, PodReport, PodSample, Policy, Prior, QueueSample, QueueStats, Sample,
    Seen, SlotKind, SlotReport, TaskType, decide,
};
use jiff::SignedDuration;

use super::at;

/// A policy that asks for a pod per ten waiting tasks.
pub fn by_backlog(min: u32, max: u32) -> Policy {
    Policy {
        schedule_to_start: None,
        cpu_utilization: None,
        backlog_per_replica: Some(10),
        cooldown: SignedDuration::from_secs(60),
        prior: Prior {
            service_seconds: 0.001,
            ..Prior::default()
        },
        ..Policy::new(min, max).expect("valid")
    }
}

/// A fleet of pods of 10 slots, as a sample shows it.
#[derive(Clone, Debug)]
pub struct Fleet {
    pub policy: Policy,
    pub memory: Memory,
    pub now: f64,
    pub replicas: u32,
    /// Pods that are Ready, and those that start.
    pub ready: u32,
    pub starting: u32,
    /// Pods, of those that are Ready, that report.
    pub reporting: u32,
    /// Busy slots of each pod, and all of them.
    pub used: u32,
    pub slots: u32,
    /// Tasks that each pod has ended, and ends between two looks.
    pub completions: u64,
    pub ends: u64,
    /// CPU that each uses [cores of 1].
    pub cpu: f64,
    pub cpu_seconds: f64,
    pub backlog: u64,
    pub age: f64,
    pub add_rate: f64,
    pub rate_limited: bool,
    /// The server answers.
    pub known: bool,
    /// How old its answer is [s], and the pods' reports.
    pub late: f64,
    pub reports_late: f64,
    /// Tasks that each pod took within 5 s of their time, and later.
    pub waits: [u64; 2],
    pub rolling: bool,
}

impl Fleet {
    pub fn new(policy: Policy, replicas: u32) -> Self {
        Self {
            policy,
            memory: Memory::default(),
            now: 1000.0,
            replicas,
            ready: replicas,
            starting: 0,
            reporting: replicas,
            used: 0,
            slots: 10,
            completions: 0,
            ends: 0,
            cpu: 0.0,
            cpu_seconds: 0.0,
            backlog: 0,
            age: 0.0,
            add_rate: 0.0,
            rate_limited: false,
            known: true,
            late: 0.0,
            reports_late: 0.0,
            waits: [0; 2],
            rolling: false,
        }
    }

    /// With pods for `backlog` tasks.
    pub fn waiting(self, backlog: u64) -> Self {
        Self { backlog, ..self }
    }

    pub fn sample(&self) -> Sample {
        let pods = (0..self.ready + self.starting).map(|number| {
            let ready = number < self.ready;
            let report = PodReport {
                at: at(self.now - self.reports_late),
                started: at(0.0),
                slots: vec![SlotReport {
                    kind: SlotKind::Activity,
                    used: self.used,
                    limit: Some(self.slots),
                    completions: self.completions,
                    busy_seconds: f64::from(self.used) * self.now,
                }],
                cpu_seconds: Some(self.cpu_seconds),
                memory_bytes: None,
                schedule_to_start: vec![LatencyHistogram {
                    queue: "orders".into(),
                    task_type: TaskType::Activity,
                    bounds_seconds: vec![5.0],
                    counts: self.waits.to_vec(),
                }],
            };
            PodSample {
                name: format!("pod-{number}"),
                uid: format!("uid-{number}"),
                phase: if ready { PodPhase::Ready } else { PodPhase::Starting },
                created: at(if ready { 0.0 } else { self.now - 5.0 }),
                ready: ready.then(|| at(5.0)),
                cpu_capacity_cores: Some(1.0),
                report: if number < self.reporting {
                    Seen::Known(report)
                } else {
                    Seen::unknown("connection refused")
                },
                cpu_cores: Seen::unknown("not asked"),
                memory_capacity_bytes: None,
                memory_bytes: None,
            }
        });
        let stats = QueueStats {
            backlog: self.backlog,
            backlog_age_seconds: self.age,
            add_rate: self.add_rate,
            dispatch_rate: self.add_rate,
            rate_limited: self.rate_limited,
        };
        Sample {
            replicas: self.replicas,
            queues: vec![QueueSample {
                queue: "orders".into(),
                task_type: TaskType::Activity,
                stats: if self.known {
                    Seen::Known(stats)
                } else {
                    Seen::unknown("away")
                },
                at: at(self.now - self.late),
            }],
            pods: pods.collect(),
            rolling: self.rolling,
            default_slots: BTreeMap::from([(SlotKind::Activity, self.slots)]),
        }
    }

    /// What is decided now; the size stays.
    pub fn decide(&mut self) -> Decision {
        let (decision, memory) = decide(&self.policy, &self.memory, &self.sample(), at(self.now));
        self.memory = memory;
        decision
    }

    /// Five seconds later.
    pub fn pass(&mut self) {
        self.now += 5.0;
        self.completions += self.ends;
        self.cpu_seconds += 5.0 * self.cpu;
    }

    /// The last decision after so many seconds in which the size is what was decided, at once.
    pub fn live(&mut self, seconds: u32) -> Decision {
        let mut last = self.decide();
        for _ in 0..seconds / 5 {
            self.follow(&last);
            self.pass();
            last = self.decide();
        }
        self.follow(&last);
        last
    }

    pub fn follow(&mut self, decision: &Decision) {
        if decision.replicas != self.replicas {
            self.replicas = decision.replicas;
            self.ready = decision.replicas;
            self.reporting = decision.replicas;
        }
    }
}
