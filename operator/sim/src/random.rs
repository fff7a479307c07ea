//! Randomness: one independent, portable generator per purpose, all from one seed. What one purpose draws never shifts what
//! another one draws: that is how all scalers meet the same arrivals, service times and pod starts.

use rand::SeedableRng;
use rand_pcg::Pcg64;

/// What numbers are drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The course of the rate: noise, on and off times.
    Rate,
    /// Arrivals of the kind of tasks with this index.
    Arrivals(usize),
    /// Service times of the kind of tasks with this index.
    Service(usize),
    /// Start times, nodes and identities of pods, in the order of their creation.
    Pods,
    /// Which of several free pods a task goes to.
    Matching,
    /// Samples that are lost.
    Observation,
}

impl Purpose {
    fn number(self) -> u64 {
        match self {
            Self::Rate => 1,
            Self::Pods => 2,
            Self::Matching => 3,
            Self::Observation => 4,
            Self::Arrivals(kind) => 100 + kind as u64,
            Self::Service(kind) => 10_000 + kind as u64,
        }
    }
}

/// The generator of a purpose.
pub(crate) fn generator(seed: u64, purpose: Purpose) -> Pcg64 {
    Pcg64::seed_from_u64(mixed(seed ^ mixed(purpose.number())))
}

/// A bijection that spreads neighbouring numbers (the finaliser of `SplitMix64`).
pub(crate) fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn purposes_do_not_share_their_numbers() {
        let first = |purpose| generator(7, purpose).random::<u64>();
        let draws = [
            Purpose::Rate,
            Purpose::Pods,
            Purpose::Arrivals(0),
            Purpose::Arrivals(1),
            Purpose::Service(0),
        ]
        .map(first);
        for (index, draw) in draws.iter().enumerate() {
            assert!(!draws[..index].contains(draw));
        }
        assert_eq!(first(Purpose::Rate), draws[0], "and the same seed draws the same");
    }
}
