//! Slots of the pod: one gate per task type, shared by all task queues of that type.
//!
//! Owns who may hold a slot, how many are used, and the exact counters a `Report` carries. A slot is *issued* when a poller reserves
//! it and *used* from the moment a task has arrived until its completion was answered. Every operation holds the lock for a
//! few instructions and never while user code runs, so a report is answered under any load.
//!
//! Never here: anything of the SDK (that is `core`), any notion of deadlines.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

mod intake;

pub(crate) use self::intake::{Intake, Permit};

/// Length of the window in which a lane counts its task starts.
const WINDOW: Duration = Duration::from_secs(1);

/// What kind of task a slot is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskType {
    /// Workflow tasks.
    Workflow,
    /// Activities that the server dispatches.
    Activity,
    /// Activities that run inside a workflow task's worker: they have slots but no queue.
    LocalActivity,
}

impl TaskType {
    /// The name used in metrics and logs, as the API spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workflow => "Workflow",
            Self::Activity => "Activity",
            Self::LocalActivity => "LocalActivity",
        }
    }
}

/// One source of tasks within a gate: a queue, and for workflow tasks its sticky part apart.
///
/// Each lane is guaranteed one slot, so that idle or busy neighbours cannot keep it from polling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LaneId(usize);

/// The slots of one task type.
#[derive(Debug)]
pub(crate) struct Gate {
    task_type: TaskType,
    /// Whether CPU and memory decide how many tasks run; the limit is only the ceiling then.
    resource_based: bool,
    state: Mutex<State>,
    changed: Notify,
}

/// What a report says of a gate, all of one moment.
#[derive(Debug, Clone)]
pub(crate) struct GateReport {
    pub(crate) task_type: TaskType,
    /// Tasks running.
    pub(crate) used: u32,
    /// Slots reserved for polls that have brought no task yet.
    pub(crate) open_polls: u32,
    /// Room for tasks; `None` if CPU and memory decide.
    pub(crate) limit: Option<u32>,
    /// Tasks ended since the start.
    pub(crate) completions: u64,
    /// Integral of `used` over time, in slot-milliseconds.
    pub(crate) busy_slot_ms: u64,
    /// Name and age of the running tasks, the oldest first, at most as many as were asked for.
    pub(crate) running: Vec<(Arc<str>, Duration)>,
}

#[derive(Debug)]
struct State {
    limit: u32,
    closed: bool,
    lanes: Vec<Lane>,
    issued: u32,
    used: u32,
    completions: u64,
    /// Integral of `used` up to `counted_to`, in slot-nanoseconds.
    busy_ns: u128,
    counted_to: Instant,
    next_task: u64,
    running: BTreeMap<u64, (Arc<str>, Instant, usize)>,
}

#[derive(Debug)]
struct Lane {
    issued: u32,
    used: u32,
    /// Starts in the current and in the previous window.
    starts: [u32; 2],
    window: Instant,
    last_start: Option<Instant>,
}

impl Gate {
    /// A gate with `limit` slots and no lane yet.
    pub(crate) fn new(task_type: TaskType, limit: u32, now: Instant) -> Self {
        Self {
            task_type,
            resource_based: false,
            state: Mutex::new(State {
                limit,
                closed: false,
                lanes: Vec::new(),
                issued: 0,
                used: 0,
                completions: 0,
                busy_ns: 0,
                counted_to: now,
                next_task: 1,
                running: BTreeMap::new(),
            }),
            changed: Notify::new(),
        }
    }

    /// The same, whose slots are handed out as CPU and memory allow: beyond the first one of each lane nobody knows how many there are.
    pub(crate) const fn resource_based(mut self, resource_based: bool) -> Self {
        self.resource_based = resource_based;
        self
    }

    /// Adds a lane. The caller sees to it that there are not more lanes than slots.
    pub(crate) fn add_lane(&self, now: Instant) -> LaneId {
        let mut state = self.lock();
        state.lanes.push(Lane {
            issued: 0,
            used: 0,
            starts: [0; 2],
            window: now,
            last_start: None,
        });
        LaneId(state.lanes.len() - 1)
    }

    pub(crate) const fn task_type(&self) -> TaskType {
        self.task_type
    }

