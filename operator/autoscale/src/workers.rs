//! What the pods say: differences of their counters since their last report, folded into the estimates of service time and
//! CPU per task, and a summary of the present moment. Counters that began anew, clocks that jump and figures that cannot be
//! are bounded here; nothing after this file meets them.

use jiff::{SignedDuration, Timestamp};

use crate::latency;
use crate::memory::{Memory, PodBaseline, START_TIMES};
use crate::num::{PerKind, elapsed, finite, quantile, ratio, rounded, seconds};
use crate::{PodPhase, PodReport, PodSample, Policy, Sample, SlotKind};

/// From here on a busy pod slows its tasks down: service times measured now would be too long.
const CONTENDED: f64 = 0.85;
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
        let took = elapsed(ready, pod.created);
        if ready.as_second() > memory.newest_start && (0.0..=3600.0).contains(&took) {
            memory.start_seconds.push(took);
            newest = newest.max(ready.as_second());
        }
    }
    memory.newest_start = newest;
    let surplus = memory.start_seconds.len().saturating_sub(START_TIMES);
    memory.start_seconds.drain(..surplus);
    let mut ascending = memory.start_seconds.clone();
    ascending.sort_by(f64::total_cmp);
    let prior = seconds(policy.prior.pod_start);
    let at = |q| quantile(&ascending, q).unwrap_or(prior).clamp(1.0, 3600.0);
    PodStart {
        median: at(0.5),
        slow: at(0.9),
    }
}

/// Differences of one pod's counters.
struct Delta {
    seconds: f64,
    started: PerKind,
    completions: PerKind,
    busy: PerKind,
    core_seconds: Option<f64>,
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
    let mut totals = Totals {
        seconds: fold.seconds,
        ..Totals::default()
    };
    let mut baselines = Vec::with_capacity(sample.pods.len());
    let mut counts = Vec::with_capacity(memory.transient.latency_counts.len());
    let mut latency = vec![0; memory.transient.latency_bounds.len() + 1];
    for pod in &sample.pods {
        let uid = hash(&pod.uid);
        let old = memory.transient.pods.binary_search_by_key(&uid, |base| base.uid).ok();
        let old = old.and_then(|index| memory.transient.pods.get(index)).copied();
        let report = pod
            .report
            .known()
            .filter(|report| elapsed(now, report.at) <= 3.0 * seconds(interval));
        workers.count(pod, report, start, interval, now);
        let Some(report) = report else {
            // The baseline stays for the report that comes after the gap.
            baselines.extend(old.map(|base| latency::keep(memory, base, &mut counts)));
            continue;
        };
        memory.reports = true;
        let base = old.unwrap_or_else(|| fold.first_baseline(pod, report, uid));
        let (next, delta) = step(base, report);
        if let Some(delta) = delta {
            totals.add(&delta, pod, memory.cpu.idle_cores, now);
            let block = latency::advance(
                memory,
                base,
                report,
                next.started != base.started,
                &mut counts,
                &mut latency,
            );
            baselines.push(PodBaseline { block, ..next });
        } else if old.is_none() && fold.older(pod) {
            // All it has counted so far is history.
            let block = latency::advance(memory, base, report, false, &mut counts, &mut []);
            baselines.push(PodBaseline { block, ..base });
        } else {
            baselines.push(latency::keep(memory, base, &mut counts));
        }
    }
    baselines.sort_unstable_by_key(|base| base.uid);
    baselines.dedup_by_key(|base| base.uid);
    memory.transient.pods = baselines;
    memory.transient.latency_counts = counts;
    latency::remember(memory, &latency, now);
    workers.starting.sort_by(f64::total_cmp);
    totals.fold_into(memory, &mut workers);
    note_slots(memory, sample);
    memory.registered |= workers.ready > 0;
    note_silence(memory, &workers, now);
    workers
}

/// What is common to all pods of one call.
struct Fold {
    since: Timestamp,
    seconds: f64,
}

impl Fold {
    fn of(memory: &mut Memory, sample: &Sample, now: Timestamp) -> Self {
        latency::note_bounds(memory, sample);
        let seconds = memory
            .transient
            .last
            .map_or(0.0, |last| elapsed(now, last).clamp(0.0, 600.0));
        Self {
            since: memory.transient.since.unwrap_or(now),
            seconds,
        }
    }

    fn older(&self, pod: &PodSample) -> bool {
        pod.created < self.since
    }

