//! What every pass shares: clients, stores, caches, reporters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fleet_core::Memory;
use fleet_crds::TemporalWorkerStatus;
use jiff::Timestamp;
use kube::Client;

use crate::backoff::Backoff;
use crate::health::Health;
use crate::k8s::Cluster;
use crate::k8s::events::Publisher;
use crate::metrics::Metrics;
use crate::recorder::Recorder;
use crate::secrets::Secrets;
use crate::signals::resources::PodResources;
use crate::signals::sources::Sources;
use crate::stores::Stores;
use crate::temporal::Watching;

/// Shared by all passes of all controllers.
pub struct Context {
    /// The API server, with a deadline on each call.
    pub cluster: Cluster,
    /// What the watches saw, one entry per scope.
    pub scopes: Vec<Stores>,
    /// Secrets by name.
    pub secrets: Secrets,
    /// Subscriptions at Temporal.
    pub watching: Watching,
    /// Reports of pods.
    pub sources: Sources,
    /// CPU of pods by the metrics API.
    pub resources: Arc<PodResources>,
    /// Events.
    pub events: Publisher,
    /// Metrics.
    pub metrics: Metrics,
    /// Waits after failures.
    pub backoff: Backoff,
    /// Liveness and readiness.
    pub health: Arc<Health>,
    /// What each fleet must not forget between passes.
    pub fleets: Fleets,
    /// Recordings of decisions, if they are wanted.
    pub recorder: Option<Recorder>,
    /// The only reader of the clock.
    pub now: fn() -> Timestamp,
}

impl Context {
    /// The client, for typed APIs.
    pub fn client(&self) -> Client {
        self.cluster.client()
    }
}

/// Per fleet, by UID: the planner's memory and the status as written last.
#[derive(Default)]
pub struct Fleets(Mutex<HashMap<String, FleetState>>);

/// State of one fleet between two passes.
#[derive(Clone, Default)]
pub struct FleetState {
    /// The planner's memory, fresher than the one in the status.
    pub memory: Option<Memory>,
    /// The status as written last, and when.
    pub reported: Option<(TemporalWorkerStatus, Timestamp)>,
    /// A credential change restarts the pods until this rollout is done.
    pub credential_restart: bool,
}

impl Fleets {
    /// A copy of what is remembered.
    pub fn get(&self, uid: &str) -> FleetState {
        self.lock().get(uid).cloned().unwrap_or_default()
    }

    /// Replaces what is remembered.
    pub fn put(&self, uid: &str, state: FleetState) {
        self.lock().insert(uid.to_owned(), state);
    }

    /// The fleet is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, FleetState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
