//! When a call to Temporal last ended, whatever its result: a refused call is a sign of life too.
//!
//! Written by the SDK's metrics, which every call of every connection passes, read by `/livez`.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// The end of the last call.
#[derive(Debug)]
pub(crate) struct Calls {
    epoch: Instant,
    /// Milliseconds since `epoch`.
    last: AtomicU64,
}

impl Calls {
    pub(crate) const fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            last: AtomicU64::new(0),
        }
    }

    /// A call has ended.
    pub(crate) fn ended(&self, now: Instant) {
        let since = now.saturating_duration_since(self.epoch).as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        self.last.fetch_max(since, Ordering::Relaxed);
    }

    /// Time since a call ended; before the first one, since the start.
    pub(crate) fn silence(&self, now: Instant) -> Duration {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        now.saturating_duration_since(self.epoch).saturating_sub(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_from_the_last_call_in_whatever_order_they_are_noted() {
        let epoch = Instant::now();
        let after = |seconds| epoch + Duration::from_secs(seconds);
        let calls = Calls::new(epoch);
        assert_eq!(calls.silence(after(7)), Duration::from_secs(7));
        calls.ended(after(20));
        calls.ended(after(10));
        assert_eq!(calls.silence(after(25)), Duration::from_secs(5));
    }
}
