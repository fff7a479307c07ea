//! The owner's size for a fleet whose server says nothing for long. Unknown is not idle: it never makes a fleet smaller.

use jiff::{SignedDuration, Timestamp};

use crate::memory::Memory;
use crate::num::{elapsed, ratio, seconds};
use crate::policy::{Fallback, Policy};

/// Keeps the count of failed reads, and tells whether the fallback counts. A read is due in each `interval`, and one that is late for
/// less is none that failed: an operator that has just begun knows nothing yet. Faster ones while the fleet is busy make no difference.
pub(crate) fn advance(
    policy: &Policy,
    memory: &mut Memory,
    known: bool,
    interval: SignedDuration,
    now: Timestamp,
) -> Option<Fallback> {
    if known {
        memory.transient.blind_since = None;
        return None;
    }
    let since = *memory.transient.blind_since.get_or_insert(now);
    let failed = libm::floor(ratio(elapsed(now, since), seconds(interval)));
    policy
        .fallback
        .filter(|fallback| failed >= f64::from(fallback.failures))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_after_as_many_failed_reads_and_until_one_succeeds() {
        let policy = Policy {
            fallback: Some(Fallback {
                replicas: 5,
                failures: 3,
                fixed: false,
            }),
            ..Policy::new(1, 10).expect("valid")
        };
        let mut memory = Memory::default();
        let mut counts = |second: i64, known: bool| {
            let now = Timestamp::from_second(second).expect("a time");
            advance(&policy, &mut memory, known, SignedDuration::from_secs(15), now).is_some()
        };
        assert!(!counts(0, false));
        assert!(!counts(5, false), "faster reads do not count twice");
        assert!(!counts(44, false));
        assert!(counts(45, false));
        assert!(!counts(50, true));
        assert!(!counts(55, false), "it begins anew");
        assert!(!counts(20, false), "a clock that goes back is no failure");
    }

    #[test]
    fn what_is_not_read_yet_is_no_failure() {
        let policy = Policy {
            fallback: Some(Fallback {
                replicas: 5,
                failures: 1,
                fixed: true,
            }),
            ..Policy::new(1, 10).expect("valid")
        };
        let mut memory = Memory::default();
        let mut counts = |second: i64| {
            let now = Timestamp::from_second(second).expect("a time");
            advance(&policy, &mut memory, false, SignedDuration::from_secs(15), now).is_some()
        };
        assert!(!counts(0), "the operator has just begun");
        assert!(!counts(14));
        assert!(counts(15));
    }
}
