//! A small deterministic world around `decide`: one queue of activities, pods with slots and shared CPU, a server that counts.
//! Steps of 100 ms; arrivals evenly spaced or drawn from a fixed sequence.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

pub mod fleet;

use std::collections::{BTreeMap, VecDeque};

use fleet_autoscale::{
    Decision, LatencyHistogram, Memory, PodPhase, PodReport, PodSample, Policy, QueueSample, QueueStats, Sample, Seen,
    SlotKind, SlotReport, TaskType, decide,
};
use jiff::{SignedDuration, Timestamp};

/// Start of all tests.
pub fn epoch() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().expect("a time")
}

/// A number of seconds after the start.
pub fn at(seconds: f64) -> Timestamp {
    epoch() + SignedDuration::try_from_secs_f64(seconds).expect("in range")
}

/// What a task costs.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Time it takes alone [s].
    pub seconds: f64,
    /// CPU of it [core-s].
    pub cpu: f64,
}

#[derive(Clone, Debug)]
struct Task {
    left: f64,
    cores: f64,
}

#[derive(Clone, Debug)]
pub struct Pod {
    number: u64,
    created: f64,
    ready: f64,
    draining: bool,
    tasks: Vec<Task>,
    completions: u64,
    busy: f64,
    cpu: f64,
    latency: Vec<u64>,
}

/// The world.
#[derive(Clone, Debug)]
pub struct World {
    pub now: f64,
    pub slots: u32,
    pub capacity: f64,
    pub idle_cores: f64,
    pub start_seconds: f64,
    pub replicas: u32,
    pub pods: Vec<Pod>,
    /// Pods end and start without a report, as with other images.
    pub silent: bool,
    /// The server does not answer.
    pub dark: bool,
    /// Tasks that the server counts and nobody gets, and since when they wait.
    pub ghosts: (u64, f64),
    /// The server has unloaded the queue: it counts nothing.
    pub unloaded: bool,
    /// Memory of an idle pod, of each busy slot besides, and the limit [MiB]; not known if there is none.
    pub held: Option<[f64; 3]>,
    pub memory: Memory,
    pub waits: Vec<f64>,
    pub started: u64,
    pub finished: u64,
    queue: VecDeque<(f64, Work)>,
    added: VecDeque<f64>,
    dispatched: VecDeque<f64>,
    due: f64,
    numbers: u64,
    random: u64,
}

const BOUNDS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
const STEP: f64 = 0.1;
const MIB: f64 = 1_048_576.0;

impl World {
    /// A world with `replicas` Ready pods.
    pub fn new(replicas: u32, slots: u32, capacity: f64) -> Self {
        let mut world = Self {
            now: 0.0,
            slots,
            capacity,
            idle_cores: 0.005,
            start_seconds: 3.0,
            replicas,
            pods: Vec::new(),
            silent: false,
            dark: false,
            ghosts: (0, 0.0),
            unloaded: false,
            held: None,
            memory: Memory::default(),
            waits: Vec::new(),
            started: 0,
            finished: 0,
            queue: VecDeque::new(),
            added: VecDeque::new(),
            dispatched: VecDeque::new(),
            due: 0.0,
            numbers: 0,
            random: 42,
        };
        world.scale(replicas);
        world
    }

    fn uniform(&mut self) -> f64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Tasks that wait.
    pub fn backlog(&self) -> usize {
        self.queue.len()
    }

    /// Tasks that run.
    pub fn running(&self) -> usize {
        self.pods.iter().map(|pod| pod.tasks.len()).sum()
    }

    /// Puts tasks into the queue at once.
    pub fn burst(&mut self, tasks: u32, work: Work) {
        for _ in 0..tasks {
            self.queue.push_back((self.now, work));
            self.added.push_back(self.now);
            self.started += 1;
        }
    }

