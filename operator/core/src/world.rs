//! What was seen of the world in one pass. Missing is not empty: each remote source is `Known` or `Unknown`.

use jiff::{SignedDuration, Timestamp};

use crate::autoscale::{PodReport, QueueStats, Seen};
use crate::desired::Queue;

/// One snapshot, taken once per pass.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// Whether what the fleet refers to is there and Temporal answers.
    pub connection: Connection,
    /// Another, older fleet that claims one of the queues: `namespace/name`.
    pub claimed_by: Option<String>,
    /// Another, older fleet that sets another rate limit for one of the Activity queues: `namespace/name`.
    pub rate_claimed_by: Option<String>,
    /// Another autoscaler that aims at the fleet, in the same Kubernetes namespace.
    pub rival: Option<Rival>,
    /// The Deployment of the fleet.
    pub deployment: Seen<Child<DeploymentView>>,
    /// Its disruption budget.
    pub budget: Seen<Child<ChildView>>,
    /// Its `WorkerControl` Secret.
    pub control_secret: Seen<Child<ChildView>>,
    /// Pods with the fleet's labels that belong to it.
    pub pods: Seen<Vec<PodView>>,
    /// Each queue of the fleet, in the order of `Desired::queues`.
    pub queues: Vec<QueueView>,
}

impl World {
    /// The other autoscaler, if it writes to that.
    pub fn rival_on(&self, scales: Scales) -> Option<&Rival> {
        self.rival.as_ref().filter(|rival| rival.scales == scales)
    }
}

/// Another autoscaler of the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// Kind, Kubernetes namespace and name, for people.
    pub name: String,
    /// What it writes to.
    pub scales: Scales,
}

/// What another autoscaler writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scales {
    /// The Deployment, past this operator.
    Deployment,
    /// `spec.replicas` of the `TemporalWorker`, which is the size of a fleet without an autoscaler of its own.
    Worker,
}

/// State of the connection to Temporal.
#[derive(Clone, Debug, PartialEq)]
pub enum Connection {
    /// The Temporal namespace answered.
    Connected {
        /// Server version, authentication, expiry: for people.
        message: String,
    },
    /// Not asked yet, or the answer is due.
    Pending,
    /// It failed.
    Failed {
        /// Reason, from the table of conditions.
        reason: Reason,
        /// What happened and what to do, sanitised.
        message: String,
        /// A person has to act (`Stalled`), time alone does not help.
        stalled: bool,
    },
}

pub use crate::readiness::Reason;

/// An object that the fleet should own.
#[derive(Clone, Debug, PartialEq)]
pub enum Child<T> {
    /// There is none.
    Absent,
    /// An object of that name belongs to somebody else.
    Foreign {
        /// Whose it is, in words.
        owner: String,
    },
    /// It is ours.
    Ours(T),
}

impl<T> Child<T> {
    /// The object, if it is ours.
    pub fn ours(&self) -> Option<&T> {
        match self {
            Self::Ours(view) => Some(view),
            Self::Absent | Self::Foreign { .. } => None,
        }
    }
}

/// What every owned object shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildView {
    /// UID, a precondition of writes.
    pub uid: String,
    /// Version, a precondition of writes.
    pub resource_version: String,
    /// Annotation `temporal-fleet.dev/rendered-hash`.
    pub hash: Option<String>,
    /// Our field manager still owns all that it applied.
    pub intact: bool,
    /// It is being deleted.
    pub deleting: bool,
}

/// A Deployment as the planner sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeploymentView {
    /// Identity, hash, ownership.
    pub object: ChildView,
    /// `spec.replicas`.
    pub replicas: u32,
    /// The scale manager owns `spec.replicas`.
    pub scale_managed: bool,
    /// A field manager that is none of ours owns `spec.replicas` too, or alone.
    pub taken: Option<Taken>,
    /// The Deployment controller has seen the newest spec.
    pub observed: bool,
    /// `status.replicas`.
    pub current: u32,
    /// `status.updatedReplicas`.
    pub updated: u32,
    /// `status.readyReplicas`.
    pub ready: u32,
    /// `status.availableReplicas`.
    pub available: u32,
    /// Condition `Progressing` is False with `ProgressDeadlineExceeded`.
    pub deadline_exceeded: bool,
    /// Condition `ReplicaFailure` is True: its message (quota, admission).
    pub replica_failure: Option<String>,
}

/// A write of the size by somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The field manager.
    pub manager: String,
    /// When it wrote last, on the API server's clock.
    pub at: Timestamp,
}

impl DeploymentView {
    /// Pods of an older template are still there, or the newest spec was not seen yet.
    pub fn rolling(&self) -> bool {
        !self.observed || self.updated < self.current
    }
}

