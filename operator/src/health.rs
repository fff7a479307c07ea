//! Liveness and readiness. Live is "still receiving", not "still running": each watch is answered at least every 65 s, as it is
//! opened anew after a minute of silence. Ready is "has seen everything once"; a process that does not lead is ready too.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A watch that was not answered for so long is dead.
const WATCH_SILENCE: Duration = Duration::from_secs(90);
/// A pass that takes so long is stuck.
const PASS_LIMIT: Duration = Duration::from_mins(2);

/// Groups of the kinds that an administrator installs with the operator.
const OURS: [&str; 1] = [".temporal-fleet.dev"];

/// What the probes ask.
pub struct Health(Mutex<State>);

struct State {
    started: Instant,
    /// Paths of watches, when the server answered each last, and with what.
    watches: BTreeMap<String, (Instant, Option<u16>)>,
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

    /// The API server answered a request at `path`, in whatever way, or could not be reached: what counts is that somebody asks.
    /// A watch begins with a list at its path, so lists count where there is a watch, and where they show that a kind is missing.
    pub fn answered(&self, path: &str, watch: bool, code: Option<u16>) {
        let mut state = self.lock();
        let missing_kind = !watch && code == Some(404) && OURS.iter().any(|group| resource(path).ends_with(group));
        if watch || missing_kind || state.watches.contains_key(path) {
            state.watches.insert(path.to_owned(), (Instant::now(), code));
        }
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
            let silent = state.watches.iter().find(|(_, (at, _))| at.elapsed() > WATCH_SILENCE);
            if let Some((path, (at, _))) = silent {
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
        let missing = state.watches.iter().find(|(_, (_, code))| *code == Some(404));
        if let Some((path, _)) = missing {
            return Some(format!(
                "{} is not served by the API server: install the definitions",
                resource(path)
            ));
        }
        (!state.unfilled.is_empty()).then(|| format!("waiting for: {}", state.unfilled.join(", ")))
    }

    /// 0: alive and ready. 1: alive, not ready. 2: not alive.
    pub fn status(&self) -> i64 {
        match (self.not_live(), self.not_ready()) {
            (Some(_), _) => 2,
            (None, Some(_)) => 1,
            (None, None) => 0,
        }
    }

    /// Each kind of ours that was asked for, as `plural.group`, and whether the API server does not serve it.
    pub fn kinds(&self) -> BTreeMap<String, bool> {
        let state = self.lock();
        let mut kinds = BTreeMap::new();
        for (path, (_, code)) in &state.watches {
            let kind = resource(path);
            if OURS.iter().any(|group| kind.ends_with(group)) {
                *kinds.entry(kind).or_default() |= *code == Some(404);
            }
        }
        kinds
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `plural.group` of the path of a list, in one Kubernetes namespace or in all; empty for any other path.
fn resource(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["", "apis", group, _, plural] | ["", "apis", group, _, "namespaces", _, plural] => format!("{plural}.{group}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_watch_and_a_stuck_pass_are_not_alive() {
        let health = Health::default();
        health.watching(vec!["pods".into()]);
        health.answered("/api/v1/pods", true, Some(200));
        assert_eq!(health.not_live(), None);
        tokio::time::advance(Duration::from_secs(91)).await;
        assert!(health.not_live().is_some_and(|why| why.contains("/api/v1/pods")));
        health.answered("/api/v1/pods", true, Some(200));
        let pass = health.pass("shop/billing");
        tokio::time::advance(Duration::from_mins(1)).await;
        health.answered("/api/v1/pods", true, Some(200));
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

    #[test]
    fn a_kind_that_is_not_served_is_named_until_it_is() {
        for path in [
            "/apis/temporal-fleet.dev/v1alpha1/temporalworkers",
            "/apis/temporal-fleet.dev/v1alpha1/namespaces/shop/temporalworkers",
        ] {
            let health = Health::default();
            health.watching(vec!["fleets".into()]);
            health.answered(path, false, Some(404));
            let why = health.not_ready().unwrap_or_default();
            assert!(
                why.starts_with("temporalworkers.temporal-fleet.dev is not served"),
                "{why}"
            );
            let kind = "temporalworkers.temporal-fleet.dev".to_owned();
            assert_eq!(
                (health.kinds(), health.status()),
                (BTreeMap::from([(kind.clone(), true)]), 1)
            );
            health.answered(path, false, Some(200));
            assert_eq!(health.kinds(), BTreeMap::from([(kind, false)]));
            assert_eq!(health.not_ready().as_deref(), Some("waiting for: fleets"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_of_what_is_missing_is_no_missing_kind_and_no_watch() {
        let health = Health::default();
        health.watching(Vec::new());
        for path in [
            "/apis/apps/v1/namespaces/shop/deployments/orders",
            "/apis/temporal-fleet.dev/v1alpha1/namespaces/shop/temporalworkers/orders",
            "/api/v1/namespaces/shop/secrets/orders",
            // Optional: a cluster may have no metrics server.
            "/apis/metrics.k8s.io/v1beta1/pods",
        ] {
            health.answered(path, false, Some(404));
        }
        assert_eq!(health.not_ready(), None);
        tokio::time::advance(Duration::from_mins(5)).await;
        assert_eq!(health.not_live(), None, "nobody promised to ask again");
    }

    #[tokio::test(start_paused = true)]
    async fn an_unreachable_server_is_no_reason_to_restart_as_long_as_it_is_asked() {
        let health = Health::default();
        health.watching(Vec::new());
        for _ in 0..20 {
            health.answered("/api/v1/pods", true, None);
            tokio::time::advance(Duration::from_secs(30)).await;
            assert_eq!(health.not_live(), None);
        }
    }
}
