//! Schedule-to-start as measured: the pods' histograms, their differences over the last minute, and what they say about the
//! objective. All queues of a fleet are pooled into the buckets of the first histogram seen.

use jiff::Timestamp;

use crate::baselines::Baselines;
use crate::memory::{Memory, PodBaseline};
use crate::{LatencyHistogram, PodReport, Sample};

/// Length of one entry of the ring [s].
const SLICE: i64 = 5;
/// How far back the ring looks [s].
const WINDOW: i64 = 60;
/// Most buckets that are taken over.
const BUCKETS: usize = 64;

/// Takes the bucket bounds from the first histogram that has some; other bounds are sorted in by their value.
pub(crate) fn note_bounds(memory: &mut Memory, sample: &Sample) {
    if !memory.transient.latency_bounds.is_empty() {
        return;
    }
    let reports = sample.pods.iter().filter_map(|pod| pod.report.known());
    let mut histograms = reports.flat_map(|report| &report.schedule_to_start);
    if let Some(found) = histograms.find(|histogram| !histogram.bounds_seconds.is_empty()) {
        let mut bounds: Vec<f64> = found
            .bounds_seconds
            .iter()
            .copied()
            .filter(|bound| bound.is_finite())
            .collect();
        bounds.sort_by(f64::total_cmp);
        bounds.truncate(BUCKETS);
        memory.transient.latency_bounds = bounds;
        Baselines::forget_latency(&mut memory.transient.baselines);
    }
}

/// Counts of all pods at one call.
pub(crate) struct Counts<'a> {
    bounds: &'a [f64],
    before: &'a Baselines,
    now: Vec<u64>,
}

impl<'a> Counts<'a> {
    /// Begins with no pod; `bounds` are those of the buckets.
    pub(crate) fn new(bounds: &'a [f64], before: &'a Baselines) -> Self {
        Self {
            bounds,
            before,
            now: Vec::with_capacity((before.pods.len() + 1) * (bounds.len() + 1)),
        }
    }

    /// The counts, one block per pod.
    pub(crate) fn into_blocks(self) -> Vec<u64> {
        self.now
    }

    fn size(&self) -> usize {
        self.bounds.len() + 1
    }

    /// Copies a pod's counts as they are. Returns its block.
    pub(crate) fn keep(&mut self, base: &PodBaseline) -> Option<u32> {
        let old = self.before.block(base, self.size())?;
        let place = self.now.len() / self.size();
        self.now.extend_from_slice(old);
        Some(place as u32)
    }

    /// Appends a pod's counts of now and adds what is new in them to `fresh`. Returns the pod's block.
    pub(crate) fn advance(
        &mut self,
        base: &PodBaseline,
        report: &PodReport,
        anew: bool,
        fresh: &mut [u64],
    ) -> Option<u32> {
        if self.bounds.is_empty() {
            return None;
        }
        let (size, begin) = (self.size(), self.now.len());
        match &report.schedule_to_start[..] {
            [only] if only.counts.len() == size && only.bounds_seconds == *self.bounds => {
                self.now.extend_from_slice(&only.counts);
            }
            several => self.sort_in(several),
        }
        let old = self.before.block(base, size).filter(|_| !anew);
        let now = self.now.iter().skip(begin);
        match old {
            Some(old) => {
                for ((cell, now), before) in fresh.iter_mut().zip(now).zip(old) {
                    *cell = cell.saturating_add(now.saturating_sub(*before));
                }
            }
            None => {
                for (cell, now) in fresh.iter_mut().zip(now) {
                    *cell = cell.saturating_add(*now);
                }
            }
        }
        Some((begin / size) as u32)
    }

    /// Appends a block with the counts of all histograms, each in the bucket of its bound.
    fn sort_in(&mut self, histograms: &[LatencyHistogram]) {
        let (bounds, size, begin) = (self.bounds, self.size(), self.now.len());
        self.now.resize(begin + size, 0);
        let block = &mut self.now[begin..];
        for histogram in histograms {
            let same = histogram.bounds_seconds == *bounds;
            for (index, count) in histogram.counts.iter().enumerate() {
                let place = match histogram.bounds_seconds.get(index) {
                    _ if same => index,
                    Some(bound) => bounds.partition_point(|ours| ours < bound),
                    None => bounds.len(),
                };
                let cell = &mut block[place.min(size - 1)];
                *cell = cell.saturating_add(*count);
            }
        }
    }
}

/// Adds what is new to the ring.
pub(crate) fn remember(memory: &mut Memory, fresh: &[u64], now: Timestamp) {
    let slice = now.as_second().div_euclid(SLICE);
    let ring = &mut memory.transient.latency;
    ring.retain(|(at, counts)| *at > slice - WINDOW / SLICE && *at <= slice && counts.len() == fresh.len());
    if fresh.iter().all(|count| *count == 0) {
        return;
    }
    match ring.back_mut() {
        Some((at, counts)) if *at == slice => {
            for (count, more) in counts.iter_mut().zip(fresh) {
                *count = count.saturating_add(*more);
            }
        }
        _ => ring.push_back((slice, fresh.to_vec())),
    }
}

/// The last minute.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastMinute {
    /// 99th percentile [s], interpolated in its bucket; `None` without tasks.
    pub(crate) p99: Option<f64>,
    /// Share of tasks that certainly waited longer than the objective.
    pub(crate) late: f64,
}

/// Reads the ring against an objective of `limit` seconds.
pub(crate) fn last_minute(memory: &Memory, limit: Option<f64>) -> LastMinute {
    let bounds = &memory.transient.latency_bounds;
    let mut sum = vec![0_u64; bounds.len() + 1];
    for (_, counts) in &memory.transient.latency {
        for (total, count) in sum.iter_mut().zip(counts) {
            *total = total.saturating_add(*count);
        }
    }
    let tasks: f64 = sum.iter().map(|count| *count as f64).sum();
    if tasks <= 0.0 {
        return LastMinute::default();
    }
    let lower = |index: usize| {
        index
            .checked_sub(1)
            .and_then(|below| bounds.get(below))
            .copied()
            .unwrap_or(0.0)
    };
    let late = sum
        .iter()
        .enumerate()
        .filter(|(index, _)| limit.is_some_and(|limit| lower(*index) >= limit));
    let late = late.map(|(_, count)| *count as f64).sum::<f64>() / tasks;
    let mut left = 0.99 * tasks;
    let mut p99 = lower(bounds.len());
    for (index, count) in sum.iter().enumerate() {
        let count = *count as f64;
        if left <= count {
            let low = lower(index);
            let high = bounds.get(index).copied().unwrap_or(low);
            p99 = low + (high - low) * if count > 0.0 { left / count } else { 0.0 };
            break;
        }
        left -= count;
    }
    LastMinute { p99: Some(p99), late }
}
