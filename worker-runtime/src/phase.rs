//! Where the pod is in its life: serving, draining, drained. There is no way back.
//!
//! Both a `Drain` of the operator and the ending of the process lead from serving to draining; who needs to know of it reads or
//! waits here. Never here: what draining does (that is `drain`), nor any deadline.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// A part of the pod's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Takes tasks, or will as soon as it is connected.
    Serving,
    /// Takes no new task.
    Draining { since: Instant },
    /// Nothing is left to do.
    Drained { took: Duration },
}

/// The phase of this moment, and who waits for the next.
#[derive(Debug)]
pub(crate) struct Phases {
    now: watch::Sender<Phase>,
    asked: CancellationToken,
}

impl Phases {
    pub(crate) fn new() -> Self {
        Self {
            now: watch::Sender::new(Phase::Serving),
            asked: CancellationToken::new(),
        }
    }

    pub(crate) fn get(&self) -> Phase {
        *self.now.borrow()
    }

    /// Tells of each change from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Phase> {
        self.now.subscribe()
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.get() == Phase::Serving
    }

    /// No new task from now on, without a deadline: the operator asks for it. The pod is not ready from this moment.
    pub(crate) fn ask_to_drain(&self, now: Instant) {
        self.begin(now);
        self.asked.cancel();
    }

    /// Waits until the operator has asked for a drain.
    pub(crate) async fn asked_to_drain(&self) {
        self.asked.cancelled().await;
    }

    /// No new task from now on.
    pub(crate) fn begin(&self, now: Instant) {
        self.now.send_if_modified(|phase| {
            let serving = *phase == Phase::Serving;
            if serving {
                *phase = Phase::Draining { since: now };
            }
            serving
        });
    }

    /// Nothing is left to do.
    pub(crate) fn end(&self, now: Instant) {
        self.begin(now);
        self.now.send_if_modified(|phase| {
            let Phase::Draining { since } = *phase else {
                return false;
            };
            *phase = Phase::Drained {
                took: now.saturating_duration_since(since),
            };
            true
        });
    }
}

impl Phase {
    /// Time since draining began, or that it took; `None` before.
    pub(crate) fn elapsed(self, now: Instant) -> Option<Duration> {
        match self {
            Self::Serving => None,
            Self::Draining { since } => Some(now.saturating_duration_since(since)),
            Self::Drained { took } => Some(took),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn life_goes_one_way_and_a_second_request_changes_nothing() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let phases = Phases::new();
        assert_eq!(phases.get().elapsed(after(9)), None);
        phases.ask_to_drain(after(10));
        phases.ask_to_drain(after(20));
        assert_eq!(phases.get(), Phase::Draining { since: after(10) });
        assert_eq!(phases.get().elapsed(after(30)), Some(Duration::from_secs(20)));
        phases.end(after(40));
        phases.begin(after(50));
        phases.end(after(60));
        assert_eq!(phases.get().elapsed(after(70)), Some(Duration::from_secs(30)));
    }

    #[test]
    fn only_a_change_wakes_who_waits() {
        let (phases, now) = (Phases::new(), Instant::now());
        let mut changes = phases.subscribe();
        phases.begin(now);
        assert!(changes.has_changed().expect("open"));
        changes.mark_unchanged();
        phases.begin(now);
        assert!(!changes.has_changed().expect("open"));
    }
}
