//! The port between the simulated world and whatever sizes the fleet: what a scaler may see, and what it may say.
//!
//! Every scaler, ours included, gets the same `Seen` of the same world; none sees the future or the world's own state.

/// Seconds since the start of the simulation.
pub type Time = f64;

/// Where a pod is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not on a node yet, or its containers have not started.
    Pending,
    /// Runs, not Ready.
    Starting,
    /// Ready: it polls.
    Ready,
    /// Got SIGTERM or was relabelled: takes no new task; not counted by its `ReplicaSet` any more.
    Draining,
}

/// The slots of one task type in one pod.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slots {
    /// Index of the queue (one type each) that these slots serve, as in `Seen::queues`.
    pub queue: usize,
    /// Tasks running now.
    pub used: u32,
    /// Most tasks at once.
    pub limit: u32,
    /// Tasks ended since the pod started.
    pub completions: u64,
    /// Integral of `used` since the pod started [slot-seconds].
    pub busy_seconds: f64,
}

/// One pod, as its own report, the kubelet and the API server show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    /// Stable identity, growing with the time of creation.
    pub id: u64,
    /// Where it is in its life.
    pub phase: Phase,
    /// When it was created.
    pub created: Time,
    /// When it first became Ready.
    pub ready: Option<Time>,
    /// CPU request of the worker container [cores].
    pub cpu_request: f64,
    /// CPU limit of the worker container [cores].
    pub cpu_limit: f64,
    /// Mean CPU use over the last 15 s as metrics-server would say [cores]; `None` before the first full window.
    pub cpu_cores: Option<f64>,
    /// CPU time since the pod started [core-seconds].
    pub cpu_seconds: f64,
    /// Slots per queue; empty where the report is lost or the pod has not started.
    pub slots: Vec<Slots>,
    /// Schedule-to-start of the tasks taken since the pod started, per queue: counts of the buckets of `BUCKETS`.
    pub schedule_to_start: Vec<Vec<u64>>,
}

/// Upper bounds of the buckets of schedule-to-start [s]; one more bucket, unbounded, follows.
pub const BUCKETS: [f64; 16] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0,
];

/// One queue, as the Temporal server describes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Queue {
    /// Tasks that wait.
    pub backlog: u64,
    /// Age of the oldest waiting task [s].
    pub age_seconds: f64,
    /// Tasks added per second, mean over 30 s in 5 s buckets; without eager and sticky tasks.
    pub add_rate: f64,
    /// Tasks dispatched per second, mean over 30 s in 5 s buckets; without eager and sticky tasks.
    pub dispatch_rate: f64,
    /// The server says that a rate limit of the queue holds tasks back.
    pub rate_limited: bool,
    /// Age of this answer [s] (the server's cache, and what the network adds).
    pub stale_seconds: f64,
}

/// What a scaler sees at one of its ticks.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Now.
    pub now: Time,
    /// Replicas asked for on the Deployment.
    pub replicas: u32,
    /// Pods that exist, draining ones included, in the order of their ids.
    pub pods: Vec<Pod>,
    /// One entry per queue of the fleet; `None` where the server did not answer.
    pub queues: Vec<Option<Queue>>,
}

/// How the pods of a fleet under this scaler end, and who ends first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ending {
    /// Seconds between SIGTERM and SIGKILL.
    pub grace_seconds: f64,
    /// The idlest pods get a negative deletion cost before a scale-in (ours); else the `ReplicaSet`'s own order decides.
    pub idle_first: bool,
    /// Victims that are busy are relabelled and deleted at zero in flight, without a deadline (ours): any task that runs may
    /// outlast the grace.
    pub quarantine: bool,
}

/// Something that sizes a fleet.
pub trait Scaler {
    /// Its name on the command line and in tables, such as `keda`.
    fn name(&self) -> &str;
    /// How its pods end.
    fn ending(&self) -> Ending;
    /// The size that its fleet begins with at least: an HPA that finds zero does nothing, so nobody puts one on a fleet at zero.
    fn least_start(&self) -> u32 {
        0
    }
    /// When it wants to look next, after a look at `now`; the first look is at time 0.
    fn next(&self, now: Time) -> Time;
    /// Looks, and says the replicas to write, if they shall change. Called at the times of `next` only.
    fn look(&mut self, seen: &Seen) -> Option<u32>;
    /// Calls to the Temporal server that one look costs: one per queue, unless it asks for nothing.
    fn calls(&self, seen: &Seen) -> u32 {
        u32::try_from(seen.queues.len()).unwrap_or(u32::MAX)
    }
    /// Why the last look changed the size, for people.
    fn because(&self) -> Option<String> {
        None
    }
}
