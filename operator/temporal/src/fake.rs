//! An in-memory Temporal for tests: scripted queues, pollers, Temporal namespaces and failures. It answers as a server does, down
//! to the errors; the contract suite holds it to that.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use fleet_core::signals::Heartbeat;
use fleet_core::{QueueStats, RateLimit, TaskType};
use jiff::Timestamp;

use crate::error::Error;
use crate::port::{Endpoint, Poller, QueueLimit, QueueState, ServerInfo, Temporal};

/// A scripted Temporal. Clones share it. It starts with the Temporal namespace `default` and no queue.
#[derive(Clone, Debug)]
pub struct Fake(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    namespaces: BTreeMap<String, Namespace>,
    failing: Option<Error>,
    next: VecDeque<Error>,
    hanging: bool,
    calls: Vec<Call>,
}

#[derive(Debug)]
struct Namespace {
    info: ServerInfo,
    queues: BTreeMap<(String, TaskType), QueueState>,
    /// By queue; `None` for a server that keeps no heartbeats.
    workers: Option<BTreeMap<String, Vec<Heartbeat>>>,
}

/// A call that was made, answered or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `host:port` it went to.
    pub address: String,
    /// The Temporal namespace it named.
    pub temporal_namespace: String,
    /// The queue it asked about; `None` for the server.
    pub queue: Option<(String, TaskType)>,
}

impl Default for Fake {
    fn default() -> Self {
        let state = State {
            namespaces: BTreeMap::new(),
            failing: None,
            next: VecDeque::new(),
            hanging: false,
            calls: Vec::new(),
        };
        let fake = Self(Arc::new(Mutex::new(state)));
        fake.add_namespace("default");
        fake
    }
}

impl Fake {
    /// Registers a Temporal namespace, on a server 1.31.2 with worker heartbeats.
    pub fn add_namespace(&self, temporal_namespace: &str) {
        let info = ServerInfo {
            version: "1.31.2".to_owned(),
            worker_heartbeats: true,
            poller_autoscaling: false,
            polls_complete_on_shutdown: false,
        };
        let namespace = Namespace {
            info,
            queues: BTreeMap::new(),
            workers: Some(BTreeMap::new()),
        };
        self.state().namespaces.insert(temporal_namespace.to_owned(), namespace);
    }

    /// Deletes a Temporal namespace with its queues.
    pub fn remove_namespace(&self, temporal_namespace: &str) {
        self.state().namespaces.remove(temporal_namespace);
    }

    /// What the server says of itself in a Temporal namespace that is there.
    pub fn set_server(&self, temporal_namespace: &str, info: ServerInfo) {
        if let Some(namespace) = self.state().namespaces.get_mut(temporal_namespace) {
            namespace.info = info;
        }
    }

    /// The statistics of a queue from now on; `None` for a server that sends none. Its pollers stay.
    pub fn set_stats(&self, temporal_namespace: &str, queue: &str, task_type: TaskType, stats: Option<QueueStats>) {
        self.queue(temporal_namespace, queue, task_type, |state| state.stats = stats);
    }

    /// `tasks` wait in a queue, the oldest for `age_seconds`. Its rates and pollers stay.
    pub fn set_backlog(
        &self,
        temporal_namespace: &str,
        queue: &str,
        task_type: TaskType,
        tasks: u64,
        age_seconds: f64,
    ) {
        self.queue(temporal_namespace, queue, task_type, |state| {
            let stats = state.stats.get_or_insert_default();
            stats.backlog = tasks;
            stats.backlog_age_seconds = age_seconds;
        });
    }

    /// Somebody polled a queue at `at`: one entry per identity.
    pub fn poll(&self, temporal_namespace: &str, queue: &str, task_type: TaskType, identity: &str, at: Timestamp) {
        self.queue(temporal_namespace, queue, task_type, |state| {
            state.pollers.retain(|poller| poller.identity != identity);
            state.pollers.push(Poller {
                identity: identity.to_owned(),
                last_access: Some(at),
            });
        });
    }

    /// The heartbeats of a queue's workers from now on; `None` for a server that keeps none at all.
    pub fn set_workers(&self, temporal_namespace: &str, queue: &str, heartbeats: Option<Vec<Heartbeat>>) {
        if let Some(namespace) = self.state().namespaces.get_mut(temporal_namespace) {
            match heartbeats {
                None => namespace.workers = None,
                Some(heartbeats) => {
                    let workers = namespace.workers.get_or_insert_default();
                    workers.insert(queue.to_owned(), heartbeats);
                }
            }
        }
    }

