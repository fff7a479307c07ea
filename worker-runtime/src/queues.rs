//! What the pod knows of each (task queue, task type): whether it polls it, and the schedule-to-start times of the tasks it got.
//!
//! Written by the SDK's metrics, read by `Report` and by readiness.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crate::gate::TaskType;

/// Upper bounds of the schedule-to-start buckets, in milliseconds: 1 ms to 5 min in 1-2-5 steps, the last bucket is open.
pub(crate) const BOUNDS_MS: [u64; 18] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 300_000,
];

/// The queues the pod serves. The set is fixed at the start, so reading takes no lock.
#[derive(Debug)]
pub(crate) struct Queues {
    all: BTreeMap<(String, TaskType), Arc<QueueState>>,
}

#[derive(Debug, Default)]
struct QueueState {
    polled: AtomicBool,
    counts: [AtomicU64; BOUNDS_MS.len() + 1],
}

/// State of one queue at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueReport {
    pub(crate) name: String,
    pub(crate) task_type: TaskType,
    /// The pod has polled it at least once.
    pub(crate) polled: bool,
    /// Tasks per bucket of [`BOUNDS_MS`], one more than there are bounds.
    pub(crate) counts: Vec<u64>,
}

impl Queues {
    pub(crate) fn new(queues: impl IntoIterator<Item = (String, TaskType)>) -> Self {
        Self {
            all: queues.into_iter().map(|key| (key, Arc::default())).collect(),
        }
    }

    /// A poll of the queue is open.
    pub(crate) fn polled(&self, task_type: TaskType, queue: &str) {
        if let Some(state) = self.get(task_type, queue) {
            state.polled.store(true, Ordering::Release);
        }
    }

    /// A task arrived `ms` milliseconds after it was scheduled.
    pub(crate) fn schedule_to_start(&self, task_type: TaskType, queue: &str, ms: f64) {
        let bucket = BOUNDS_MS.partition_point(|bound| (*bound as f64) < ms);
        if let Some(count) = self.get(task_type, queue).and_then(|state| state.counts.get(bucket)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The queues that were not polled yet.
    pub(crate) fn unpolled(&self) -> impl Iterator<Item = (&str, TaskType)> {
        self.all
            .iter()
            .filter(|(_, state)| !state.polled.load(Ordering::Acquire))
            .map(|((name, task_type), _)| (name.as_str(), *task_type))
    }

    pub(crate) fn report(&self) -> Vec<QueueReport> {
        self.all
            .iter()
            .map(|((name, task_type), state)| QueueReport {
                name: name.clone(),
                task_type: *task_type,
                polled: state.polled.load(Ordering::Acquire),
                counts: state.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            })
            .collect()
    }

    fn get(&self, task_type: TaskType, queue: &str) -> Option<&Arc<QueueState>> {
        self.all.get(&(queue.to_owned(), task_type))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_the_bucket_whose_bound_it_does_not_exceed() {
        let queues = Queues::new([("q".to_owned(), TaskType::Activity)]);
        for ms in [0.0, 1.0, 1.5, 300_000.0, 300_001.0] {
            queues.schedule_to_start(TaskType::Activity, "q", ms);
        }
        let counts = &queues.report()[0].counts;
        assert_eq!((counts[0], counts[1], counts[17], counts[18]), (2, 1, 1, 1));
        assert_eq!(counts.iter().sum::<u64>(), 5);
    }

    #[test]
    fn only_the_queues_of_the_pod_count() {
        let queues = Queues::new([
            ("q".to_owned(), TaskType::Activity),
            ("q".to_owned(), TaskType::Workflow),
        ]);
        queues.polled(TaskType::Activity, "q");
        queues.polled(TaskType::Activity, "other");
        assert_eq!(queues.unpolled().collect::<Vec<_>>(), [("q", TaskType::Workflow)]);
    }
}
