//! Schedule-to-start of a fleet's queues, summed over its pods: counters that only grow. Pure.
//!
//! A pod counts from its own start, and pods come and go: the sum of their counters would fall with each that leaves. So the
//! differences between two reports of a pod are added up here. What a pod did after its last report is lost.

use std::collections::{BTreeMap, BTreeSet};

use fleet_autoscale::{LatencyHistogram, TaskType};
use fleet_core::PodView;

/// One queue: name and type.
pub(super) type QueueKey = (String, TaskType);

/// Buckets of one queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Buckets {
    /// Upper bounds [s], ascending; the last bucket is unbounded and has none.
    pub(super) bounds: Vec<f64>,
    /// Tasks per bucket (not cumulative) since this process first saw the fleet: one more than there are bounds.
    pub(super) counts: Vec<u64>,
}

/// The sums of one fleet, and what each of its pods reported last.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    begun: bool,
    /// Pods that were there before this process looked: what they had counted by then belongs to an earlier process.
    older: BTreeSet<String>,
    last: BTreeMap<String, BTreeMap<QueueKey, LatencyHistogram>>,
    sums: BTreeMap<QueueKey, Buckets>,
}

impl Latencies {
    /// Adds what is new in the reports of all pods of the fleet.
    pub(super) fn observe(&mut self, pods: &[PodView]) {
        let present: BTreeSet<&str> = pods.iter().map(|pod| pod.uid.as_str()).collect();
        if !self.begun {
            self.older = present.iter().map(|uid| (*uid).to_owned()).collect();
            self.begun = true;
        }
        self.older.retain(|uid| present.contains(uid.as_str()));
        self.last.retain(|uid, _| present.contains(uid.as_str()));
        for pod in pods {
            let Some(report) = pod.report.known() else { continue };
            let first_of_older = self.older.contains(&pod.uid) && !self.last.contains_key(&pod.uid);
            let last = self.last.entry(pod.uid.clone()).or_default();
            for now in &report.pod.schedule_to_start {
                let key = (now.queue.clone(), now.task_type);
                let before = if first_of_older {
                    Some(now.clone())
                } else {
                    last.get(&key).filter(|before| !began_anew(before, now)).cloned()
                };
                self.sums
                    .entry(key.clone())
                    .or_insert_with(|| Buckets::with(&now.bounds_seconds))
                    .add(now, before.as_ref());
                last.insert(key, now.clone());
            }
        }
    }

    /// The sums so far.
    pub(super) fn sums(&self) -> impl Iterator<Item = (&QueueKey, &Buckets)> {
        self.sums.iter()
    }
}

/// The container restarted: a counter that only grows went back, or another runtime counts.
fn began_anew(before: &LatencyHistogram, now: &LatencyHistogram) -> bool {
    before.bounds_seconds != now.bounds_seconds
        || before.counts.len() != now.counts.len()
        || before.counts.iter().zip(&now.counts).any(|(before, now)| now < before)
}

impl Buckets {
    fn with(bounds: &[f64]) -> Self {
        Self {
            bounds: bounds.to_vec(),
            counts: vec![0; bounds.len() + 1],
        }
    }

