//! The rate limit of a queue: a bucket of one second's tasks that refills steadily.

use crate::clock::At;

/// Tasks that may go at once, as seconds of the limit.
const BURST: f64 = 1.0;

/// A limit of dispatches per second.
#[derive(Clone, Debug)]
pub(crate) struct RateLimit {
    /// Seconds per task.
    interval: f64,
    /// When the bucket will be full again.
    full: At,
}

impl RateLimit {
    pub(crate) fn new(per_second: f64) -> Self {
        Self {
            interval: 1.0 / per_second.max(1e-6),
            full: At::START,
        }
    }

    /// Takes one task's share, or says when there will be one.
    pub(crate) fn take(&mut self, now: At) -> Result<(), At> {
        let ahead = self.full.since(now).max(0.0) + self.interval - BURST.max(self.interval);
        // Whole nanoseconds round up: what is a nanosecond short is there.
        if ahead > 1e-9 {
            return Err(now.after(ahead));
        }
        self.full = self.full.max(now).after(self.interval);
        Ok(())
    }

    /// No task may go now.
    pub(crate) fn exhausted(&self, now: At) -> bool {
        self.full.since(now) + self.interval - BURST.max(self.interval) > 1e-9
    }
}
