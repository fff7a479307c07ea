//! The pods of this moment: how many are Ready, starting or stuck, what runs on them, who does not report, and how long a pod
//! takes to start.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::baselines::{Baselines, Lookup, hash};
use crate::counters::{Advance, Fold, Totals, step};
use crate::latency::{self, Counts};
use crate::memory::{Memory, PodBaseline, START_TIMES};
use crate::num::{PerKind, elapsed, finite, quantile, seconds};
use crate::{PodPhase, PodReport, PodSample, Policy, Sample};

/// How far back pods are new [s].
const LATELY: f64 = 600.0;
/// Completions from which a measured service time is trusted alone.
pub(crate) const ENOUGH: f64 = 5.0;

/// The pods of this moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workers {
    /// Pods that are Ready.
    pub(crate) ready: u32,
    /// Ready pods with a fresh report.
    pub(crate) reporting: u32,
    /// Ready pods that report with figures at most two intervals old.
    pub(crate) recent: u32,
    /// When each starting pod will be Ready [s from now], ascending; stuck pods are not in it.
    pub(crate) starting: Vec<f64>,
    /// Pods that should have been Ready long ago.
    pub(crate) stuck: u32,
    /// Pods made in the last 10 minutes, and how many of them are stuck.
    pub(crate) made_lately: u32,
    pub(crate) failing: u32,
    /// Running tasks on pods that do not end.
    pub(crate) used: PerKind,
    /// Slots on Ready pods that report (0 for resource-based slots).
    pub(crate) room: PerKind,
    /// Ready pods that run at least one task.
    pub(crate) busy_pods: u32,
    /// Running tasks on all pods that report.
    pub(crate) busy_slots: u32,
    /// Tasks were started or ended, or run, since the last call.
    pub(crate) active: bool,
    /// Mean CPU use, smoothed (share of capacity).
    pub(crate) cpu: Option<f64>,
    /// Ready pods whose CPU use is unknown.
    pub(crate) cpu_missing: u32,
    /// First reason why a pod does not report.
    pub(crate) gap: Option<String>,
}

impl Workers {
    /// Ready pods without a fresh report.
    pub(crate) fn missing(&self) -> u32 {
        self.ready - self.reporting
    }

    /// Share of the Ready pods that report; 1 if there is none that could.
    pub(crate) fn coverage(&self) -> f64 {
        if self.ready == 0 {
            1.0
        } else {
            f64::from(self.reporting) / f64::from(self.ready)
        }
    }
}

/// Pod start times: median and 90th percentile [s].
#[derive(Clone, Copy, Debug)]
pub(crate) struct PodStart {
    pub(crate) median: f64,
    pub(crate) slow: f64,
}

/// Folds start times of pods that became Ready into the memory and estimates.
pub(crate) fn pod_start(policy: &Policy, memory: &mut Memory, sample: &Sample, now: Timestamp) -> PodStart {
    let mut newest = memory.newest_start;
    for pod in &sample.pods {
        let Some(ready) = pod.ready.filter(|ready| *ready <= now) else {
            continue;
        };
        if ready.as_second() <= memory.newest_start {
            continue;
        }
        let took = elapsed(ready, pod.created);
        if (0.0..=3600.0).contains(&took) {
            memory.start_seconds.push(took);
            newest = newest.max(ready.as_second());
        }
    }
    memory.newest_start = newest;
    let surplus = memory.start_seconds.len().saturating_sub(START_TIMES);
    memory.start_seconds.drain(..surplus);
    let mut times = memory.start_seconds.clone();
    let prior = seconds(policy.prior.pod_start);
    let mut at = |q| quantile(&mut times, q).unwrap_or(prior).clamp(1.0, 3600.0);
    PodStart {
        median: at(0.5),
        slow: at(0.9),
    }
}

/// Reads the pods of the sample; `interval` is the time between samples.
pub(crate) fn observe(
    memory: &mut Memory,
    sample: &Sample,
    start: PodStart,
    interval: SignedDuration,
    now: Timestamp,
) -> Workers {
    let mut workers = Workers::default();
    let fold = Fold::of(memory, sample, now);
    let mut totals = Totals::over(fold.seconds);
    let before = Arc::clone(&memory.transient.baselines);
    let bounds = std::mem::take(&mut memory.transient.latency_bounds);
    let mut known = Lookup::new(&before.pods);
    let mut counts = Counts::new(&bounds, &before);
    let mut pods = Vec::with_capacity(sample.pods.len());
    let mut latency = vec![0; bounds.len() + 1];
    for pod in &sample.pods {
        let uid = hash(&pod.uid);
        let old = known.find(uid);
        let report = pod
            .report
            .known()
            .filter(|report| elapsed(now, report.at) <= 3.0 * seconds(interval));
        workers.count(pod, report, start, interval, now);
        let Some(report) = report else {
            // One report that got lost is no gap: what the pod said just before stands in for it.
            if let Some(base) = old.filter(|base| elapsed(now, base.at) <= 2.0 * seconds(interval)) {
                workers.stand_in(pod, base, &memory.kinds.map(|kind| kind.slots));
            }
            // The baseline stays for the report that comes after the gap.
            pods.extend(old.map(|base| PodBaseline {
                block: counts.keep(base),
                ..*base
            }));
            continue;
        };
        memory.reports = true;
        let first = old.is_none().then(|| fold.first_baseline(pod, report, uid));
        let Some(base) = old.or(first.as_ref()) else { continue };
        if let Some(Advance { next, delta, anew }) = step(base, report) {
            totals.add(&delta, pod, memory.cpu.idle_cores, now);
            let block = counts.advance(base, report, anew, &mut latency);
            pods.push(PodBaseline { block, ..next });
        } else {
            let block = if old.is_none() && fold.older(pod) {
                // All it has counted so far is history.
                counts.advance(base, report, false, &mut [])
            } else {
                counts.keep(base)
            };
            pods.push(PodBaseline { block, ..*base });
        }
    }
    memory.transient.baselines = Arc::new(Baselines {
        pods,
        latency_counts: counts.into_blocks(),
    });
    memory.transient.latency_bounds = bounds;
    latency::remember(memory, &latency, now);
    workers.starting.sort_by(f64::total_cmp);
    totals.fold_into(memory, &mut workers);
    note_slots(memory, sample);
    memory.registered |= workers.ready > 0;
    note_silence(memory, &workers, now);
    workers
}