    /// The server forgets all pollers of a queue.
    pub fn forget_pollers(&self, temporal_namespace: &str, queue: &str, task_type: TaskType) {
        self.queue(temporal_namespace, queue, task_type, |state| state.pollers.clear());
    }

    /// Every call fails so, until `None`.
    pub fn fail(&self, error: Option<Error>) {
        self.state().failing = error;
    }

    /// The next call fails so; several wait in line. They come before [`Fake::fail`].
    pub fn fail_next(&self, error: Error) {
        self.state().next.push_back(error);
    }

    /// While true, calls are taken and never answered.
    pub fn hang(&self, hanging: bool) {
        self.state().hanging = hanging;
    }

    /// All calls so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    fn queue(&self, temporal_namespace: &str, queue: &str, task_type: TaskType, change: impl FnOnce(&mut QueueState)) {
        if let Some(namespace) = self.state().namespaces.get_mut(temporal_namespace) {
            change(
                namespace
                    .queues
                    .entry((queue.to_owned(), task_type))
                    .or_insert_with(empty),
            );
        }
    }

    async fn answer<T>(&self, call: Call, read: impl FnOnce(&Namespace) -> T) -> Result<T, Error> {
        let temporal_namespace = call.temporal_namespace.clone();
        let hanging = {
            let mut state = self.state();
            state.calls.push(call);
            state.hanging
        };
        if hanging {
            std::future::pending::<()>().await;
        }
        let mut state = self.state();
        if let Some(error) = state.next.pop_front().or_else(|| state.failing.clone()) {
            return Err(error);
        }
        state
            .namespaces
            .get(&temporal_namespace)
            .map(read)
            .ok_or(Error::TemporalNamespaceNotFound { temporal_namespace })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A queue that nobody ever used: a server answers with zeros, not with an error.
fn empty() -> QueueState {
    QueueState {
        stats: Some(QueueStats::default()),
        pollers: Vec::new(),
        rate_limit: None,
    }
}

#[async_trait]
impl Temporal for Fake {
    async fn describe_namespace(&self, endpoint: &Endpoint, temporal_namespace: &str) -> Result<ServerInfo, Error> {
        let (address, temporal_namespace) = (endpoint.address().to_owned(), temporal_namespace.to_owned());
        let call = Call {
            address,
            temporal_namespace,
            queue: None,
        };
        self.answer(call, |namespace| namespace.info.clone()).await
    }

    async fn describe_queue(
        &self,
        endpoint: &Endpoint,
        temporal_namespace: &str,
        queue: &str,
        task_type: TaskType,
    ) -> Result<QueueState, Error> {
        let (address, temporal_namespace) = (endpoint.address().to_owned(), temporal_namespace.to_owned());
        let key = (queue.to_owned(), task_type);
        let call = Call {
            address,
            temporal_namespace,
            queue: Some(key.clone()),
        };
        self.answer(call, |namespace| {
            namespace.queues.get(&key).cloned().unwrap_or_else(empty)
        })
        .await
    }

    async fn list_workers(
        &self,
        endpoint: &Endpoint,
        temporal_namespace: &str,
        queue: &str,
    ) -> Result<Option<Vec<Heartbeat>>, Error> {
        let call = Call {
            address: endpoint.address().to_owned(),
            temporal_namespace: temporal_namespace.to_owned(),
            queue: None,
        };
        let found = |namespace: &Namespace| {
            let workers = namespace.workers.as_ref()?;
            Some(workers.get(queue).cloned().unwrap_or_default())
        };
        self.answer(call, found).await
    }

    async fn limit_queue(
        &self,
        endpoint: &Endpoint,
        temporal_namespace: &str,
        limit: &QueueLimit,
    ) -> Result<(), Error> {
        let call = Call {
            address: endpoint.address().to_owned(),
            temporal_namespace: temporal_namespace.to_owned(),
            queue: Some((limit.queue.clone(), limit.task_type)),
        };
        self.answer(call, |_| ()).await?;
        self.queue(temporal_namespace, &limit.queue, limit.task_type, |state| {
            state.rate_limit = limit.per_second.map(|per_second| RateLimit {
                per_second,
                reason: limit.reason.clone(),
            });
        });
        Ok(())
    }
}
