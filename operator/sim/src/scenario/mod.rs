//! Scenarios: what is simulated, as YAML. Every field has a default but the kinds of tasks, which a `profile` brings along.
//!
//! ```yaml
//! name: orders
//! profile: io                # io, cpu, long, mix, hours: fills in what is not given below
//! load: { shape: step, rate: 60, peak: 4 }
//! durationSeconds: 3600
//! seeds: [1, 2, 3]
//! ```

mod builtin;
mod read;
mod service;

use serde::{Deserialize, Serialize};

pub use builtin::{PROFILES, builtin, names};
use fleet_autoscale::Policy;
pub use fleet_autoscale::TaskType;
pub use read::{ScenarioError, open, parse};
pub use service::{Family, Service};

use crate::load::{Shape, Trace};
use crate::setting::Setting;

/// What is simulated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// Name in tables.
    #[serde(default)]
    pub name: String,
    /// Kinds of tasks, 1 to 3, each with its own queue and its own slots in every pod.
    pub kinds: Vec<Kind>,
    /// How the load goes.
    #[serde(default)]
    pub load: Load,
    /// What `load.trace` named, read.
    #[serde(skip)]
    pub trace: Option<Trace>,
    /// The policy of our scalers, for a fleet that has one; default: the law's own, within `bounds` and for `objective`, which
    /// are all that the peers know of it.
    #[serde(skip)]
    pub policy: Option<Policy>,
    /// One run per seed; default 1 to 10.
    #[serde(default = "ten_seeds")]
    pub seeds: Vec<u64>,
    /// Length of a run [s], 60 to 2592000.
    #[serde(default = "an_hour")]
    pub duration_seconds: f64,
    /// The pods.
    #[serde(default)]
    pub pods: Pods,
    /// Sizes.
    #[serde(default)]
    pub bounds: Bounds,
    /// The latency objective.
    #[serde(default)]
    pub objective: Objective,
    /// What goes wrong.
    #[serde(default)]
    pub faults: Faults,
}

/// One kind of task with its queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kind {
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Type of the queue; each type once.
    #[serde(rename = "type", default = "activity")]
    pub task_type: TaskType,
    /// Slots per pod, ≥ 1.
    pub slots: u32,
    /// Service times.
    pub service: Service,
    /// CPU that a running task uses if it gets it [cores], 0 to 64.
    pub cores: f64,
    /// Share of the arrivals, relative to those of the other kinds, > 0.
    #[serde(default = "one")]
    pub share: f64,
    /// Share of eager or sticky tasks, which skip the server's matching while a slot is free, 0 to 1.
    #[serde(default)]
    pub eager: f64,
    /// Partitions of the queue, 1 to 64.
    #[serde(default = "four")]
    pub partitions: u32,
    /// Rate limit of the queue [tasks/s].
    #[serde(default)]
    pub rate_limit: Option<f64>,
    /// What a system behind the workers can do at most [tasks/s]: tasks wait for it in their slots.
    #[serde(default)]
    pub downstream_limit: Option<f64>,
    /// Time after which the server gives up a task whose worker died, and schedules it again [s].
    #[serde(default = "half_a_minute")]
    pub heartbeat_timeout_seconds: f64,
}

/// How the load goes: a shape or a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Load {
    /// The shape.
    pub shape: Shape,
    /// A CSV file instead of a shape, relative to the scenario's folder; `rate` and `peak` then mean nothing.
    pub trace: Option<std::path::PathBuf>,
    /// Base rate of all kinds together [tasks/s], ≥ 0.
    pub rate: f64,
    /// The highest rate as a multiple of the base rate, ≥ 0.
    pub peak: f64,
    /// When the shape's event begins [s]; the default of this and the next three is the shape's own.
    pub at_seconds: Option<f64>,
    /// How long it lasts [s].
    pub lasting_seconds: Option<f64>,
    /// Time between repetitions [s].
    pub every_seconds: Option<f64>,
    /// How long the rise takes [s].
    pub ramp_seconds: Option<f64>,
    /// Noise of the diurnal shape: standard deviation of the logarithm, 0 to 1.
    pub noise: f64,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            shape: Shape::Steady,
            trace: None,
            rate: 10.0,
            peak: 4.0,
            at_seconds: None,
            lasting_seconds: None,
            every_seconds: None,
            ramp_seconds: None,
            noise: 0.2,
        }
    }
}