impl Workers {
    /// Counts a pod by its last report.
    fn stand_in(&mut self, pod: &PodSample, base: &PodBaseline, slots: &[u32; 4]) {
        if pod.phase == PodPhase::Draining {
            return;
        }
        for (k, used) in base.used.iter().enumerate() {
            self.busy_slots = self.busy_slots.saturating_add(*used);
            self.used[k] += f64::from(*used);
            if pod.phase == PodPhase::Ready {
                // 0 where no limit was ever reported.
                self.room[k] += f64::from(slots[k]);
            }
        }
        if pod.phase == PodPhase::Ready {
            self.reporting += 1;
            self.recent += 1;
            self.busy_pods += u32::from(base.used.iter().any(|used| *used > 0));
        }
    }

    fn count(
        &mut self,
        pod: &PodSample,
        report: Option<&PodReport>,
        start: PodStart,
        interval: SignedDuration,
        now: Timestamp,
    ) {
        for slot in report.map_or(&[][..], |report| &report.slots) {
            self.busy_slots = self.busy_slots.saturating_add(slot.used);
            if pod.phase != PodPhase::Draining {
                self.used[slot.kind.index()] += f64::from(slot.used);
            }
            if pod.phase == PodPhase::Ready {
                self.room[slot.kind.index()] += f64::from(slot.limit.unwrap_or(0));
            }
        }
        let age = elapsed(now, pod.created).max(0.0);
        if age <= LATELY && pod.phase != PodPhase::Draining {
            self.made_lately += 1;
        }
        match pod.phase {
            PodPhase::Ready => {
                self.ready = self.ready.saturating_add(1);
                if let Some(report) = report {
                    self.reporting += 1;
                    self.recent += u32::from(elapsed(now, report.at) <= 2.0 * seconds(interval));
                    self.busy_pods += u32::from(report.slots.iter().any(|slot| slot.used > 0));
                    self.cpu_missing += u32::from(report.cpu_seconds.is_none() && !pod.cpu_cores.is_known());
                } else {
                    self.cpu_missing += u32::from(!pod.cpu_cores.is_known());
                    if self.gap.is_none() {
                        let reason = pod.report.reason().unwrap_or("its last report is too old");
                        self.gap = Some(format!("pod {}: {reason}", pod.name));
                    }
                }
            }
            PodPhase::Pending | PodPhase::Starting => {
                if age > (3.0 * start.slow).max(120.0) {
                    self.stuck += 1;
                    self.failing += u32::from(age <= LATELY);
                } else {
                    self.starting.push((start.median - age).max(1.0));
                }
            }
            PodPhase::Draining => {}
        }
    }
}

/// CPU use of pods that do not report it themselves, from the metrics API. Returns their mean use and how many were seen.
pub(crate) fn outside_cpu(sample: &Sample) -> Option<f64> {
    let mut used = 0.0;
    let mut capacity = 0.0;
    for pod in sample.pods.iter().filter(|pod| pod.phase == PodPhase::Ready) {
        let own = pod.report.known().is_some_and(|report| report.cpu_seconds.is_some());
        if let (false, Some(cores), Some(cap)) = (own, pod.cpu_cores.known(), pod.cpu_capacity_cores) {
            used += finite(*cores);
            capacity += finite(cap);
        }
    }
    (capacity > 0.0).then(|| used / capacity)
}

/// Remembers slots and CPU capacity of a pod, for the time when there is none.
fn note_slots(memory: &mut Memory, sample: &Sample) {
    let alive = || sample.pods.iter().filter(|pod| pod.phase != PodPhase::Draining);
    let mut least = [u32::MAX; 4];
    for slot in alive()
        .filter_map(|pod| pod.report.known())
        .flat_map(|report| &report.slots)
    {
        let smallest = &mut least[slot.kind.index()];
        *smallest = slot.limit.map_or(*smallest, |limit| limit.min(*smallest));
    }
    for (kind, least) in memory.kinds.iter_mut().zip(least) {
        if least < u32::MAX {
            kind.slots = least;
        }
    }
    let cores = alive()
        .filter_map(|pod| pod.cpu_capacity_cores)
        .filter(|cores| *cores > 0.0 && cores.is_finite());
    if let Some(least) = cores.reduce(f64::min) {
        memory.cpu.capacity = least;
    }
}

/// After an hour without any report the pods are taken for another image, which has none.
fn note_silence(memory: &mut Memory, workers: &Workers, now: Timestamp) {
    if workers.ready == 0 || workers.reporting > 0 {
        memory.transient.silent_since = None;
        return;
    }
    let since = *memory.transient.silent_since.get_or_insert(now);
    if elapsed(now, since) > 3600.0 {
        memory.reports = false;
    }
}