    /// Lets time go by with Poisson arrivals at `rate`; `seconds` a multiple of the step.
    pub fn run(&mut self, seconds: f64, rate: f64, work: Work) {
        let end = self.now + seconds - STEP / 2.0;
        if rate > 0.0 && self.due < self.now {
            self.due = self.now;
        }
        while self.now < end {
            self.now += STEP;
            while rate > 0.0 && self.due <= self.now {
                let spread = 0.5 + self.uniform();
                let work = Work {
                    seconds: work.seconds * spread,
                    cpu: work.cpu * spread,
                };
                self.burst(1, work);
                let gap = -(1.0 - self.uniform()).ln() / rate;
                self.due += gap;
            }
            self.step();
        }
    }

    fn step(&mut self) {
        let now = self.now;
        for rates in [&mut self.added, &mut self.dispatched] {
            while rates.front().is_some_and(|at| now - at > 30.0) {
                rates.pop_front();
            }
        }
        // Round robin: the pod with most room polls first.
        loop {
            let slots = self.slots as usize;
            let open = self
                .pods
                .iter_mut()
                .filter(|pod| !pod.draining && pod.ready <= now && pod.tasks.len() < slots);
            let Some(pod) = open.min_by_key(|pod| pod.tasks.len()) else {
                break;
            };
            let Some((since, work)) = self.queue.pop_front() else {
                break;
            };
            let wait = now - since;
            self.waits.push(wait);
            self.dispatched.push_back(now);
            pod.latency[BOUNDS.partition_point(|bound| *bound < wait)] += 1;
            pod.tasks.push(Task {
                left: work.seconds,
                cores: work.cpu / work.seconds,
            });
        }
        for pod in &mut self.pods {
            if pod.ready > now {
                continue;
            }
            let wanted: f64 = pod.tasks.iter().map(|task| task.cores).sum();
            let speed = if wanted > self.capacity {
                self.capacity / wanted
            } else {
                1.0
            };
            pod.busy += pod.tasks.len() as f64 * STEP;
            pod.cpu += (wanted * speed + self.idle_cores).min(self.capacity) * STEP;
            for task in &mut pod.tasks {
                task.left -= STEP * speed;
            }
            let before = pod.tasks.len();
            pod.tasks.retain(|task| task.left > 1e-9);
            let ended = (before - pod.tasks.len()) as u64;
            pod.completions += ended;
            self.finished += ended;
        }
        self.pods.retain(|pod| !(pod.draining && pod.tasks.is_empty()));
    }

    /// What the operator would see now.
    pub fn sample(&self) -> Sample {
        let now = at(self.now);
        let (ghosts, since) = self.ghosts;
        let first = (ghosts > 0).then_some(since).into_iter();
        let first = first
            .chain(self.queue.front().map(|(since, _)| *since))
            .reduce(f64::min);
        let stats = if self.unloaded {
            QueueStats::default()
        } else {
            QueueStats {
                backlog: self.queue.len() as u64 + ghosts,
                backlog_age_seconds: first.map_or(0.0, |since| self.now - since),
                add_rate: self.added.len() as f64 / 30.0,
                dispatch_rate: self.dispatched.len() as f64 / 30.0,
                rate_limited: false,
            }
        };
        let pods = self.pods.iter().map(|pod| self.pod(pod, now));
        Sample {
            replicas: self.replicas,
            queues: vec![QueueSample {
                queue: "orders".into(),
                task_type: TaskType::Activity,
                stats: if self.dark {
                    Seen::unknown("deadline exceeded")
                } else {
                    Seen::Known(stats)
                },
                at: now,
            }],
            pods: pods.collect(),
            rolling: false,
            default_slots: BTreeMap::from([(SlotKind::Activity, self.slots)]),
        }
    }