    /// A pod younger than our watch began at zero under our eyes; of an older one only what comes next counts.
    fn first_baseline(&self, pod: &PodSample, report: &PodReport, uid: u64) -> PodBaseline {
        let mut base = PodBaseline {
            uid,
            at: report.started.min(report.at),
            started: report.started,
            used: [0; 4],
            completions: [0; 4],
            busy: [0.0; 4],
            // Never from zero: starting up is not work.
            cpu_seconds: report.cpu_seconds,
            block: None,
        };
        if self.older(pod) {
            base.at = report.at;
            for slot in &report.slots {
                let k = slot.kind.index();
                base.used[k] = slot.used;
                base.completions[k] = slot.completions;
                base.busy[k] = slot.busy_seconds;
            }
        }
        base
    }
}

/// The next baseline, and what happened since the last one: `None` if too little time went by.
fn step(base: PodBaseline, report: &PodReport) -> (PodBaseline, Option<Delta>) {
    let anew = elapsed(report.started, base.started) > 2.0
        || report
            .slots
            .iter()
            .any(|slot| slot.completions < base.completions[slot.kind.index()]);
    let origin = if anew {
        let zero = PodBaseline {
            used: [0; 4],
            completions: [0; 4],
            busy: [0.0; 4],
            cpu_seconds: None,
            ..base
        };
        PodBaseline {
            at: report.started.max(base.at),
            started: report.started,
            ..zero
        }
    } else {
        base
    };
    let mut next = PodBaseline {
        at: report.at,
        cpu_seconds: report.cpu_seconds,
        ..origin
    };
    let span = elapsed(report.at, origin.at);
    let mut delta = Delta {
        seconds: span,
        started: [0.0; 4],
        completions: [0.0; 4],
        busy: [0.0; 4],
        core_seconds: None,
    };
    for slot in &report.slots {
        let k = slot.kind.index();
        next.used[k] = slot.used;
        next.completions[k] = slot.completions;
        next.busy[k] = finite(slot.busy_seconds);
        // No pod ends more than a million tasks per second, and none is busier than its slots.
        let ended = (slot.completions.saturating_sub(origin.completions[k]) as f64).min(1e6 * span.max(0.0));
        let most = f64::from(slot.limit.unwrap_or(100_000).max(slot.used)) * span.max(0.0);
        delta.completions[k] = ended;
        delta.busy[k] = finite(slot.busy_seconds - origin.busy[k]).min(most);
        delta.started[k] = (ended + f64::from(slot.used) - f64::from(origin.used[k])).max(0.0);
    }
    if let (Some(before), Some(after)) = (origin.cpu_seconds, report.cpu_seconds) {
        delta.core_seconds = Some(finite(after - before).min(1024.0 * span.max(0.0)));
    }
    if span < -5.0 {
        // The reader's clock went back: begin anew from here.
        return (
            next,
            Some(Delta {
                seconds: 0.0,
                started: [0.0; 4],
                completions: [0.0; 4],
                busy: [0.0; 4],
                core_seconds: None,
            }),
        );
    }
    if span < 1.0 { (base, None) } else { (next, Some(delta)) }
}

/// Sums over the pods of one call.
#[derive(Default)]
struct Totals {
    seconds: f64,
    started: PerKind,
    completions: PerKind,
    busy: PerKind,
    core_seconds: f64,
    with_cpu: PerKind,
    used_cores: f64,
    capacity: f64,
    idle_cores: Vec<f64>,
}

impl Totals {
    fn add(&mut self, delta: &Delta, pod: &PodSample, idle_cores: f64, now: Timestamp) {
        for k in 0..4 {
            self.started[k] += delta.started[k];
            self.completions[k] += delta.completions[k];
            self.busy[k] += delta.busy[k];
        }
        let Some(core_seconds) = delta.core_seconds.filter(|_| delta.seconds >= 1.0) else {
            return;
        };
        let cores = core_seconds / delta.seconds;
        self.core_seconds += (core_seconds - idle_cores * delta.seconds).max(0.0);
        for k in 0..4 {
            self.with_cpu[k] += delta.completions[k];
        }
        let settled = pod.ready.is_some_and(|ready| elapsed(now, ready) > 30.0);
        let idle = delta.busy.iter().chain(&delta.completions).sum::<f64>() <= 0.0;
        if settled && idle && pod.phase == PodPhase::Ready {
            self.idle_cores.push(cores);
        }
        if let (PodPhase::Ready, Some(capacity)) = (pod.phase, pod.cpu_capacity_cores.filter(|cores| *cores > 0.0)) {
            self.used_cores += cores;
            self.capacity += finite(capacity);
        }
    }

