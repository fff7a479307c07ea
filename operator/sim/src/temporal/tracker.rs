//! A rate as the server computes it: tasks of the last 30 s in buckets of 5 s. It lags and it moves in steps; a scaler that
//! reads it has to live with that.

use crate::clock::At;

/// Length of a bucket [s].
const BUCKET: f64 = 5.0;
/// Whole buckets in the mean; one more is filling.
const WHOLE: u32 = 6;
const BUCKETS: usize = WHOLE as usize + 1;

/// Counts tasks and tells their rate.
#[derive(Clone, Debug)]
pub(crate) struct Tracker {
    started: At,
    /// Number of the bucket that is filling, counted from `started`.
    filling: u64,
    buckets: [u64; BUCKETS],
}

impl Tracker {
    pub(crate) fn new(now: At) -> Self {
        Self {
            started: now,
            filling: 0,
            buckets: [0; BUCKETS],
        }
    }

    fn advance(&mut self, now: At) {
        let bucket = libm::floor(now.since(self.started) / BUCKET).max(0.0) as u64;
        let steps = bucket.saturating_sub(self.filling).min(BUCKETS as u64);
        for past in 0..steps {
            *self.bucket(bucket - past) = 0;
        }
        self.filling = self.filling.max(bucket);
    }

    fn bucket(&mut self, number: u64) -> &mut u64 {
        &mut self.buckets[(number % BUCKETS as u64) as usize]
    }

    pub(crate) fn count(&mut self, now: At) {
        self.advance(now);
        *self.bucket(self.filling) += 1;
    }

    /// Tasks per second: over the whole buckets and the one that is filling, or since the queue was loaded.
    pub(crate) fn rate(&mut self, now: At) -> f64 {
        self.advance(now);
        let age = now.since(self.started);
        let in_bucket = age - self.filling as f64 * BUCKET;
        let seconds = age.min(in_bucket + BUCKET * f64::from(WHOLE));
        if seconds <= 0.0 {
            return 0.0;
        }
        self.buckets.iter().sum::<u64>() as f64 / seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_shows_its_rate_from_the_start() {
        let mut tracker = Tracker::new(At::START);
        for step in 1..=1000 {
            let now = At::seconds(f64::from(step) * 0.1);
            tracker.count(now);
            if step > 20 {
                let rate = tracker.rate(now);
                assert!((rate - 10.0).abs() < 0.6, "{rate} at {step}");
            }
        }
    }

    #[test]
    fn a_step_shows_late_and_is_forgotten_after_the_last_bucket() {
        let mut tracker = Tracker::new(At::START);
        for step in 0..100 {
            tracker.count(At::seconds(100.0 + f64::from(step) * 0.1));
        }
        let at = |seconds, tracker: &mut Tracker| tracker.rate(At::seconds(seconds));
        assert!(
            (at(110.0, &mut tracker) - 100.0 / 30.0).abs() < 1e-9,
            "a third of the true rate after 10 s"
        );
        assert!(at(134.9, &mut tracker) > 1.0);
        assert!(at(140.0, &mut tracker).abs() < 1e-12);
    }
}
