//! Who takes slots from a gate: one intake per SDK Worker and lane, and the slots that are held.
//!
//! Intakes let one SDK Worker hand a lane over to the next: the first intake is closed, the second takes what it gives back, and both
//! count as the same lane, so that a neighbour's share does not change meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Instant,
};

use super::{Gate, LaneId};

/// One SDK Worker's way to the slots of a lane.
#[derive(Debug)]
pub(crate) struct Intake {
    gate: Arc<Gate>,
    lane: usize,
    // All three change under the gate's lock only.
    closed: AtomicBool,
    issued: AtomicU32,
    started: AtomicU64,
}

/// A slot that is held. It is given back when dropped, whatever happened to the task.
#[derive(Debug)]
pub(crate) struct Permit {
    intake: Arc<Intake>,
    /// Number of the running task; 0 before a task arrived and after it ended.
    task: AtomicU64,
}

impl Gate {
    /// A new way to the slots of the lane.
    pub(crate) fn intake(self: &Arc<Self>, lane: LaneId) -> Arc<Intake> {
        Arc::new(Intake {
            gate: Arc::clone(self),
            lane: lane.0,
            closed: AtomicBool::new(false),
            issued: AtomicU32::new(0),
            started: AtomicU64::new(0),
        })
    }
}

impl Intake {
    /// Waits until the lane may hold one more slot. Waits for ever once gate or intake are closed.
    pub(crate) async fn reserve(self: &Arc<Self>) -> Permit {
        self.reserve_after(|| std::future::ready(())).await
    }

    /// The same, each attempt after `allowed` has come to its end: what was allowed a while ago says nothing of now.
    pub(crate) async fn reserve_after<F: Future<Output = ()>>(self: &Arc<Self>, allowed: impl Fn() -> F) -> Permit {
        loop {
            let changed = self.gate.changed.notified();
            tokio::pin!(changed);
            // Registered before the check: a change in between is not missed.
            changed.as_mut().enable();
            allowed().await;
            if let Some(permit) = self.try_reserve(Instant::now()) {
                return permit;
            }
            changed.await;
        }
    }

    /// A slot for the lane, if one may be handed out now.
    pub(crate) fn try_reserve(self: &Arc<Self>, now: Instant) -> Option<Permit> {
        let mut state = self.gate.lock();
        if self.closed.load(Ordering::Relaxed) || !state.may_issue(self.lane, now) {
            return None;
        }
        state.issued += 1;
        state.lanes.get_mut(self.lane)?.issued += 1;
        self.issued.fetch_add(1, Ordering::Relaxed);
        Some(Permit {
            intake: Arc::clone(self),
            task: AtomicU64::new(0),
        })
    }

    /// Hands out no slot any more; those that are held stay valid.
    pub(crate) fn close(&self) {
        let state = self.gate.lock();
        self.closed.store(true, Ordering::Relaxed);
        drop(state);
        self.gate.changed.notify_waiters();
    }

    /// Waits until no slot is held: neither by an open poll nor by a task.
    pub(crate) async fn emptied(&self) {
        self.gate.until(|_| self.issued.load(Ordering::Relaxed) == 0).await;
    }

    /// Slots that are held, by open polls and by tasks.
    pub(crate) fn issued(&self) -> u32 {
        self.issued.load(Ordering::Relaxed)
    }

    /// Tasks that started.
    pub(crate) fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    /// Slots that are free, for whomever.
    pub(crate) fn available(&self) -> u32 {
        self.gate.available()
    }
}

impl Permit {
    /// A task has arrived on this slot.
    pub(crate) fn start(&self, name: &str, now: Instant) {
        let Intake { gate, lane, .. } = self.intake.as_ref();
        let mut state = gate.lock();
        if self.task.load(Ordering::Relaxed) != 0 {
            return;
        }
        state.count_to(now);
        let task = state.next_task;
        state.next_task += 1;
        state.used += 1;
        state.running.insert(task, (Arc::from(name), now, *lane));
        if let Some(lane) = state.lanes.get_mut(*lane) {
            lane.used += 1;
            lane.roll(now);
            lane.starts[0] += 1;
            lane.last_start = Some(now);
        }
        self.task.store(task, Ordering::Relaxed);
        self.intake.started.fetch_add(1, Ordering::Relaxed);
        drop(state);
        gate.changed.notify_waiters();
    }

    /// The task of this slot has ended. Without a task nothing happens.
    pub(crate) fn end(&self, now: Instant) {
        let Intake { gate, lane, .. } = self.intake.as_ref();
        let mut state = gate.lock();
        let task = self.task.swap(0, Ordering::Relaxed);
        if task == 0 || state.running.remove(&task).is_none() {
            return;
        }
        state.count_to(now);
        state.used -= 1;
        state.completions += 1;
        if let Some(lane) = state.lanes.get_mut(*lane) {
            lane.used -= 1;
        }
        drop(state);
        gate.changed.notify_waiters();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.end(Instant::now());
        let Intake { gate, lane, issued, .. } = self.intake.as_ref();
        let mut state = gate.lock();
        state.issued -= 1;
        if let Some(lane) = state.lanes.get_mut(*lane) {
            lane.issued -= 1;
        }
        issued.fetch_sub(1, Ordering::Relaxed);
        drop(state);
        gate.changed.notify_waiters();
    }
}
