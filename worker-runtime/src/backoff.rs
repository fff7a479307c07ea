//! Growing pauses between attempts, spread by chance so that pods do not try all at once.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Doubles from the first pause up to the longest.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    pause: Duration,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            pause: first,
        }
    }

    /// The next pause: 50 to 100 % of the present one.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(self.longest);
        // The low digits of the clock differ between pods; no better chance is needed.
        #[expect(clippy::disallowed_methods, reason = "a source of chance, not of time")]
        let nanos = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.subsec_nanos());
        pause.mul_f64(0.5 + f64::from(nanos % 1_000) / 2_000.0)
    }

    /// Begins anew after a success.
    pub(crate) const fn reset(&mut self) {
        self.pause = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_begin_anew() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(first, longest);
        let last = (0..8).map(|_| backoff.next()).last().unwrap_or_default();
        assert!(last >= longest / 2 && last <= longest, "{last:?}");
        backoff.reset();
        assert!(backoff.next() <= first);
    }
}
