//! One pod: its life, its slots and what it counts.

use super::share::{Running, Share};
use crate::clock::At;
use crate::scaler::{BUCKETS, Phase};
use crate::scenario::Scenario;

/// Where a pod is in its life, as the cluster knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// No node has room.
    Unschedulable,
    /// Bound for a node; its containers do not run yet.
    Pending,
    /// Its container runs and does not poll yet.
    Starting,
    /// Its container crashed and waits to be started again.
    CrashLoop,
    /// It polls.
    Ready,
    /// It takes no new task; nobody counts it.
    Draining,
    /// Gone.
    Gone,
}

impl Life {
    pub(crate) fn phase(self) -> Option<Phase> {
        match self {
            Self::Unschedulable | Self::Pending => Some(Phase::Pending),
            Self::Starting | Self::CrashLoop => Some(Phase::Starting),
            Self::Ready => Some(Phase::Ready),
            Self::Draining => Some(Phase::Draining),
            Self::Gone => None,
        }
    }

    /// Its `ReplicaSet` counts it.
    pub(crate) fn counts(self) -> bool {
        !matches!(self, Self::Draining | Self::Gone)
    }
}

/// The slots of one kind in a pod.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    pub(crate) used: u32,
    pub(crate) limit: u32,
    pub(crate) completions: u64,
    busy: f64,
    at: At,
    /// Its place in the list of pods with a free slot.
    pub(crate) place: Option<u32>,
    pub(crate) latency: [u64; BUCKETS.len() + 1],
}

impl Slots {
    fn change(&mut self, more: bool, now: At) {
        self.busy = self.busy_seconds(now);
        self.at = now;
        self.used = if more {
            self.used + 1
        } else {
            self.used.saturating_sub(1)
        };
    }

    /// Integral of the used slots [slot-s].
    pub(crate) fn busy_seconds(&self, now: At) -> f64 {
        self.busy + f64::from(self.used) * now.since(self.at).max(0.0)
    }
}

/// What is drawn for a pod at its creation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawn {
    /// Orders pods of the same age, as a UID does.
    pub(crate) uid: u64,
    pub(crate) node: u32,
    /// Time until its container runs, and from there until it polls [s].
    pub(crate) pending: f64,
    pub(crate) starting: f64,
}

/// One pod.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) life: Life,
    pub(crate) drawn: Drawn,
    pub(crate) created: At,
    pub(crate) ready: Option<At>,
    /// When it stopped to be Ready.
    pub(crate) left: Option<At>,
    pub(crate) gone: Option<At>,
    /// When it got a node; unschedulable pods cost nothing.
    pub(crate) scheduled: Option<At>,
    pub(crate) restarts: u32,
    /// Deletion cost: victims that were chosen have a negative one.
    pub(crate) chosen: bool,
    pub(crate) share: Share,
    pub(crate) slots: Vec<Slots>,
    /// Tasks that have done their own work and wait for the system behind, each with its slot.
    pub(crate) held: Vec<Running>,
    /// The event of its next end, so that others can be told to be stale.
    pub(crate) due: Option<At>,
    /// CPU time when it became Ready and when it stopped to be [core-s].
    pub(crate) cpu_ready: (f64, Option<f64>),
    /// CPU time at the last scrape, and the mean use before it [cores].
    pub(crate) scraped: Option<f64>,
    pub(crate) cpu_cores: Option<f64>,
}

impl Pod {
    pub(crate) fn new(scenario: &Scenario, drawn: Drawn, created: At) -> Self {
        let slots = scenario.kinds.iter().map(|kind| Slots {
            used: 0,
            limit: kind.slots,
            completions: 0,
            busy: 0.0,
            at: created,
            place: None,
            latency: [0; BUCKETS.len() + 1],
        });
        let asks = scenario.kinds.iter().map(|kind| kind.cores);
        Self {
            life: Life::Pending,
            drawn,
            created,
            ready: None,
            left: None,
            gone: None,
            scheduled: None,
            restarts: 0,
            chosen: false,
            share: Share::new(scenario.pods.cores, scenario.pods.idle_cores, asks, created),
            slots: slots.collect(),
            held: Vec::new(),
            due: None,
            cpu_ready: (0.0, None),
            scraped: None,
            cpu_cores: None,
        }
    }

    /// Tasks that run or hold a slot.
    pub(crate) fn busy(&self) -> u32 {
        self.slots.iter().map(|slots| slots.used).sum()
    }

    /// A task takes a slot after it waited `wait` seconds.
    pub(crate) fn occupy(&mut self, task: u32, kind: u8, service: f64, wait: f64, now: At) {
        if let Some(slots) = self.slots.get_mut(usize::from(kind)) {
            slots.change(true, now);
            let bucket = BUCKETS.partition_point(|bound| *bound < wait);
            if let Some(count) = slots.latency.get_mut(bucket) {
                *count += 1;
            }
        }
        self.share.start(task, kind, service, now);
    }

    /// A slot gets free.
    pub(crate) fn vacate(&mut self, kind: u8, completed: bool, now: At) {
        if let Some(slots) = self.slots.get_mut(usize::from(kind)) {
            slots.change(false, now);
            slots.completions += u64::from(completed);
        }
    }

    /// Mean CPU of its time as Ready, as (core-s used, seconds).
    pub(crate) fn ready_cpu(&self, now: At) -> (f64, f64) {
        let Some(ready) = self.ready else {
            return (0.0, 0.0);
        };
        let (from, until) = self.cpu_ready;
        let used = until.unwrap_or_else(|| self.share.cpu_seconds(now)) - from;
        (used, self.left.unwrap_or(now).since(ready.max(At::START)))
    }
}
