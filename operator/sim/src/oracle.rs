//! The oracle: the smallest fleet that meets the objective at every moment, for one that knows the true load, and whose pods are
//! Ready when they are needed. A lower bound at the same latency and the same CPU target, not a competitor: a fleet that runs
//! hotter than the target, or lets tasks wait longer, may cost less.
//!
//! The load at a moment is what would be running if no task ever waited, averaged over a slice of time. From there the staffing
//! is that of the law: slots for the objective, pods for the CPU target.

use crate::erlang;
use crate::load::Streams;
use crate::scaler::{Ending, Scaler, Seen, Time};
use crate::scenario::{Kind, Scenario};

/// Length of a slice [s].
const SLICE: f64 = 30.0;
/// The CPU target.
const CPU: f64 = 0.8;

/// Sizes over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Oracle {
    sizes: Vec<u32>,
    duration: f64,
}

impl Oracle {
    /// Computes the sizes for the tasks of a run.
    pub fn new(scenario: &Scenario, streams: &Streams) -> Self {
        let duration = scenario.duration_seconds;
        let slices = libm::ceil(duration / SLICE) as usize;
        let mut busy = vec![vec![0.0; slices]; scenario.kinds.len()];
        let mut service = vec![(0.0, 0.0); scenario.kinds.len()];
        for arrival in &streams.arrivals {
            let kind = usize::from(arrival.kind);
            if let (Some(busy), Some((sum, count))) = (busy.get_mut(kind), service.get_mut(kind)) {
                *sum += arrival.service;
                *count += 1.0;
                spread(busy, arrival.at.as_seconds(), arrival.service);
            }
        }
        let means: Vec<f64> = service
            .iter()
            .map(|(sum, count)| if *count > 0.0 { sum / count } else { 0.0 })
            .collect();
        let sizes = (0..slices).map(|slice| {
            let load = scenario.kinds.iter().zip(&means).zip(&busy);
            let load = load.map(|((kind, mean), busy)| (kind, *mean, busy.get(slice).copied().unwrap_or(0.0)));
            size(scenario, load)
        });
        Self {
            sizes: sizes.collect(),
            duration,
        }
    }

    /// What it costs [pod-h].
    pub fn pod_hours(&self) -> f64 {
        let length = |slice: usize| (self.duration - slice as f64 * SLICE).min(SLICE);
        let pod_seconds: f64 = self
            .sizes
            .iter()
            .enumerate()
            .map(|(slice, size)| f64::from(*size) * length(slice))
            .sum();
        pod_seconds / 3600.0
    }

    /// The size at a time.
    pub fn at(&self, time: Time) -> u32 {
        let slice = libm::floor(time / SLICE + 1e-9).max(0.0) as usize;
        self.sizes.get(slice).or(self.sizes.last()).copied().unwrap_or(0)
    }
}

/// Adds the mean busy slots of a task that runs from `from` for `seconds`.
fn spread(busy: &mut [f64], from: f64, seconds: f64) {
    let until = from + seconds;
    let mut slice = libm::floor(from / SLICE).max(0.0) as usize;
    while let Some(mean) = busy.get_mut(slice) {
        let (start, end) = (slice as f64 * SLICE, (slice + 1) as f64 * SLICE);
        *mean += (until.min(end) - from.max(start)).max(0.0) / SLICE;
        if until <= end {
            break;
        }
        slice += 1;
    }
}

fn size<'a>(scenario: &Scenario, load: impl Iterator<Item = (&'a Kind, f64, f64)>) -> u32 {
    let cores = scenario.pods.cores;
    let late = 1.0 - scenario.objective.percentile / 100.0;
    let (mut by_slots, mut by_cpu) = (0.0_f64, 0.0);
    for (kind, service, busy) in load {
        let slots = f64::from(kind.slots);
        let at_full_speed = if kind.cores > 0.0 { cores / kind.cores } else { slots };
        let needed = if at_full_speed < slots {
            // A task starts while a slot is free, and there are more than the CPU can keep busy.
            busy / 0.95
        } else {
            f64::from(erlang::slots(busy, service.max(1e-6), scenario.objective.seconds, late))
        };
        by_slots = by_slots.max(needed / slots.min(at_full_speed));
        by_cpu += busy * kind.cores;
    }
    let pods = by_slots.max(by_cpu / (CPU * cores - scenario.pods.idle_cores).max(0.05 * cores));
    (libm::ceil(pods - 1e-9) as u32).clamp(scenario.bounds.min, scenario.bounds.max)
}

impl Scaler for Oracle {
    fn name(&self) -> &'static str {
        "oracle"
    }

    fn ending(&self) -> Ending {
        Ending {
            grace_seconds: self.duration,
            idle_first: true,
            quarantine: true,
        }
    }

    fn next(&self, now: Time) -> Time {
        (libm::floor(now / SLICE + 1e-9) + 1.0) * SLICE
    }

    fn look(&mut self, seen: &Seen) -> Option<u32> {
        Some(self.at(seen.now)).filter(|size| *size != seen.replicas)
    }

    fn calls(&self, _: &Seen) -> u32 {
        0
    }
}