/// A pod of the fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct PodView {
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// When it was created.
    pub created: Timestamp,
    /// When it became Ready, if it is.
    pub ready: Option<Timestamp>,
    /// It has a deletion timestamp.
    pub deleting: bool,
    /// It ended (Succeeded, Failed).
    pub finished: bool,
    /// `pod-deletion-cost` as an annotation.
    pub deletion_cost: Option<i32>,
    /// Whether the cluster autoscaler may evict it, and who says so.
    pub eviction: Eviction,
    /// Whether it left its `ReplicaSet` to drain without a deadline.
    pub quarantine: Quarantine,
    /// Why it does not run, from the kubelet or the scheduler.
    pub trouble: Option<Trouble>,
    /// CPU limit, else request, of the worker container, in cores.
    pub cpu_capacity: Option<f64>,
    /// What its `WorkerControl` says, or the next best source.
    pub report: Seen<WorkerReport>,
    /// It never served `WorkerControl` (connection refused): another SDK's image.
    pub never_reported: bool,
    /// CPU in use in cores, by the metrics API.
    pub cpu: Seen<f64>,
    /// Memory limit, else request, of the worker container, in bytes.
    pub memory_capacity: Option<f64>,
    /// Memory in use in bytes (working set), by the metrics API.
    pub memory: Seen<f64>,
}

impl PodView {
    /// Tasks running in the pod, or `None` if nobody knows.
    pub fn busy(&self) -> Option<u32> {
        match &self.report {
            Seen::Known(report) => Some(report.pod.slots.iter().map(|slot| slot.used).sum()),
            Seen::Unknown { .. } => None,
        }
    }

    /// It counts toward the size of the fleet.
    pub fn serves(&self) -> bool {
        !self.deleting && !self.finished && !self.quarantined()
    }

    /// It left its `ReplicaSet`, or is about to: it costs, and is no capacity.
    pub fn quarantined(&self) -> bool {
        self.quarantine != Quarantine::No
    }

    /// What it says by its `WorkerControl`, the one source that can also be told to drain.
    pub fn control(&self) -> Option<&WorkerReport> {
        self.report
            .known()
            .filter(|report| report.source == Source::WorkerControl)
    }

    /// It says by its `WorkerControl` that it takes no new task.
    pub fn drains(&self) -> bool {
        self.control().is_some_and(|report| report.draining)
    }
}

/// How far a pod is on its way out of its `ReplicaSet`. The labels and owners of the pod are the only record of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quarantine {
    /// A member like any other.
    No,
    /// It carries the label, and its `ReplicaSet` has not let go of it yet.
    Leaving,
    /// Its `ReplicaSet` has let go of it; nobody is its controller.
    Free,
    /// The fleet is its controller.
    Kept,
}

/// Whether the cluster autoscaler may evict a pod: what its annotation `safe-to-evict` says, and whose that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// There is no such annotation: it may.
    Open,
    /// It may not, by our word.
    Barred {
        /// When that was written, on the API server's clock, if it tells.
        since: Option<Timestamp>,
    },
    /// Somebody else set the annotation, to whatever.
    Theirs,
}

/// Why a pod does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Reason, from the table of conditions.
    pub reason: Reason,
    /// In words.
    pub message: String,
}

/// Where a report comes from, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The pod's `WorkerControl`: exact, with the ages of running tasks.
    WorkerControl,
    /// Its SDK's metrics page: slots, counters, latencies; no ages.
    Scrape,
    /// Worker heartbeats that the server keeps: slots and counters, as old as the worker's interval.
    Heartbeat,
}

/// A pod's own word about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerReport {
    /// Where it comes from.
    pub source: Source,
    /// Counters for the scaling law.
    pub pod: PodReport,
    /// Age of the oldest running task.
    pub oldest_task: Option<SignedDuration>,
    /// It takes no new task.
    pub draining: bool,
    /// Nothing is left since then: no task runs and no open poll may bring one.
    pub drained: bool,
    /// It re-reads its credential files.
    pub reloads_credentials: bool,
    /// Queues whose poll has come back at least once.
    pub polled: Vec<Queue>,
}

/// A limit of a queue, as the server keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimit {
    /// Tasks per second.
    pub per_second: f64,
    /// Why it was set, in the words of whoever set it.
    pub reason: String,
}

/// A queue as Temporal shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueView {
    /// Which.
    pub queue: Queue,
    /// Its statistics; `Unknown` when the server had none.
    pub stats: Seen<QueueStats>,
    /// Identities that polled lately; the server remembers them for minutes.
    pub pollers: Seen<Vec<String>>,
    /// The rate limit that somebody set for the queue at the server, if any.
    pub rate_limit: Seen<Option<RateLimit>>,
    /// When it was read.
    pub at: Timestamp,
    /// How long the last call for it had to wait for the request budget of its Temporal namespace, where that is half of the polling
    /// interval or more.
    pub stretched: Option<SignedDuration>,
}
