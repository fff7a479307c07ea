//! Differences of the pods' counters since their last report, folded into the estimates of service time and CPU per task.
//! Counters that began anew, clocks that jump and figures that cannot be are bounded here; nothing after this file meets them.

use jiff::Timestamp;

use crate::latency;
use crate::memory::{Memory, PodBaseline, Recent};
use crate::num::{PerKind, elapsed, finite, ratio, rounded};
use crate::workers::{ENOUGH, Workers};
use crate::{PodPhase, PodReport, PodSample, Sample};

/// From here on a busy pod slows its tasks down: service times measured now would be too long.
const CONTENDED: f64 = 0.85;

/// Tasks whose service time is compared with that of all before: enough to tell another kind of work.
const RECENT: f64 = 40.0;
/// Standard deviation of service times, as a multiple of their mean, that still counts as chance.
const VARIATION: f64 = 3.0;

/// Differences of one pod's counters.
pub(crate) struct Delta {
    seconds: f64,
    started: PerKind,
    completions: PerKind,
    busy: PerKind,
    core_seconds: Option<f64>,
}

/// What is common to all pods of one call.
pub(crate) struct Fold {
    since: Timestamp,
    pub(crate) seconds: f64,
}

impl Fold {
    pub(crate) fn of(memory: &mut Memory, sample: &Sample, now: Timestamp) -> Self {
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

    pub(crate) fn older(&self, pod: &PodSample) -> bool {
        pod.created < self.since
    }

    /// A pod younger than our watch began at zero under our eyes; of an older one only what comes next counts.
    pub(crate) fn first_baseline(&self, pod: &PodSample, report: &PodReport, uid: u64) -> PodBaseline {
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

/// What came of one pod's report.
pub(crate) struct Advance {
    /// The next baseline, without its latency counts.
    pub(crate) next: PodBaseline,
    /// What happened since the last one.
    pub(crate) delta: Delta,
    /// The counters began anew.
    pub(crate) anew: bool,
}

/// Goes on from a baseline to a report: `None` if too little time went by.
pub(crate) fn step(base: &PodBaseline, report: &PodReport) -> Option<Advance> {
    let anew = elapsed(report.started, base.started) > 2.0
        || report
            .slots
            .iter()
            .any(|slot| slot.completions < base.completions[slot.kind.index()]);
    if anew {
        let zero = PodBaseline {
            used: [0; 4],
            completions: [0; 4],
            busy: [0.0; 4],
            cpu_seconds: None,
            at: report.started.max(base.at),
            started: report.started,
            ..*base
        };
        return advance(&zero, report, zero.started != base.started);
    }
    advance(base, report, false)
}

fn advance(origin: &PodBaseline, report: &PodReport, anew: bool) -> Option<Advance> {
    let span = elapsed(report.at, origin.at);
    // Below that the reader's clock went back: begin anew from here.
    if (-5.0..1.0).contains(&span) {
        return None;
    }
    let mut next = PodBaseline {
        at: report.at,
        cpu_seconds: report.cpu_seconds,
        block: None,
        ..*origin
    };
    let mut delta = Delta {
        seconds: span.max(0.0),
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
        if span < 0.0 {
            continue;
        }
        // No pod ends more than a million tasks per second, and none is busier than its slots.
        let ended = (slot.completions.saturating_sub(origin.completions[k]) as f64).min(1e6 * span);
        let most = f64::from(slot.limit.unwrap_or(100_000).max(slot.used)) * span;
        delta.completions[k] = ended;
        delta.busy[k] = finite(slot.busy_seconds - origin.busy[k]).min(most);
        delta.started[k] = (ended + f64::from(slot.used) - f64::from(origin.used[k])).max(0.0);
    }
    if let (Some(before), Some(after)) = (origin.cpu_seconds.filter(|_| span >= 0.0), report.cpu_seconds) {
        delta.core_seconds = Some(finite(after - before).min(1024.0 * span));
    }
    Some(Advance { next, delta, anew })
}

/// Sums over the pods of one call.
#[derive(Default)]
pub(crate) struct Totals {
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
    /// Empty sums over `seconds`.
    pub(crate) fn over(seconds: f64) -> Self {
        Self {
            seconds,
            ..Self::default()
        }
    }

    pub(crate) fn add(&mut self, delta: &Delta, pod: &PodSample, idle_cores: f64, now: Timestamp) {
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
        let idle = delta.busy.iter().chain(&delta.completions).sum::<f64>() <= 0.0;
        if idle && pod.phase == PodPhase::Ready && pod.ready.is_some_and(|ready| elapsed(now, ready) > 30.0) {
            self.idle_cores.push(cores);
        }
        if let (PodPhase::Ready, Some(capacity)) = (pod.phase, pod.cpu_capacity_cores.filter(|cores| *cores > 0.0)) {
            self.used_cores += cores;
            self.capacity += finite(capacity);
        }
    }

    pub(crate) fn fold_into(self, memory: &mut Memory, workers: &mut Workers) {
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
            note_cpu(memory, used_cores / capacity, seconds);
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
            // CPU per task varies less than time per task, and must follow soon when the work changes.
            let cpu_seconds = ratio(100.0, *rate).max(10.0 * service).clamp(60.0, 1800.0);
            slowest = slowest.max(if busy[k] > 0.0 { cpu_seconds } else { 0.0 });
            if contended && kind.completions >= ENOUGH {
                continue;
            }
            let keep = libm::exp(-seconds / memory_seconds);
            kind.busy = finite(kind.busy * keep + busy[k]);
            kind.completions = finite(kind.completions * keep + completions[k]);
            let recent = &mut memory.transient.recent[k];
            recent.fold(
                ratio(RECENT, *rate).clamp(30.0, 600.0),
                seconds,
                busy[k],
                completions[k],
            );
            if recent.contradicts(kind.busy, kind.completions) {
                (kind.busy, kind.completions) = (recent.busy, recent.completions);
            }
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

impl Recent {
    fn fold(&mut self, memory_seconds: f64, seconds: f64, busy: f64, completions: f64) {
        let keep = libm::exp(-seconds / memory_seconds);
        self.busy = finite(self.busy * keep + busy);
        self.completions = finite(self.completions * keep + completions);
    }

    /// The latest tasks take another time than those before, beyond what chance makes of three times their mean.
    fn contradicts(&self, busy: f64, completions: f64) -> bool {
        let (now, before) = (ratio(self.busy, self.completions), ratio(busy, completions));
        let chance = 1.0 + 3.0 * VARIATION / libm::sqrt(self.completions.max(1.0));
        self.completions >= RECENT / 2.0 && completions >= ENOUGH && (now > before * chance || now * chance < before)
    }
}

/// Smooths CPU use over about 15 s: shorter than a decision matters, longer than one garbage collection.
fn note_cpu(memory: &mut Memory, use_now: f64, seconds: f64) {
    let weight = 1.0 - libm::exp(-seconds.max(1.0) / 15.0);
    let smoothed = memory
        .transient
        .cpu
        .map_or(use_now, |before| before + weight * (use_now - before));
    memory.transient.cpu = Some(finite(smoothed));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ticks` of 5 s in which four tasks of `service` seconds end.
    fn recent(ticks: usize, service: f64) -> Recent {
        let mut recent = Recent::default();
        for _ in 0..ticks {
            recent.fold(50.0, 5.0, 4.0 * service, 4.0);
        }
        recent
    }

    #[test]
    fn another_kind_of_work_is_told_from_chance() {
        let (busy, completions) = (30.0, 300.0);
        assert!(recent(10, 20.0).contradicts(busy, completions), "200 times as long");
        assert!(recent(10, 0.001).contradicts(busy, completions), "a hundredth of it");
        assert!(
            !recent(10, 0.15).contradicts(busy, completions),
            "half as long again: chance"
        );
        assert!(
            !recent(2, 20.0).contradicts(busy, completions),
            "eight tasks tell nothing"
        );
    }
}
