//! `Sample`: everything that is known of one version of a fleet at one moment. Each remote value is `Seen`: known, with the
//! time it is of, or unknown. Counters are cumulative since `PodReport::started`; the law takes the differences itself.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Seen, SlotKind, TaskType};

/// One version of a fleet at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Replicas asked for on the Deployment now.
    pub replicas: u32,
    /// The queues that the fleet polls, all of them, each once.
    pub queues: Vec<QueueSample>,
    /// The pods of the version, ending ones included (as `Draining`).
    pub pods: Vec<PodSample>,
    /// The Deployment is replacing pods: no scale-in meanwhile, as the `ReplicaSets` would choose the victims.
    pub rolling: bool,
    /// Slots per pod that the worker options set; used until a report tells.
    pub default_slots: BTreeMap<SlotKind, u32>,
}

/// One queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueSample {
    /// Name of the task queue.
    pub queue: String,
    /// Its type.
    pub task_type: TaskType,
    /// What the server says about it.
    pub stats: Seen<QueueStats>,
    /// When the server said so.
    pub at: Timestamp,
}

/// The server's statistics of one queue, over all partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QueueStats {
    /// Tasks that wait.
    pub backlog: u64,
    /// Age of the oldest waiting task [s].
    pub backlog_age_seconds: f64,
    /// Tasks added per second, mean over 30 s; without eager and sticky tasks.
    pub add_rate: f64,
    /// Tasks dispatched per second, mean over 30 s; without eager and sticky tasks.
    pub dispatch_rate: f64,
    /// The server says that a rate limit of the queue holds tasks back.
    pub rate_limited: bool,
}

/// Where a pod is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PodPhase {
    /// Not on a node yet, or its containers have not started.
    Pending,
    /// Runs, not Ready.
    Starting,
    /// Ready: it polls.
    Ready,
    /// Ends: it polls no more, what it runs may go on.
    Draining,
}

/// One pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PodSample {
    /// Name of the pod.
    pub name: String,
    /// UID of the pod.
    pub uid: String,
    /// Where it is in its life.
    pub phase: PodPhase,
    /// When it was created.
    pub created: Timestamp,
    /// When it first became Ready.
    pub ready: Option<Timestamp>,
    /// CPU limit, else request, of the worker container [cores].
    pub cpu_capacity_cores: Option<f64>,
    /// What the worker itself reports.
    pub report: Seen<PodReport>,
    /// CPU use by the metrics API [cores]: for pods without a report.
    pub cpu_cores: Seen<f64>,
    /// Memory limit, else request, of the worker container [bytes].
    #[serde(default)]
    pub memory_capacity_bytes: Option<f64>,
    /// Memory in use by the metrics API [bytes], where a report has none; `None` if that is not known either.
    #[serde(default)]
    pub memory_bytes: Option<f64>,
}

/// A worker's own report. Counters begin at zero at `started`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PodReport {
    /// When the report was read, on the reader's clock.
    pub at: Timestamp,
    /// When the counters began, on the reader's clock.
    pub started: Timestamp,
    /// Slots per kind, each kind at most once.
    pub slots: Vec<SlotReport>,
    /// CPU time of the process since `started` [core-seconds].
    pub cpu_seconds: Option<f64>,
    /// Resident memory.
    pub memory_bytes: Option<u64>,
    /// Schedule-to-start of the tasks taken since `started`, per queue.
    pub schedule_to_start: Vec<LatencyHistogram>,
}

/// The slots of one kind in one pod.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlotReport {
    /// Which slots.
    pub kind: SlotKind,
    /// Tasks running now.
    pub used: u32,
    /// Room for tasks; `None` with resource-based slots.
    pub limit: Option<u32>,
    /// Tasks ended since `started`, whatever their outcome.
    pub completions: u64,
    /// Integral of `used` since `started` [slot-seconds].
    pub busy_seconds: f64,
}

/// Distribution of schedule-to-start times of one queue in one pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyHistogram {
    /// Name of the task queue.
    pub queue: String,
    /// Its type.
    pub task_type: TaskType,
    /// Upper bounds of the buckets [s], ascending; the last bucket is unbounded and has none.
    pub bounds_seconds: Vec<f64>,
    /// Tasks per bucket (not cumulative): one more than there are bounds.
    pub counts: Vec<u64>,
}
