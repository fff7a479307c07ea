//! Baselines of the pods' counters and of their latency counts. A copy of the memory shares them, as each call makes new ones; and
//! pods mostly come in the order of the last call, so that a baseline is found where the last one ended.

use std::sync::Arc;

use crate::memory::PodBaseline;

/// All baselines of one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Baselines {
    pub(crate) pods: Vec<PodBaseline>,
    /// Latency counts of all pods, one block each (`PodBaseline::block`).
    pub(crate) latency_counts: Vec<u64>,
}

impl Baselines {
    /// Drops all latency counts.
    pub(crate) fn forget_latency(shared: &mut Arc<Self>) {
        let own = Arc::make_mut(shared);
        own.latency_counts.clear();
        for pod in &mut own.pods {
            pod.block = None;
        }
    }

    /// The latency counts of a pod, in blocks of `size`.
    pub(crate) fn block(&self, base: &PodBaseline, size: usize) -> Option<&[u64]> {
        let begin = base.block? as usize * size;
        self.latency_counts.get(begin..begin + size)
    }
}

/// Finds baselines, fastest in their own order.
pub(crate) struct Lookup<'a> {
    pods: &'a [PodBaseline],
    next: usize,
    /// Where a pod's baseline is, ascending by `uid`; made when the order has changed.
    places: Option<Vec<(u64, u32)>>,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(pods: &'a [PodBaseline]) -> Self {
        Self {
            pods,
            next: 0,
            places: None,
        }
    }

    /// The baseline of a pod.
    pub(crate) fn find(&mut self, uid: u64) -> Option<&'a PodBaseline> {
        let pods = self.pods;
        if let Some(base) = pods.get(self.next).filter(|base| base.uid == uid) {
            self.next += 1;
            return Some(base);
        }
        let places = self.places.get_or_insert_with(|| {
            let mut places: Vec<(u64, u32)> = pods.iter().zip(0..).map(|(pod, place)| (pod.uid, place)).collect();
            places.sort_unstable();
            places
        });
        let found = places.partition_point(|(known, _)| *known < uid);
        let (_, place) = places.get(found).filter(|(known, _)| *known == uid)?;
        self.next = *place as usize + 1;
        pods.get(*place as usize)
    }
}

/// A pod's name in the baselines: the same on every machine. Eight bytes at a time, and each step can be undone, so that names
/// that differ in one place never meet.
pub(crate) fn hash(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ text.len() as u64;
    for chunk in text.as_bytes().chunks(8) {
        let word = chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 32;
    }
    hash
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;

    use super::*;

    fn pods(uids: &[u64]) -> Vec<PodBaseline> {
        let of = |uid: &u64| PodBaseline {
            uid: *uid,
            at: Timestamp::UNIX_EPOCH,
            started: Timestamp::UNIX_EPOCH,
            used: [0; 4],
            completions: [0; 4],
            busy: [0.0; 4],
            cpu_seconds: None,
            block: None,
        };
        uids.iter().map(of).collect()
    }

    #[test]
    fn baselines_are_found_in_any_order() {
        let pods = pods(&[7, 3, 9, 1]);
        for order in [[7, 3, 9, 1], [1, 9, 3, 7], [7, 9, 3, 1]] {
            let mut lookup = Lookup::new(&pods);
            let found = order.map(|uid| lookup.find(uid).map(|base| base.uid));
            assert_eq!(found, order.map(Some));
        }
        let mut lookup = Lookup::new(&pods);
        assert_eq!(
            [7, 8, 3, 0, 9].map(|uid| lookup.find(uid).is_some()),
            [true, false, true, false, true]
        );
    }

    #[test]
    fn names_of_pods_do_not_meet() {
        let names = |number: u32| {
            [
                format!("uid-{number}"),
                format!("0f8b1c52-6f0e-4b58-9d3c-{number:012x}"),
                format!("{number:08x}-6f0e-4b58-9d3c-0123456789ab"),
            ]
        };
        let hashes: BTreeSet<u64> = (0..20_000).flat_map(names).map(|name| hash(&name)).collect();
        assert_eq!(hashes.len(), 60_000);
    }
}
