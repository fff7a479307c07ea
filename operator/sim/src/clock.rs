//! The clock of the simulated world: nanoseconds since the start, and the queue of what is to happen.
//!
//! Whole nanoseconds, and ties in the order of scheduling: nothing hangs on the order of a heap or on rounding.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::scaler::Time;

const NANOS: f64 = 1e9;

/// A moment: nanoseconds since the start; negative for what was before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct At(i64);

impl At {
    /// The start.
    pub const START: Self = Self(0);

    /// The moment `seconds` after the start, rounded to nanoseconds, saturating at 292 years.
    pub fn seconds(seconds: Time) -> Self {
        Self(libm::round(seconds * NANOS) as i64)
    }

    /// Seconds since the start.
    pub fn as_seconds(self) -> Time {
        self.0 as f64 / NANOS
    }

    /// Nanoseconds since the start.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The moment `seconds` later, never earlier than `self` for a positive number.
    #[must_use]
    pub fn after(self, seconds: f64) -> Self {
        Self(self.0.saturating_add(libm::ceil(seconds * NANOS) as i64))
    }

    /// Seconds from `earlier` until this moment; negative if it is later.
    pub fn since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / NANOS
    }
}

/// What is to happen, in the order of time and then of scheduling.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    heap: BinaryHeap<Reverse<(At, u64, E)>>,
    count: u64,
}

impl<E: Ord> Agenda<E> {
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            count: 0,
        }
    }

    pub(crate) fn add(&mut self, at: At, event: E) {
        self.count += 1;
        self.heap.push(Reverse((at, self.count, event)));
    }

    /// When the next event happens.
    pub(crate) fn next(&self) -> Option<At> {
        self.heap.peek().map(|Reverse((at, _, _))| *at)
    }

    pub(crate) fn pop(&mut self) -> Option<(At, E)> {
        self.heap.pop().map(|Reverse((at, _, event))| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_one_moment_happen_in_the_order_of_scheduling() {
        let mut agenda = Agenda::new();
        for (seconds, name) in [(2.0, 9), (1.0, 8), (2.0, 1), (1.0, 7)] {
            agenda.add(At::seconds(seconds), name);
        }
        let order: Vec<i32> = std::iter::from_fn(|| agenda.pop().map(|(_, name)| name)).collect();
        assert_eq!(order, [8, 7, 9, 1]);
    }

    #[test]
    fn a_moment_after_a_positive_time_is_later() {
        let at = At::seconds(86_400.0);
        assert!(at.after(1e-12) > at);
        assert!((at.after(0.25).since(at) - 0.25).abs() < 1e-9);
    }
}
