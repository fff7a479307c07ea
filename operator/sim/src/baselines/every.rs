//! A loop with a fixed period.

use crate::scaler::Time;

/// Tolerance for times that were rounded on their way [s].
const ROUNDING: f64 = 1e-6;

/// Due at `first`, then once per period.
#[derive(Clone, Copy, Debug)]
pub(super) struct Every {
    due: Time,
    period: f64,
}

impl Every {
    /// A loop that first runs at `first`; the period is taken as at least 1 ms.
    pub(super) fn new(first: Time, period: f64) -> Self {
        Self {
            due: first,
            period: period.max(1e-3),
        }
    }

    /// When it is due next; after `take(now)` always later than `now`.
    pub(super) fn next(&self) -> Time {
        self.due
    }

    /// Whether it is due by `now`; if so it waits for its next turn. Turns that were missed are not made up for.
    pub(super) fn take(&mut self, now: Time) -> bool {
        if now < self.due - ROUNDING {
            return false;
        }
        let missed = libm::floor((now + ROUNDING - self.due) / self.period).max(0.0);
        self.due += (missed + 1.0) * self.period;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_keeps_its_phase_and_skips_missed_turns() {
        let mut every = Every::new(7.5, 15.0);
        assert!(!every.take(0.0));
        assert!(every.take(7.5));
        assert!(!every.take(7.5));
        assert!((every.next() - 22.5).abs() < 1e-9);
        assert!(every.take(60.0), "late");
        assert!((every.next() - 67.5).abs() < 1e-9);
        assert!(every.take(67.499_999_9), "rounded down on its way");
        assert!((every.next() - 82.5).abs() < 1e-9);
    }
}