/// The pods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Pods {
    /// CPU limit [cores], 0.05 to 256.
    pub cores: f64,
    /// CPU request [cores]; default: the limit.
    pub cpu_request: Option<f64>,
    /// What an idle pod uses [cores].
    pub idle_cores: f64,
    /// Median time from creation to the first poll [s], 0 to 3600.
    pub start_seconds: f64,
    /// Spread of the start time: standard deviation of its logarithm, 0 to 2.
    pub start_spread: f64,
    /// Probability that a new pod needs a new node first, 0 to 1.
    pub node_probability: f64,
    /// Median time that a new node takes [s].
    pub node_seconds: f64,
    /// Nodes over which pods are spread at random, 1 to 1000: a `ReplicaSet` takes pods from crowded nodes first.
    pub nodes: u32,
    /// Grace period where the fleet's owner sets one [s]; peers that are documented with the default keep 30 s.
    pub grace_seconds: f64,
}

impl Default for Pods {
    fn default() -> Self {
        Self {
            cores: 1.0,
            cpu_request: None,
            idle_cores: 0.01,
            start_seconds: 20.0,
            start_spread: 0.3,
            node_probability: 0.0,
            node_seconds: 120.0,
            nodes: 8,
            grace_seconds: 600.0,
        }
    }
}

/// Sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Bounds {
    /// Lower bound; 0 allows zero.
    pub min: u32,
    /// Upper bound, ≥ 1.
    pub max: u32,
    /// Pods at the start, Ready.
    pub start: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            min: 1,
            max: 100,
            start: 1,
        }
    }
}

/// The latency objective.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Objective {
    /// T: longest acceptable schedule-to-start [s], > 0.
    pub seconds: f64,
    /// Percent of the tasks that must meet it, 50 to 99.99.
    pub percentile: f64,
}

impl Default for Objective {
    fn default() -> Self {
        Self {
            seconds: 5.0,
            percentile: 99.0,
        }
    }
}

/// What goes wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Faults {
    /// Statistics of queues arrive so much late [s].
    pub stale_seconds: f64,
    /// Share of questions to the server that go unanswered, 0 to 1.
    pub lost_queues: f64,
    /// Share of pod reports that go lost, 0 to 1.
    pub lost_reports: f64,
    /// The server answers nobody in these spans of time; workers go on.
    pub blind: Vec<Span>,
    /// Pods that start in these spans of time crash instead of getting Ready.
    pub crash_loop: Vec<Span>,
    /// No more pods than this fit into the cluster.
    pub quota: Option<u32>,
}

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Span {
    /// Begin [s].
    pub from: f64,
    /// End [s].
    pub until: f64,
}

impl Span {
    /// Whether a time lies within.
    pub fn holds(&self, time: f64) -> bool {
        (self.from..self.until).contains(&time)
    }
}

impl Scenario {
    /// What a scaler is told of this fleet.
    pub fn setting(&self) -> Setting {
        let Bounds { min, max, start } = self.bounds;
        Setting {
            min_replicas: min,
            max_replicas: max,
            start_replicas: start,
            slots: self.kinds.iter().map(|kind| kind.slots).collect(),
            types: self.kinds.iter().map(|kind| kind.task_type).collect(),
            cpu_request: self.pods.cpu_request.unwrap_or(self.pods.cores),
            cpu_limit: self.pods.cores,
            pod_start_seconds: self.pods.start_seconds,
            objective_seconds: self.objective.seconds,
            objective_percentile: self.objective.percentile,
            grace_seconds: self.pods.grace_seconds,
            policy: self.policy.clone(),
        }
    }

    /// The same scenario, if every value lies within its bounds: for one that was not read from text.
    pub fn checked(self) -> Result<Self, ScenarioError> {
        read::check(&self)?;
        Ok(self)
    }

    /// The same scenario with the first `count` seeds: those it names, then the numbers that follow the last.
    #[must_use]
    pub fn with_seeds(mut self, count: usize) -> Self {
        let last = self.seeds.last().copied().unwrap_or(0);
        let missing = count.saturating_sub(self.seeds.len()) as u64;
        self.seeds.extend((1..=missing).map(|more| last.wrapping_add(more)));
        self.seeds.truncate(count.max(1));
        self
    }
}

fn ten_seeds() -> Vec<u64> {
    (1..=10).collect()
}

fn an_hour() -> f64 {
    3600.0
}

fn half_a_minute() -> f64 {
    30.0
}

fn one() -> f64 {
    1.0
}

fn four() -> u32 {
    4
}

fn activity() -> TaskType {
    TaskType::Activity
}
