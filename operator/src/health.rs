//! Liveness and readiness. Live is "still receiving", not "still running": each watch is answered at least every 65 s, as it is
//! opened anew after a minute of silence. Ready is "has seen everything once"; a process that does not lead is ready too.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A watch that was not answered for so long is dead.
const WATCH_SILENCE: Duration = Duration::from_secs(90);
/// A pass that takes so long is stuck.
const PASS_LIMIT: Duration = Duration::from_secs(120);

/// What the probes ask.
pub struct Health(Mutex<State>);

struct State {
    started: Instant,
    /// Paths of watches, and when the server answered each last.
    watches: BTreeMap<String, Instant>,
    watching: bool,
    /// Stores that are not filled yet, by what they hold.
    unfilled: Vec<String>,
    passes: BTreeMap<u64, (String, Instant)>,
    next_pass: u64,
    stopping: bool,
}

/// A pass that runs; it ends with this value.
pub struct Running<'a> {
    health: &'a Health,
    id: u64,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.health.lock().passes.remove(&self.id);
    }
}

impl Default for Health {
    fn default() -> Self {
        Self(Mutex::new(State {
            started: Instant::now(),
            watches: BTreeMap::new(),
            watching: false,
            unfilled: vec!["the watches have not begun".to_owned()],
            passes: BTreeMap::new(),
            next_pass: 0,
            stopping: false,
        }))
    }
}

impl Health {
    /// The watches begin; these stores are to be filled.
    pub fn watching(&self, stores: Vec<String>) {
        let mut state = self.lock();
        state.watching = true;
        state.unfilled = stores;
    }

    /// The API server answered a watch at `path`, in whatever way.
    pub fn answered(&self, path: &str) {
        self.lock().watches.insert(path.to_owned(), Instant::now());
    }

    /// A store has seen everything once.
    pub fn filled(&self, store: &str) {
        self.lock().unfilled.retain(|name| name != store);
    }

    /// The process ends: no traffic, no new work.
    pub fn stopping(&self) {
        self.lock().stopping = true;
    }

    /// A pass over `what` begins.
    pub fn pass(&self, what: impl Into<String>) -> Running<'_> {
        let mut state = self.lock();
        let id = state.next_pass;
        state.next_pass += 1;
        state.passes.insert(id, (what.into(), Instant::now()));
        Running { health: self, id }
    }

    /// Why the process is not alive, if it is not.
    pub fn not_live(&self) -> Option<String> {
        let state = self.lock();
        let stuck = state.passes.values().find(|(_, since)| since.elapsed() > PASS_LIMIT);
        if let Some((what, since)) = stuck {
            return Some(format!("a pass over {what} runs for {} s", since.elapsed().as_secs()));
        }
        if state.watching && !state.stopping && state.started.elapsed() > WATCH_SILENCE {
            let silent = state.watches.iter().find(|(_, at)| at.elapsed() > WATCH_SILENCE);
            if let Some((path, at)) = silent {
                return Some(format!(
                    "the watch of {path} was not answered for {} s",
                    at.elapsed().as_secs()
                ));
            }
        }
        None
    }

    /// Why the process is not ready, if it is not.
    pub fn not_ready(&self) -> Option<String> {
        let state = self.lock();
        if state.stopping {
            return Some("the process is ending".to_owned());
        }
        (!state.unfilled.is_empty()).then(|| format!("waiting for: {}", state.unfilled.join(", ")))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_watch_and_a_stuck_pass_are_not_alive() {
        let health = Health::default();
        health.watching(vec!["pods".into()]);
        health.answered("/api/v1/pods");
        assert_eq!(health.not_live(), None);
        tokio::time::advance(Duration::from_secs(91)).await;
        assert!(health.not_live().is_some_and(|why| why.contains("/api/v1/pods")));
        health.answered("/api/v1/pods");
        let pass = health.pass("shop/billing");
        tokio::time::advance(Duration::from_secs(60)).await;
        health.answered("/api/v1/pods");
        assert_eq!(health.not_live(), None);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(health.not_live().is_some_and(|why| why.contains("shop/billing")));
        drop(pass);
        assert_eq!(health.not_live(), None);
    }

    #[test]
    fn ready_is_having_seen_everything_once_and_not_ending() {
        let health = Health::default();
        assert!(health.not_ready().is_some());
        health.watching(vec!["pods".into(), "fleets".into()]);
        health.filled("pods");
        assert_eq!(health.not_ready().as_deref(), Some("waiting for: fleets"));
        health.filled("fleets");
        assert_eq!(health.not_ready(), None);
        health.stopping();
        assert!(health.not_ready().is_some());
    }
}
