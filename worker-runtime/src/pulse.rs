//! The watchdog's pulses: one per worker thread and one of the runtime that activities share, moved every [`BEAT`] by the event loop
//! that they belong to.
//!
//! Workflow code runs on the thread that polls, so a pulse that stands still means that workflow code blocks it, or that the machine
//! gives us no CPU at all. The runtime's stands still when blocking code in `async` activities holds all of its threads. Whether
//! Temporal answers does not matter here: a lost connection must not kill a busy pod.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::executing::{Executing, Run};

/// Time between two beats.
pub(crate) const BEAT: Duration = Duration::from_millis(250);

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
    executing: Executing,
    /// Milliseconds since `epoch`.
    last: AtomicU64,
}

/// A pulse at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Beat {
    pub(crate) thread: String,
    /// Time since the last beat.
    pub(crate) age: Duration,
    /// The workflow whose code runs.
    pub(crate) run: Option<Run>,
}

impl Pulses {
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            all: Mutex::default(),
        }
    }

    /// Starts watching a thread, which executes what `executing` says.
    pub(crate) fn add(&self, name: &str, executing: Executing) -> Arc<Pulse> {
        let pulse = Arc::new(Pulse {
            name: name.to_owned(),
            epoch: self.epoch,
            executing,
            last: AtomicU64::new(0),
        });
        pulse.beat(Instant::now());
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|pulse| pulse.strong_count() > 0);
        all.push(Arc::downgrade(&pulse));
        pulse
    }

    /// All pulses.
    pub(crate) fn all(&self, now: Instant) -> Vec<Beat> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now.saturating_duration_since(self.epoch);
        all.iter()
            .filter_map(Weak::upgrade)
            .map(|pulse| {
                let last = Duration::from_millis(pulse.last.load(Ordering::Relaxed));
                Beat {
                    thread: pulse.name.clone(),
                    age: now.saturating_sub(last),
                    run: pulse.executing.now(),
                }
            })
            .collect()
    }
}

impl Pulse {
    pub(crate) fn beat(&self, now: Instant) {
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
        let pulse = pulses.add("w", Executing::default());
        pulse.beat(epoch + Duration::from_secs(5));
        let beats = pulses.all(epoch + Duration::from_secs(12));
        assert_eq!(
            beats,
            [Beat {
                thread: "w".to_owned(),
                age: Duration::from_secs(7),
                run: None
            }]
        );
        drop(pulse);
        assert!(pulses.all(epoch + Duration::from_mins(1)).is_empty());
    }
}
