//! `Gate`: one per (endpoint, Temporal namespace). A failure that every caller would meet closes it; after a while one caller may
//! try for all. So a refused credential costs one call per half minute, not one per queue.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleet_core::Class;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::Error;

/// Pause after refused credentials.
const DENIED: Duration = Duration::from_secs(30);
/// Longest pause after any other failure; the first is a second, then it doubles.
const OTHER: Duration = Duration::from_secs(10);

/// Keeps all callers of one Temporal namespace away from a failure that they share.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    /// Rings when the gate opens.
    opened: Notify,
}

#[derive(Debug, Default)]
struct State {
    closed: Option<Closed>,
    failures: u32,
    /// Somebody tries for all.
    probing: bool,
}

/// Why and how long a gate is closed.
#[derive(Clone, Debug)]
pub(crate) struct Closed {
    /// The failure that closed it.
    pub(crate) error: Arc<Error>,
    /// When somebody may try.
    pub(crate) until: Instant,
}

impl Gate {
    /// Why a caller would be turned away now.
    pub(crate) fn closed(&self, now: Instant) -> Option<Closed> {
        let state = self.state();
        state
            .closed
            .clone()
            .filter(|closed| state.probing || now < closed.until)
    }

    /// Lets a caller pass, if the gate is open or the caller is the one who tries for all.
    pub(crate) fn enter(&self, now: Instant) -> Result<Pass<'_>, Closed> {
        let mut state = self.state();
        match &state.closed {
            None => Ok(Pass {
                gate: self,
                probe: false,
            }),
            Some(closed) if state.probing || now < closed.until => Err(closed.clone()),
            Some(_) => {
                state.probing = true;
                Ok(Pass {
                    gate: self,
                    probe: true,
                })
            }
        }
    }

    /// Returns when the gate has opened, or somebody may try.
    pub(crate) async fn wait(&self, closed: &Closed) {
        let opened = self.opened.notified();
        tokio::pin!(opened);
        opened.as_mut().enable();
        // Opened between the caller's look and now?
        if self.state().closed.is_none() {
            return;
        }
        // Never a busy loop: while a probe is under way its outcome is waited for, at most as long as a pause.
        let until = if Instant::now() < closed.until {
            closed.until
        } else {
            Instant::now() + OTHER
        };
        tokio::select! {
            () = opened => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave to make one call. Its end reports the outcome; dropped without one, it was no attempt.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    gate: &'a Gate,
    probe: bool,
}

impl Pass<'_> {
    /// The call came back.
    pub(crate) fn finish(self, failure: Option<&Arc<Error>>, now: Instant) {
        let mut state = self.gate.state();
        match failure.filter(|error| error.concerns_all()) {
            None => {
                let was_closed = state.closed.take().is_some();
                state.failures = 0;
                if was_closed {
                    self.gate.opened.notify_waiters();
                }
            }
            // Calls that were under way together count once.
            Some(_) if state.closed.is_some() && !self.probe => {}
            Some(error) => {
                let pause = if error.class() == Class::Denied {
                    DENIED
                } else {
                    Duration::from_secs(1 << state.failures.min(4)).min(OTHER)
                };
                state.failures = state.failures.saturating_add(1);
                state.closed = Some(Closed {
                    error: Arc::clone(error),
                    until: now + pause,
                });
            }
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.gate.state().probing = false;
            self.gate.opened.notify_waiters();
        }
    }
}
