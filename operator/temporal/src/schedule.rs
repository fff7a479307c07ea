//! `Asked`: how often the subscribers of one source want it read. The most impatient one decides.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The intervals that subscribers ask for.
#[derive(Debug)]
pub(crate) struct Asked {
    by: Mutex<HashMap<u64, Duration>>,
    changed: Notify,
    shortest_allowed: Duration,
    jitter: RandomState,
}

impl Asked {
    pub(crate) fn new(shortest_allowed: Duration) -> Self {
        Self {
            by: Mutex::default(),
            changed: Notify::new(),
            shortest_allowed,
            jitter: RandomState::new(),
        }
    }

    /// Subscriber `id` wants a reading per `interval`; a changed mind counts at once.
    pub(crate) fn set(&self, id: u64, interval: Duration) {
        let before = self
            .by
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, interval);
        if before != Some(interval) {
            self.changed.notify_one();
        }
    }

    /// Subscriber `id` is gone.
    pub(crate) fn remove(&self, id: u64) {
        self.by.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.changed.notify_one();
    }

    /// The shortest interval that is asked for, within what is allowed.
    pub(crate) fn interval(&self) -> Duration {
        let by = self.by.lock().unwrap_or_else(PoisonError::into_inner);
        by.values()
            .min()
            .copied()
            .unwrap_or(Duration::from_mins(1))
            .max(self.shortest_allowed)
    }

    /// Sleeps until the reading after the one of `last` is due: up to a tenth early, so that sources drift apart and never come
    /// later than asked. `at_most` bounds the interval (retries after a failure).
    pub(crate) async fn due(&self, last: Instant, turn: u64, at_most: Option<Duration>) {
        let early = f64::from(u16::try_from(self.jitter.hash_one(turn) & 0xffff).unwrap_or(0)) / 655_350.0;
        loop {
            let interval = self.interval();
            let interval = at_most.map_or(interval, |at_most| at_most.min(interval));
            tokio::select! {
                () = tokio::time::sleep_until(last + interval.mul_f64(1.0 - early)) => return,
                () = self.changed.notified() => {}
            }
        }
    }
}
