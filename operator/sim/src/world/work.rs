//! Tasks on their way: from the queue to a free slot, through the pod's CPU, and out, or back into the queue when a worker died.

use rand::RngExt;

use super::pod::Life;
use super::share::Running;
use super::{Event, World};
use crate::clock::At;
use crate::load::Arrival;
use crate::temporal::{Match, Waiting};

/// Ends that differ by less are the same [ns].
const SAME: i64 = 5;

impl World<'_> {
    pub(super) fn arrive(&mut self, task: u32, arrival: &Arrival) {
        let kind = usize::from(arrival.kind);
        self.tally.arrived += 1;
        let waiting = Waiting {
            task,
            scheduled: arrival.at,
        };
        if arrival.eager
            && let Some(pod) = self.any_free(kind)
        {
            self.begin(waiting, pod);
            return;
        }
        if let Some(queue) = self.queues.get_mut(kind) {
            queue.add(waiting, usize::from(arrival.partition), self.ready > 0, self.now);
        }
        self.dispatch(kind);
    }

    /// The server schedules a task again: a new attempt, a new wait.
    pub(super) fn retry(&mut self, task: u32) {
        let Some(arrival) = self.streams.arrivals.get(task as usize) else {
            return;
        };
        let waiting = Waiting {
            task,
            scheduled: self.now,
        };
        if let Some(queue) = self.queues.get_mut(usize::from(arrival.kind)) {
            queue.add(waiting, usize::from(arrival.partition), self.ready > 0, self.now);
        }
        self.dispatch(usize::from(arrival.kind));
    }

    /// One of the Ready pods with a free slot; each is as likely, as each has a poll open.
    fn any_free(&mut self, kind: usize) -> Option<u32> {
        let free = self.free.get(kind)?;
        match free.len() {
            0 => None,
            1 => free.first().copied(),
            count => free.get(self.matching.random_range(0..count as u32) as usize).copied(),
        }
    }

    /// Hands out what waits while slots are free.
    pub(super) fn dispatch(&mut self, kind: usize) {
        while self.free.get(kind).is_some_and(|free| !free.is_empty()) {
            let Some(queue) = self.queues.get_mut(kind) else {
                return;
            };
            match queue.take(self.now) {
                Match::Empty => return,
                Match::Limited(later) => {
                    if let Some(allowed) = self.allowed.get_mut(kind)
                        && allowed.is_none()
                    {
                        *allowed = Some(later);
                        self.agenda.add(later, Event::Allowed { queue: kind as u32 });
                    }
                    return;
                }
                Match::Task(waiting) => {
                    if let Some(pod) = self.any_free(kind) {
                        self.begin(waiting, pod);
                    }
                }
            }
        }
    }

    fn begin(&mut self, waiting: Waiting, id: u32) {
        let now = self.now;
        let Some(arrival) = self.streams.arrivals.get(waiting.task as usize) else {
            return;
        };
        let Some(pod) = self.pods.get_mut(id as usize) else {
            return;
        };
        self.tally.waited(waiting.scheduled, now);
        let wait = now.since(waiting.scheduled);
        pod.occupy(waiting.task, arrival.kind, arrival.service, wait, now);
        let kind = usize::from(arrival.kind);
        if pod.slots.get(kind).is_some_and(|slots| slots.used >= slots.limit) {
            self.close(id, kind);
        }
        self.foresee(id);
    }

    /// Notes when the next task of a pod will end.
    fn foresee(&mut self, id: u32) {
        let Some(pod) = self.pods.get_mut(id as usize) else {
            return;
        };
        let next = pod.share.next();
        let same = match (pod.due, next) {
            (Some(due), Some(next)) => (due.nanos() - next.nanos()).abs() <= SAME,
            (due, next) => due == next,
        };
        if !same {
            pod.due = next;
            if let Some(next) = next {
                self.agenda.add(next.max(self.now), Event::Ended { pod: id });
            }
        }
    }

    /// Lets out of a pod what has ended by now.
    pub(super) fn end_tasks(&mut self, id: u32) {
        let now = self.now;
        let Some(pod) = self.pods.get_mut(id as usize).filter(|pod| pod.due == Some(now)) else {
            return;
        };
        pod.due = None;
        while let Some(ended) = self.pods.get_mut(id as usize).and_then(|pod| pod.share.end(now)) {
            self.leave(id, ended);
        }
        self.foresee(id);
    }

    /// A task has done its own work; where a system behind the workers is the limit, it waits its turn there.
    fn leave(&mut self, id: u32, ended: Running) {
        let kind = usize::from(ended.kind);
        let limit = self.scenario.kinds.get(kind).and_then(|kind| kind.downstream_limit);
        let (Some(limit), Some(served)) = (limit, self.served.get_mut(kind)) else {
            self.complete(id, ended.kind);
            return;
        };
        *served = (*served).max(self.now).after(1.0 / limit);
        self.agenda.add(
            *served,
            Event::Served {
                pod: id,
                task: ended.task,
            },
        );
        if let Some(pod) = self.pods.get_mut(id as usize) {
            pod.held.push(ended);
        }
    }

    pub(super) fn serve(&mut self, id: u32, task: u32) {
        let Some(pod) = self.pods.get_mut(id as usize) else {
            return;
        };
        let Some(place) = pod.held.iter().position(|held| held.task == task) else {
            return;
        };
        let held = pod.held.swap_remove(place);
        self.complete(id, held.kind);
    }

    fn complete(&mut self, id: u32, kind: u8) {
        let Some(pod) = self.pods.get_mut(id as usize) else {
            return;
        };
        pod.vacate(kind, true, self.now);
        self.tally.completed += 1;
        match pod.life {
            Life::Ready => {
                self.open(id, usize::from(kind));
                self.dispatch(usize::from(kind));
            }
            Life::Draining if pod.busy() == 0 => self.go(id),
            Life::Draining | Life::Unschedulable | Life::Pending | Life::Starting | Life::CrashLoop | Life::Gone => {}
        }
    }

    /// Puts a pod on the list of those with a free slot.
    pub(super) fn open(&mut self, id: u32, kind: usize) {
        let (Some(list), Some(pod)) = (self.free.get_mut(kind), self.pods.get_mut(id as usize)) else {
            return;
        };
        let Some(slots) = pod.slots.get_mut(kind) else {
            return;
        };
        if slots.place.is_none() && slots.used < slots.limit {
            slots.place = Some(list.len() as u32);
            list.push(id);
        }
    }

    /// Takes a pod off that list; the last one takes its place.
    pub(super) fn close(&mut self, id: u32, kind: usize) {
        let place = |world: &mut Self, id: u32, new: Option<u32>| {
            let slots = world.pods.get_mut(id as usize)?.slots.get_mut(kind)?;
            std::mem::replace(&mut slots.place, new)
        };
        let Some(free) = place(self, id, None) else {
            return;
        };
        let Some(list) = self.free.get_mut(kind) else {
            return;
        };
        list.swap_remove(free as usize);
        if let Some(moved) = list.get(free as usize).copied() {
            place(self, moved, Some(free));
        }
    }

    /// The tasks of a pod are lost; the server notices after the heartbeat timeout.
    pub(super) fn lose_tasks(&mut self, id: u32) {
        let now = self.now;
        let Some(pod) = self.pods.get_mut(id as usize) else {
            return;
        };
        let mut lost = pod.share.kill(now);
        lost.append(&mut pod.held);
        pod.due = None;
        for Running { task, kind, since, .. } in lost {
            pod.vacate(kind, false, now);
            self.tally.killed += 1;
            self.tally.wasted_seconds += now.since(since);
            let timeout = self.scenario.kinds.get(usize::from(kind));
            let later = timeout.map_or(now, |kind: &crate::scenario::Kind| later(now, kind));
            self.agenda.add(later, Event::Retried { task });
        }
    }
}

fn later(now: At, kind: &crate::scenario::Kind) -> At {
    now.after(kind.heartbeat_timeout_seconds)
}
