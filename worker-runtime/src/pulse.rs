//! The watchdog's pulses: one per worker thread, moved every [`BEAT`] by the thread's own event loop.
//!
//! Workflow code runs on the thread that polls, so a pulse that stands still means that workflow code blocks it, or that the machine
//! gives us no CPU at all. Whether Temporal answers does not matter here: a lost connection must not kill a busy pod.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Time between two beats.
pub(crate) const BEAT: Duration = Duration::from_millis(250);

/// Beyond this age of a pulse the process counts as stuck.
pub(crate) const STUCK: Duration = Duration::from_secs(20);

/// All pulses of the process.
#[derive(Debug)]
pub(crate) struct Pulses {
    epoch: Instant,
    all: Mutex<Vec<Weak<Pulse>>>,
}

/// The pulse of one thread; dropped with the thread, it is no longer watched.
#[derive(Debug)]
pub(crate) struct Pulse {
    name: String,
    epoch: Instant,
    /// Milliseconds since `epoch`.
    last: AtomicU64,
}

impl Pulses {
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            all: Mutex::default(),
        }
    }

    /// Starts watching a thread.
    pub(crate) fn add(&self, name: &str) -> Arc<Pulse> {
        let pulse = Arc::new(Pulse {
            name: name.to_owned(),
            epoch: self.epoch,
            last: AtomicU64::new(0),
        });
        pulse.beat(Instant::now());
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|pulse| pulse.strong_count() > 0);
        all.push(Arc::downgrade(&pulse));
        pulse
    }

    /// Name and age of each pulse.
    pub(crate) fn ages(&self, now: Instant) -> Vec<(String, Duration)> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now.saturating_duration_since(self.epoch);
        all.iter()
            .filter_map(Weak::upgrade)
            .map(|pulse| {
                let last = Duration::from_millis(pulse.last.load(Ordering::Relaxed));
                (pulse.name.clone(), now.saturating_sub(last))
            })
            .collect()
    }
}

impl Pulse {
    fn beat(&self, now: Instant) {
        let since = now.saturating_duration_since(self.epoch).as_millis();
        self.last
            .store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Beats for ever. To be polled beside the work that is watched, on the same thread.
    pub(crate) async fn beat_for_ever(&self) -> std::convert::Infallible {
        loop {
            self.beat(Instant::now());
            tokio::time::sleep(BEAT).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_counts_from_the_last_beat_and_ends_with_the_thread() {
        let epoch = Instant::now();
        let pulses = Pulses::new(epoch);
        let pulse = pulses.add("w");
        pulse.beat(epoch + Duration::from_secs(5));
        assert_eq!(
            pulses.ages(epoch + Duration::from_secs(12)),
            [("w".to_owned(), Duration::from_secs(7))]
        );
        drop(pulse);
        assert!(pulses.ages(epoch + Duration::from_mins(1)).is_empty());
    }
}