    fn add(&mut self, now: &LatencyHistogram, before: Option<&LatencyHistogram>) {
        for (index, count) in now.counts.iter().enumerate() {
            let earlier = before.and_then(|before| before.counts.get(index)).copied().unwrap_or(0);
            // A pod of another runtime may have other bounds: its tasks count as no faster than they were.
            let bucket = now.bounds_seconds.get(index).map_or(self.bounds.len(), |bound| {
                self.bounds.partition_point(|own| own < bound)
            });
            if let Some(sum) = self.counts.get_mut(bucket) {
                *sum = sum.saturating_add(count.saturating_sub(earlier));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fleet_autoscale::{PodReport, Seen};
    use fleet_core::{Eviction, Quarantine, Source, WorkerReport};
    use jiff::Timestamp;

    use super::*;

    fn pod(uid: &str, counts: Option<[u64; 3]>) -> PodView {
        with_bounds(uid, &[0.1, 1.0], counts)
    }

    fn with_bounds(uid: &str, bounds: &[f64], counts: Option<[u64; 3]>) -> PodView {
        let at = Timestamp::UNIX_EPOCH;
        let report = counts.map(|counts| WorkerReport {
            source: Source::WorkerControl,
            pod: PodReport {
                at,
                started: at,
                slots: Vec::new(),
                cpu_seconds: None,
                memory_bytes: None,
                schedule_to_start: vec![LatencyHistogram {
                    queue: "orders".into(),
                    task_type: TaskType::Activity,
                    bounds_seconds: bounds.to_vec(),
                    counts: counts.to_vec(),
                }],
            },
            oldest_task: None,
            draining: false,
            drained: false,
            reloads_credentials: true,
            polled: Vec::new(),
        });
        PodView {
            name: uid.into(),
            uid: uid.into(),
            created: at,
            ready: Some(at),
            deleting: false,
            finished: false,
            deletion_cost: None,
            eviction: Eviction::Open,
            quarantine: Quarantine::No,
            trouble: None,
            cpu_capacity: None,
            report: report.map_or_else(|| Seen::unknown("silent"), Seen::Known),
            never_reported: false,
            cpu: Seen::unknown("not asked"),
            memory_capacity: None,
            memory: Seen::unknown("not asked"),
        }
    }

    fn sums(steps: &[&[PodView]]) -> Vec<u64> {
        let mut latencies = Latencies::default();
        for pods in steps {
            latencies.observe(pods);
        }
        latencies
            .sums()
            .next()
            .map(|(_, sum)| sum.counts.clone())
            .unwrap_or_default()
    }

    #[test]
    fn pods_that_leave_take_nothing_with_them() {
        let steps: [&[PodView]; 4] = [
            &[],
            &[pod("a", Some([5, 1, 0])), pod("b", Some([2, 0, 1]))],
            &[pod("b", Some([3, 0, 1]))],
            &[],
        ];
        assert_eq!(sums(&steps[..2]), [7, 1, 1]);
        assert_eq!(sums(&steps[..3]), [8, 1, 1]);
        assert_eq!(sums(&steps), [8, 1, 1]);
    }

    #[test]
    fn what_older_pods_had_counted_before_is_not_counted_again_after_a_failover() {
        assert_eq!(
            sums(&[&[pod("a", Some([500, 0, 0]))], &[pod("a", Some([503, 1, 0]))]]),
            [3, 1, 0]
        );
        assert_eq!(
            sums(&[
                &[pod("a", None)],
                &[pod("a", Some([500, 0, 0]))],
                &[pod("a", Some([501, 0, 0]))]
            ]),
            [1, 0, 0],
            "it was there, and silent at first"
        );
    }

    #[test]
    fn a_container_that_restarts_counts_from_zero_and_a_silence_loses_nothing() {
        let steps: [&[PodView]; 4] = [
            &[],
            &[pod("a", Some([5, 1, 0]))],
            &[pod("a", None)],
            &[pod("a", Some([7, 1, 0]))],
        ];
        assert_eq!(sums(&steps), [7, 1, 0]);
        assert_eq!(
            sums(&[&[], &[pod("a", Some([5, 1, 0]))], &[pod("a", Some([2, 0, 0]))]]),
            [7, 1, 0]
        );
    }

    #[test]
    fn other_bounds_are_never_read_as_faster() {
        let other = with_bounds("b", &[0.2, 5.0], Some([1, 1, 1]));
        assert_eq!(
            sums(&[&[], &[pod("a", Some([1, 0, 0]))], &[pod("a", Some([1, 0, 0])), other]]),
            [1, 1, 2]
        );
    }
}