    /// Hands out no slot any more; those that are held stay valid.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
    }

    /// Slots that are free: neither reserved for a poll nor used.
    pub(crate) fn available(&self) -> u32 {
        let state = self.lock();
        if state.closed {
            0
        } else {
            state.limit.saturating_sub(state.issued)
        }
    }

    /// Whether another task could run for certain.
    pub(crate) fn has_room(&self) -> bool {
        let state = self.lock();
        if self.resource_based {
            state.lanes.iter().any(|lane| lane.used == 0)
        } else {
            state.used < state.limit
        }
    }

    /// Slots of the lane that were reserved for polls and have no task yet.
    pub(crate) fn open_polls(&self, lane: LaneId) -> u32 {
        self.lock().lanes.get(lane.0).map_or(0, |lane| lane.issued - lane.used)
    }

    /// Waits until the lane has no open poll.
    pub(crate) async fn polls_ended(&self, lane: LaneId) {
        self.until(|state| state.lanes.get(lane.0).is_none_or(|lane| lane.issued == lane.used))
            .await;
    }

    /// Waits until the lane holds no slot: neither an open poll nor a task.
    pub(crate) async fn emptied(&self, lane: LaneId) {
        self.until(|state| state.lanes.get(lane.0).is_none_or(|lane| lane.issued == 0))
            .await;
    }

    /// How long ago the last task of the lane started; `None` if none ever did.
    pub(crate) fn since_last_start(&self, lane: LaneId, now: Instant) -> Option<Duration> {
        let last = self.lock().lanes.get(lane.0)?.last_start?;
        Some(now.saturating_duration_since(last))
    }

    /// Everything of this moment, with at most `running` tasks by name.
    pub(crate) fn report(&self, running: usize, now: Instant) -> GateReport {
        let mut state = self.lock();
        state.count_to(now);
        GateReport {
            task_type: self.task_type,
            used: state.used,
            open_polls: state.issued - state.used,
            limit: (!self.resource_based).then_some(state.limit),
            completions: state.completions,
            busy_slot_ms: u64::try_from(state.busy_ns / 1_000_000).unwrap_or(u64::MAX),
            running: state
                .running
                .values()
                .take(running)
                .map(|(name, started, _)| (Arc::clone(name), now.saturating_duration_since(*started)))
                .collect(),
        }
    }

    /// Like [`Gate::report`] for the hard deadline, which waits for no lock: `None` if the lock is held.
    pub(crate) fn running_now(&self, now: Instant) -> Option<Vec<(Arc<str>, Duration)>> {
        let state = self.state.try_lock().ok()?;
        Some(
            state
                .running
                .values()
                .map(|(name, started, _)| (Arc::clone(name), now.saturating_duration_since(*started)))
                .collect(),
        )
    }

    /// Waits until the state is as wanted.
    async fn until(&self, wanted: impl Fn(&State) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the check: a change in between is not missed.
            changed.as_mut().enable();
            if wanted(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock; were it so, the counters are still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count_to(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.counted_to);
        self.busy_ns += passed.as_nanos() * u128::from(self.used);
        self.counted_to = self.counted_to.max(now);
    }

    /// Within the limit, leaving each other lane its guaranteed slot, and not hoarding idle polls beside other lanes.
    fn may_issue(&mut self, lane: usize, now: Instant) -> bool {
        if self.closed {
            return false;
        }
        let owed: u32 = self
            .lanes
            .iter()
            .enumerate()
            .filter(|(other, state)| *other != lane && state.issued == 0)
            .map(|_| 1)
            .sum();
        if self.issued + 1 + owed > self.limit {
            return false;
        }
        let shared = self.lanes.len() > 1;
        let Some(lane) = self.lanes.get_mut(lane) else {
            return false;
        };
        lane.roll(now);
        // An idle lane keeps one poll open; with each task that arrives it may open as many again, so a burst doubles the polls
        // per round trip, while slots that nobody uses stay free for the lanes that have work.
        let busy = lane.used.max(lane.starts[0] + lane.starts[1]);
        !shared || lane.issued - lane.used < busy.max(1)
    }
}

impl Lane {
    fn roll(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.window);
        if passed >= WINDOW * 2 {
            self.starts = [0; 2];
            self.window = now;
        } else if passed >= WINDOW {
            self.starts = [0, self.starts[0]];
            self.window += WINDOW;
        }
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
