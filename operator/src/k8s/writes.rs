//! The count of writes to the API server, and the crash that a test asks for after a number of them.
//!
//! A controller must converge from any prefix of its writes. The counter makes each prefix reachable: the process aborts right
//! after the n-th write, without unwinding, as a killed container would. Renewals of the Lease are not counted: they
//! depend on the clock, and would move the crash about.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Counts writes; clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    done: Arc<AtomicU64>,
    crash_after: Option<u64>,
}

impl Writes {
    /// A counter that aborts the process after write number `crash_after`, if given. 0 is never reached: a process that
    /// must not write at all is started without leading.
    pub fn new(crash_after: Option<u64>) -> Self {
        Self {
            done: Arc::default(),
            crash_after,
        }
    }

    /// Writes counted so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Counts one write.
    pub(crate) fn count(&self) {
        if self.count_is_last() {
            tracing::error!(writes = self.done(), "ending here, as asked by --crash-after-writes");
            std::process::abort();
        }
    }

    fn count_is_last(&self) -> bool {
        let done = self.done.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        self.crash_after == Some(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_after_exactly_the_nth_write_and_clones_share_the_count() {
        let writes = Writes::new(Some(3));
        let clone = writes.clone();
        assert!(!writes.count_is_last());
        assert!(!clone.count_is_last());
        assert!(writes.count_is_last());
        assert_eq!(clone.done(), 3);
        assert!(!clone.count_is_last(), "only the third");
    }

    #[test]
    fn never_ends_unasked() {
        let writes = Writes::default();
        assert!((0..1000).all(|_| !writes.count_is_last()));
    }
}
