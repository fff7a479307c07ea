//! The CPU of one pod, shared by its tasks. While they ask for less than there is, each runs at full speed; beyond that all
//! slow down in proportion.
//!
//! Kept as virtual time: it runs at the speed that all tasks have, so that a task's end is fixed in it from the start and no
//! change of speed touches a task.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::clock::At;

/// A task that runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Running {
    /// Virtual time of its end [s].
    due: f64,
    pub(crate) task: u32,
    pub(crate) kind: u8,
    pub(crate) since: At,
}

impl Eq for Running {}

impl Ord for Running {
    fn cmp(&self, other: &Self) -> Ordering {
        self.due.total_cmp(&other.due).then(self.task.cmp(&other.task))
    }
}

impl PartialOrd for Running {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The shared CPU of a pod.
#[derive(Debug)]
pub(crate) struct Share {
    cores: f64,
    idle: f64,
    /// Tasks that run, and cores that each of them asks for, per kind.
    kinds: Vec<(u32, f64)>,
    running: BinaryHeap<Reverse<Running>>,
    /// Virtual time [s] at `at`.
    time: f64,
    at: At,
    demand: f64,
    cpu_seconds: f64,
}

impl Share {
    /// `cores` to share, of which the process itself uses `idle`; `asks` are the cores per task of each kind.
    pub(crate) fn new(cores: f64, idle: f64, asks: impl Iterator<Item = f64>, now: At) -> Self {
        Self {
            cores,
            idle,
            kinds: asks.map(|cores| (0, cores)).collect(),
            running: BinaryHeap::new(),
            time: 0.0,
            at: now,
            demand: 0.0,
            cpu_seconds: 0.0,
        }
    }

    /// Share of full speed at which tasks run.
    fn speed(&self) -> f64 {
        let free = (self.cores - self.idle).max(1e-3);
        if self.demand > free { free / self.demand } else { 1.0 }
    }

    /// CPU use now [cores].
    fn cores_in_use(&self) -> f64 {
        (self.demand + self.idle).min(self.cores)
    }

    fn advance(&mut self, now: At) {
        let seconds = now.since(self.at);
        if seconds > 0.0 {
            self.time += seconds * self.speed();
            self.cpu_seconds += seconds * self.cores_in_use();
            self.at = now;
        }
    }

    fn sum(&mut self) {
        // Summed anew each time: adding and subtracting would drift.
        self.demand = self.kinds.iter().map(|(count, cores)| f64::from(*count) * cores).sum();
    }

    /// CPU time so far [core-s].
    pub(crate) fn cpu_seconds(&self, now: At) -> f64 {
        self.cpu_seconds + now.since(self.at).max(0.0) * self.cores_in_use()
    }

    /// Lets a task in that needs `service` seconds at full speed.
    pub(crate) fn start(&mut self, task: u32, kind: u8, service: f64, now: At) {
        self.advance(now);
        self.running.push(Reverse(Running {
            due: self.time + service,
            task,
            kind,
            since: now,
        }));
        if let Some((count, _)) = self.kinds.get_mut(usize::from(kind)) {
            *count += 1;
        }
        self.sum();
    }

    /// When the next task will end if nothing changes.
    pub(crate) fn next(&self) -> Option<At> {
        let Reverse(first) = self.running.peek()?;
        Some(self.at.after(((first.due - self.time) / self.speed()).max(0.0)))
    }

    /// Lets the next task out if its time has come.
    pub(crate) fn end(&mut self, now: At) -> Option<Running> {
        self.advance(now);
        // Some nanoseconds of rounding.
        if self
            .running
            .peek()
            .is_none_or(|Reverse(first)| first.due > self.time + 1e-8)
        {
            return None;
        }
        let Reverse(ended) = self.running.pop()?;
        if let Some((count, _)) = self.kinds.get_mut(usize::from(ended.kind)) {
            *count -= 1;
        }
        self.sum();
        Some(ended)
    }

    /// Kills what runs.
    pub(crate) fn kill(&mut self, now: At) -> Vec<Running> {
        self.advance(now);
        for (count, _) in &mut self.kinds {
            *count = 0;
        }
        self.sum();
        let mut killed: Vec<Running> = self.running.drain().map(|Reverse(running)| running).collect();
        killed.sort_unstable();
        killed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> At {
        At::seconds(seconds)
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn tasks_that_fit_do_not_slow_each_other() {
        let mut share = Share::new(1.0, 0.0, [0.5].into_iter(), at(0.0));
        share.start(0, 0, 2.0, at(0.0));
        share.start(1, 0, 2.0, at(1.0));
        assert!(close(share.next().expect("one").as_seconds(), 2.0));
        assert!(close(share.cpu_seconds(at(1.0)), 0.5));
    }

    #[test]
    fn a_worked_example_of_three_tasks_on_one_core() {
        // A and B of 1 core and 2 s each from 0: half speed. C of 1 core and 1 s joins at 2: a third.
        let mut share = Share::new(1.0, 0.0, [1.0].into_iter(), at(0.0));
        share.start(0, 0, 2.0, at(0.0));
        share.start(1, 0, 2.0, at(0.0));
        share.start(2, 0, 1.0, at(2.0));
        // At 2 A and B have 1 s left each, as C: all three end at 5.
        let mut ends = Vec::new();
        while let Some(next) = share.next() {
            let ended = share.end(next).expect("due");
            ends.push((ended.task, next.as_seconds()));
        }
        assert_eq!(ends.iter().map(|(task, _)| *task).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(ends.iter().all(|(_, end)| close(*end, 5.0)), "{ends:?}");
        assert!(close(share.cpu_seconds(at(5.0)), 5.0), "the core was busy throughout");
        assert!(close(share.cpu_seconds(at(9.0)), 5.0), "and idle after");
    }

    #[test]
    fn kinds_slow_down_in_the_same_proportion() {
        // 1.5 cores are asked for on one: two thirds of the speed.
        let mut share = Share::new(1.0, 0.0, [1.0, 0.5].into_iter(), at(0.0));
        share.start(0, 0, 2.0, at(0.0));
        share.start(1, 1, 4.0, at(0.0));
        let first = share.next().expect("one");
        assert!(close(first.as_seconds(), 3.0));
        share.end(first).expect("due");
        // The other one has done 2 of 4 s and is alone now.
        assert!(close(share.next().expect("one").as_seconds(), 5.0));
    }

    #[test]
    fn what_an_idle_pod_uses_is_not_there_for_tasks() {
        let mut share = Share::new(1.0, 0.2, [1.0].into_iter(), at(0.0));
        share.start(0, 0, 0.8, at(0.0));
        assert!(close(share.next().expect("one").as_seconds(), 1.0));
    }
}