    fn fold_into(self, memory: &mut Memory, workers: &mut Workers) {
        let Self {
            seconds,
            started,
            completions,
            busy,
            core_seconds,
            with_cpu,
            used_cores,
            capacity,
            idle_cores,
        } = self;
        for (k, tasks) in started.iter().enumerate() {
            memory.transient.flow[k] += tasks;
        }
        workers.active = started.iter().chain(&completions).chain(&busy).sum::<f64>() > 0.0 || workers.busy_slots > 0;
        if capacity > 0.0 {
            workers.note_cpu(memory, used_cores / capacity, seconds);
        }
        workers.cpu = memory.transient.cpu.filter(|_| workers.ready > 0);
        if workers.ready == 0 {
            memory.transient.cpu = None;
        }
        for cores in idle_cores {
            let known = memory.cpu.idle_cores;
            memory.cpu.idle_cores = if known > 0.0 {
                known + 0.05 * (cores - known)
            } else {
                rounded(cores)
            };
        }
        if !workers.active {
            return;
        }
        let contended = workers.cpu.is_some_and(|cpu| cpu >= CONTENDED);
        let mut slowest = 60.0_f64;
        for k in 0..4 {
            let rate = &mut memory.transient.completion_rate[k];
            if seconds > 0.0 {
                *rate += (1.0 - libm::exp(-seconds / 60.0)) * (completions[k] / seconds - *rate);
            }
            let kind = &mut memory.kinds[k];
            let service = ratio(kind.busy, kind.completions);
            let memory_seconds = ratio(400.0, *rate).max(10.0 * service).clamp(60.0, 1800.0);
            slowest = slowest.max(if busy[k] > 0.0 { memory_seconds } else { 0.0 });
            if contended && kind.completions >= ENOUGH {
                continue;
            }
            let keep = libm::exp(-seconds / memory_seconds);
            kind.busy = finite(kind.busy * keep + busy[k]);
            kind.completions = finite(kind.completions * keep + completions[k]);
        }
        let keep = libm::exp(-seconds / slowest);
        let cpu = &mut memory.cpu;
        if core_seconds > 0.0 || with_cpu.iter().sum::<f64>() > 0.0 {
            cpu.core_seconds = finite(cpu.core_seconds * keep + core_seconds);
            cpu.completions = finite(cpu.completions * keep + with_cpu.iter().sum::<f64>());
            cpu.busy = finite(cpu.busy * keep + busy.iter().sum::<f64>());
        }
    }
}

impl Workers {
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
        match pod.phase {
            PodPhase::Ready => {
                self.ready = self.ready.saturating_add(1);
                match report {
                    Some(report) => {
                        self.reporting += 1;
                        self.recent += u32::from(elapsed(now, report.at) <= 2.0 * seconds(interval));
                        self.busy_pods += u32::from(report.slots.iter().any(|slot| slot.used > 0));
                        self.cpu_missing += u32::from(report.cpu_seconds.is_none() && !pod.cpu_cores.is_known());
                    }
                    None => {
                        self.cpu_missing += u32::from(!pod.cpu_cores.is_known());
                        if self.gap.is_none() {
                            let reason = pod.report.reason().unwrap_or("its last report is too old");
                            self.gap = Some(format!("pod {}: {reason}", pod.name));
                        }
                    }
                }
            }
            PodPhase::Pending | PodPhase::Starting => {
                let age = elapsed(now, pod.created).max(0.0);
                if age > (3.0 * start.slow).max(120.0) {
                    self.stuck += 1;
                } else {
                    self.starting.push((start.median - age).max(1.0));
                }
            }
            PodPhase::Draining => {}
        }
    }

    /// Smooths CPU use over about 15 s: shorter than a decision matters, longer than one garbage collection.
    fn note_cpu(&self, memory: &mut Memory, use_now: f64, seconds: f64) {
        let weight = 1.0 - libm::exp(-seconds.max(1.0) / 15.0);
        let smoothed = memory
            .transient
            .cpu
            .map_or(use_now, |before| before + weight * (use_now - before));
        memory.transient.cpu = Some(finite(smoothed));
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
    for kind in SlotKind::ALL {
        let limits = alive()
            .filter_map(|pod| pod.report.known())
            .flat_map(|report| &report.slots);
        let least = limits
            .filter(|slot| slot.kind == kind)
            .filter_map(|slot| slot.limit)
            .min();
        if let Some(limit) = least {
            memory.kinds[kind.index()].slots = limit;
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

/// FNV-1a: the same on every machine.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
