//! Memory of the pods: what an idle one holds, and what each busy slot adds to it. A line through (busy slots, memory) of all pods
//! over the last half hour: pods that are loaded differently, or a load that changes, tell the two apart. Until either happened all
//! memory is put down to the busy slots, which asks for more rather than for less and ends when the size has changed once.
//!
//! Nothing of it is persisted: after a restart it is known again within a minute, long before a fleet may shrink.

use jiff::{SignedDuration, Timestamp};

use crate::memory::Memory;
use crate::num::{elapsed, finite, seconds};
use crate::{PodPhase, Sample};

/// How long a figure counts [s].
const KEEP: f64 = 1800.0;
/// Pod-seconds from which on the line is trusted.
const ENOUGH: f64 = 60.0;
/// Variance of the busy slots that tells an idle pod's share from a slot's [slots²].
const SPREAD: f64 = 0.25;
/// A pod that became Ready less long ago still loads what it always holds [s].
const SETTLED: f64 = 30.0;
const MIB: f64 = 1_048_576.0;

/// Sums over pods and time, decayed together; slots are busy ones, memory is in MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sums {
    /// Pod-seconds.
    weight: f64,
    slots: f64,
    mib: f64,
    slots_slots: f64,
    slots_mib: f64,
    /// Memory that a pod may use; 0 if unknown.
    capacity: f64,
}

/// What a pod holds in memory [MiB].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Footprint {
    /// Limit, else request.
    pub(crate) capacity: f64,
    /// An idle pod.
    pub(crate) base: f64,
    /// Each busy slot besides.
    pub(crate) per_slot: f64,
}

/// Folds what the pods hold now into the memory. Returns their mean use as a share of what they may use; `None` if no pod tells.
pub(crate) fn observe(memory: &mut Memory, sample: &Sample, interval: SignedDuration, now: Timestamp) -> Option<f64> {
    let span = memory
        .transient
        .last
        .map_or(0.0, |last| elapsed(now, last).clamp(0.0, 60.0));
    let sums = &mut memory.transient.footprint;
    sums.decay(libm::exp(-span / KEEP));
    let (mut held, mut room, mut least) = (0.0, 0.0, f64::INFINITY);
    for pod in sample.pods.iter().filter(|pod| pod.phase == PodPhase::Ready) {
        let report = pod.report.known();
        let report = report.filter(|report| elapsed(now, report.at) <= 3.0 * seconds(interval));
        let own = report.and_then(|report| report.memory_bytes).map(|bytes| bytes as f64);
        let capacity = pod.memory_capacity_bytes.map(finite).filter(|bytes| *bytes > 0.0);
        let (Some(bytes), Some(capacity)) = (own.or(pod.memory_bytes).map(finite), capacity) else {
            continue;
        };
        held += bytes;
        room += capacity;
        least = capacity.min(least);
        let settled = pod.ready.is_some_and(|ready| elapsed(now, ready) > SETTLED);
        if let Some(report) = report.filter(|_| settled) {
            let busy = report.slots.iter().map(|slot| f64::from(slot.used)).sum();
            sums.add(span, busy, bytes / MIB);
        }
    }
    if room <= 0.0 {
        return None;
    }
    sums.capacity = least / MIB;
    Some(held / room)
}

/// What is known of a pod's memory; `None` before enough was seen.
pub(crate) fn estimate(memory: &Memory) -> Option<Footprint> {
    let Sums {
        weight,
        slots,
        mib,
        slots_slots,
        slots_mib,
        capacity,
    } = memory.transient.footprint;
    if weight < ENOUGH || capacity <= 0.0 {
        return None;
    }
    let (slots, mib) = (slots / weight, mib / weight);
    let variance = slots_slots / weight - slots * slots;
    let per_slot = if variance >= SPREAD {
        ((slots_mib / weight - slots * mib) / variance).max(0.0)
    } else if slots >= 1.0 {
        f64::INFINITY
    } else {
        0.0
    };
    // No line crosses below nothing.
    let per_slot = if per_slot * slots > mib { mib / slots } else { per_slot };
    Some(Footprint {
        capacity,
        base: finite(mib - per_slot * slots),
        per_slot: finite(per_slot),
    })
}

impl Sums {
    fn decay(&mut self, keep: f64) {
        self.weight *= keep;
        self.slots *= keep;
        self.mib *= keep;
        self.slots_slots *= keep;
        self.slots_mib *= keep;
    }

    fn add(&mut self, weight: f64, slots: f64, mib: f64) {
        self.weight += weight;
        self.slots += weight * slots;
        self.mib += weight * mib;
        self.slots_slots += weight * slots * slots;
        self.slots_mib += weight * slots * mib;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of pods that hold 100 MiB and 10 for each busy slot, each seen for a minute.
    fn of(busy: &[f64]) -> Footprint {
        let mut memory = Memory::default();
        memory.transient.footprint.capacity = 512.0;
        for slots in busy {
            memory.transient.footprint.add(60.0, *slots, 100.0 + 10.0 * slots);
        }
        estimate(&memory).expect("enough was seen")
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn pods_with_other_loads_tell_a_slots_share_from_an_idle_pods() {
        let footprint = of(&[2.0, 8.0, 14.0]);
        assert!(
            close(footprint.base, 100.0) && close(footprint.per_slot, 10.0),
            "{footprint:?}"
        );
    }

    #[test]
    fn under_one_load_all_is_put_down_to_the_slots_and_of_idle_pods_nothing() {
        let loaded = of(&[10.0, 10.0]);
        assert!(close(loaded.base, 0.0) && close(loaded.per_slot, 20.0), "{loaded:?}");
        let idle = of(&[0.0, 0.0]);
        assert!(close(idle.base, 100.0) && close(idle.per_slot, 0.0), "{idle:?}");
    }

    #[test]
    fn memory_that_falls_with_the_load_is_none_of_the_slots() {
        let mut memory = Memory::default();
        memory.transient.footprint.capacity = 512.0;
        for slots in [0.0, 10.0] {
            memory.transient.footprint.add(60.0, slots, 300.0 - 10.0 * slots);
        }
        let footprint = estimate(&memory).expect("enough was seen");
        assert!(
            close(footprint.per_slot, 0.0) && close(footprint.base, 250.0),
            "{footprint:?}"
        );
    }

    #[test]
    fn too_little_is_nothing() {
        let mut memory = Memory::default();
        memory.transient.footprint.capacity = 512.0;
        memory.transient.footprint.add(30.0, 5.0, 100.0);
        assert_eq!(estimate(&memory), None);
    }
}