    fn pod(&self, pod: &Pod, now: Timestamp) -> PodSample {
        let ready = pod.ready <= self.now;
        let report = PodReport {
            at: now,
            started: at(pod.created),
            slots: vec![SlotReport {
                kind: SlotKind::Activity,
                used: pod.tasks.len() as u32,
                limit: Some(self.slots),
                completions: pod.completions,
                busy_seconds: pod.busy,
            }],
            cpu_seconds: Some(pod.cpu),
            memory_bytes: self
                .held
                .map(|[idle, slot, _]| ((idle + slot * pod.tasks.len() as f64) * MIB) as u64),
            schedule_to_start: vec![LatencyHistogram {
                queue: "orders".into(),
                task_type: TaskType::Activity,
                bounds_seconds: BOUNDS.to_vec(),
                counts: pod.latency.clone(),
            }],
        };
        PodSample {
            name: format!("orders-{}", pod.number),
            uid: format!("0f8b1c52-6f0e-4b58-9d3c-{:012}", pod.number),
            phase: match (pod.draining, ready) {
                (true, _) => PodPhase::Draining,
                (false, true) => PodPhase::Ready,
                (false, false) => PodPhase::Starting,
            },
            created: at(pod.created),
            ready: ready.then(|| at(pod.ready)),
            cpu_capacity_cores: Some(self.capacity),
            report: if self.silent || !ready {
                Seen::unknown("connection refused")
            } else {
                Seen::Known(report)
            },
            cpu_cores: Seen::unknown("not asked"),
            memory_capacity_bytes: self.held.map(|[.., most]| most * MIB),
            memory_bytes: None,
        }
    }

    /// Samples, decides, and does what was decided.
    pub fn tick(&mut self, policy: &Policy) -> Decision {
        let (decision, memory) = decide(policy, &self.memory, &self.sample(), at(self.now));
        self.memory = memory;
        self.scale(decision.replicas);
        decision
    }

    /// A restart of the operator: only what is persisted survives.
    pub fn restart(&mut self) {
        let json = serde_json::to_string(&self.memory).expect("serialises");
        self.memory = serde_json::from_str(&json).expect("reads back");
    }

    /// Runs the loop for `seconds`; returns all decisions with their time.
    pub fn live(&mut self, policy: &Policy, seconds: f64, rate: f64, work: Work) -> Vec<(f64, u32, Decision)> {
        let end = self.now + seconds;
        let mut decisions = Vec::new();
        while self.now < end - STEP {
            let before = self.replicas;
            let decision = self.tick(policy);
            let pause = decision.next_poll.as_secs_f64().min(end - self.now);
            decisions.push((self.now, before, decision));
            self.run(pause, rate, work);
        }
        decisions
    }

    /// Idle pods go first; busy ones finish what they run.
    pub fn scale(&mut self, replicas: u32) {
        self.replicas = replicas;
        let alive = |pods: &[Pod]| pods.iter().filter(|pod| !pod.draining).count() as u32;
        while alive(&self.pods) < replicas {
            self.numbers += 1;
            let ready = if self.now > 0.0 {
                self.now + self.start_seconds
            } else {
                0.0
            };
            self.pods.push(Pod {
                number: self.numbers,
                created: if self.now > 0.0 { self.now } else { -5.0 },
                ready,
                draining: false,
                tasks: Vec::new(),
                completions: 0,
                busy: 0.0,
                cpu: 0.0,
                latency: vec![0; BOUNDS.len() + 1],
            });
        }
        while alive(&self.pods) > replicas {
            let now = self.now;
            let victim = self.pods.iter_mut().filter(|pod| !pod.draining);
            if let Some(pod) = victim.min_by_key(|pod| (pod.ready <= now, pod.tasks.len())) {
                pod.draining = true;
            }
        }
        self.pods.retain(|pod| !(pod.draining && pod.tasks.is_empty()));
    }
}

/// The policy of the demo: short windows, zero allowed.
pub fn demo_policy() -> Policy {
    Policy {
        cooldown: SignedDuration::from_secs(30),
        scale_down: Some(fleet_autoscale::ScaleDownBehavior {
            stabilization_window: SignedDuration::from_secs(45),
            select_policy: fleet_autoscale::SelectPolicy::Max,
            policies: Vec::new(),
        }),
        ..Policy::new(0, 8).expect("valid")
    }
}
