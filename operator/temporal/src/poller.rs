//! `Observatory`: the shared observation of Temporal. One task per (endpoint, Temporal namespace, queue, task type), one per
//! (endpoint, Temporal namespace) for the server; fleets subscribe and read the latest word. It is the only caller of the port:
//! here calls are paced, charged to a budget, kept behind a gate and cut at a deadline. The clock is read here.
//!
//! A task lives as long as it has a subscriber. Needs a tokio runtime with time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use fleet_core::TaskType;
use fleet_core::signals::Heartbeat;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::budget::{Budget, BudgetKey};
use crate::error::Error;
use crate::gate::Gate;
use crate::port::{Clock, Endpoint, EndpointKey, QueueLimit, QueueState, ServerInfo, Temporal};
use crate::reading::Reading;
use crate::schedule::Asked;
use crate::task::Task;

/// How the observatory paces itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Requests per second toward one Temporal namespace (see [`Budget::new`]). The server's own default limit is 2400 per
    /// frontend; 40 % of it leaves room for the workers.
    pub requests_per_second: f64,
    /// Shortest interval between two readings of a queue, whatever is asked. Below 5 s the server repeats its cached answer.
    pub shortest_interval: Duration,
    /// Time between two readings of a server that answers.
    pub server_interval: Duration,
    /// The same while it does not.
    pub server_retry: Duration,
    /// Longest duration of one reading, waiting for its turn apart. A guard behind the port's own deadlines.
    pub deadline: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            requests_per_second: 960.0,
            shortest_interval: Duration::from_secs(1),
            server_interval: Duration::from_secs(30),
            server_retry: Duration::from_secs(10),
            deadline: Duration::from_secs(16),
        }
    }
}

/// Identity of an observed queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueueKey {
    /// The endpoint.
    pub endpoint: EndpointKey,
    /// The Temporal namespace.
    pub temporal_namespace: String,
    /// Name of the task queue.
    pub queue: String,
    /// Its type.
    pub task_type: TaskType,
}

type ServerKey = (EndpointKey, String);
/// Endpoint, Temporal namespace and queue.
type WorkersKey = (EndpointKey, String, String);

/// All shared observation of one operator. Clones share it.
#[derive(Clone)]
pub struct Observatory(Arc<Inner>);

struct Inner {
    context: Arc<Context>,
    queues: Arc<Sources<QueueKey, QueueState>>,
    servers: Arc<Sources<ServerKey, ServerInfo>>,
    workers: Arc<Sources<WorkersKey, Option<Vec<Heartbeat>>>>,
    gates: Mutex<HashMap<ServerKey, Weak<Gate>>>,
    next_id: AtomicU64,
}

/// What every task needs.
pub(crate) struct Context {
    pub(crate) temporal: Arc<dyn Temporal>,
    pub(crate) budget: Budget,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
}

impl Observatory {
    /// Observes through `temporal`, stamps readings by `clock`.
    pub fn new(temporal: Arc<dyn Temporal>, settings: Settings, clock: Clock) -> Self {
        let budget = Budget::new(settings.requests_per_second);
        let context = Arc::new(Context {
            temporal,
            budget,
            settings,
            clock,
        });
        let (queues, servers, workers) = (Arc::default(), Arc::default(), Arc::default());
        Self(Arc::new(Inner {
            context,
            queues,
            servers,
            workers,
            gates: Mutex::default(),
            next_id: AtomicU64::new(0),
        }))
    }

    /// Observes a queue, every `interval` or more often if another subscriber asks so. The first reading is taken at once.
    pub fn queue(
        &self,
        endpoint: &Endpoint,
        temporal_namespace: &str,
        queue: &str,
        task_type: TaskType,
        interval: Duration,
    ) -> Observer<QueueState> {
        let key = QueueKey {
            endpoint: endpoint.key().clone(),
            temporal_namespace: temporal_namespace.to_owned(),
            queue: queue.to_owned(),
            task_type,
        };
        let pace = Pace {
            interval,
            shortest: self.0.context.settings.shortest_interval,
            retry: None,
        };
        let (context, name) = (Arc::clone(&self.0.context), queue.to_owned());
        self.subscribe(
            &self.0.queues,
            key,
            endpoint,
            temporal_namespace,
            pace,
            move |endpoint, temporal_namespace| {
                let (context, name) = (Arc::clone(&context), name.clone());
                async move {
                    context
                        .temporal
                        .describe_queue(&endpoint, &temporal_namespace, &name, task_type)
                        .await
                }
                .boxed()
            },
        )
    }

    /// Observes a server and its Temporal namespace: every 30 s while it answers, every 10 s while it does not (by default).
    pub fn server(&self, endpoint: &Endpoint, temporal_namespace: &str) -> Observer<ServerInfo> {
        let key = (endpoint.key().clone(), temporal_namespace.to_owned());
        let Settings {
            server_interval,
            server_retry,
            ..
        } = self.0.context.settings;
        let pace = Pace {
            interval: server_interval,
            shortest: Duration::ZERO,
            retry: Some(server_retry),
        };
        let context = Arc::clone(&self.0.context);
        self.subscribe(
            &self.0.servers,
            key,
            endpoint,
            temporal_namespace,
            pace,
            move |endpoint, temporal_namespace| {
                let context = Arc::clone(&context);
                async move {
                    context
                        .temporal
                        .describe_namespace(&endpoint, &temporal_namespace)
                        .await
                }
                .boxed()
            },
        )
    }

    /// Observes the heartbeats of a queue's workers, every `interval` or more often if another subscriber asks so.
    pub fn workers(
        &self,
        endpoint: &Endpoint,
        temporal_namespace: &str,
        queue: &str,
        interval: Duration,
    ) -> Observer<Option<Vec<Heartbeat>>> {
        let key = (endpoint.key().clone(), temporal_namespace.to_owned(), queue.to_owned());
        let pace = Pace {
            interval,
            shortest: self.0.context.settings.shortest_interval,
            retry: None,
        };
        let (context, name) = (Arc::clone(&self.0.context), queue.to_owned());
        self.subscribe(
            &self.0.workers,
            key,
            endpoint,
            temporal_namespace,
            pace,
            move |endpoint, temporal_namespace| {
                let (context, name) = (Arc::clone(&context), name.clone());
                async move {
                    context
                        .temporal
                        .list_workers(&endpoint, &temporal_namespace, &name)
                        .await
                }
                .boxed()
            },
        )
    }

    /// Sets or removes the rate limit of a queue, within the budget and behind the gate of all readings.
    ///
    /// # Errors
    /// What the server answered, or what keeps everybody away from it at present.
    pub async fn limit_queue(
        &self,
        endpoint: &Endpoint,
        temporal_namespace: &str,
        limit: &QueueLimit,
    ) -> Result<(), Error> {
        let Context {
            temporal,
            budget,
            settings,
            ..
        } = self.0.context.as_ref();
        let gate = self.gate((endpoint.key().clone(), temporal_namespace.to_owned()));
        if let Some(closed) = gate.closed(tokio::time::Instant::now()) {
            return Err(closed.error.as_ref().clone());
        }
        budget.acquire(&BudgetKey::new(endpoint, temporal_namespace)).await;
        let call = temporal.limit_queue(endpoint, temporal_namespace, limit);
        let after = settings.deadline;
        tokio::time::timeout(after, call).await.unwrap_or(Err(Error::Deadline {
            call: "UpdateTaskQueueConfig",
            after,
        }))
    }

    /// How much of each budget is used (see [`Budget::used`]).
    pub fn budgets(&self) -> Vec<(BudgetKey, f64)> {
        self.0.context.budget.used(tokio::time::Instant::now())
    }

    /// Tasks that run now: queues, servers and workers. For metrics and tests of leaks.
    pub fn observed(&self) -> usize {
        self.0.queues.len() + self.0.servers.len() + self.0.workers.len()
    }

    fn subscribe<K: Clone + Eq + Hash + Send + Sync + 'static, T: Send + Sync + 'static>(
        &self,
        sources: &Arc<Sources<K, T>>,
        key: K,
        endpoint: &Endpoint,
        temporal_namespace: &str,
        pace: Pace,
        call: impl Fn(Endpoint, String) -> BoxFuture<'static, Result<T, Error>> + Send + Sync + 'static,
    ) -> Observer<T> {
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let mut map = sources.map();
        let source = map.get(&key).and_then(Weak::upgrade).unwrap_or_else(|| {
            let asked = Arc::new(Asked::new(pace.shortest));
            asked.set(id, pace.interval);
            let (readings, latest) = watch::channel(Arc::new(Reading::pending(asked.interval())));
            let task = Task {
                context: Arc::clone(&self.0.context),
                gate: self.gate((endpoint.key().clone(), temporal_namespace.to_owned())),
                budget: BudgetKey::new(endpoint, temporal_namespace),
                asked: Arc::clone(&asked),
                retry: pace.retry,
                readings,
                call: {
                    let (endpoint, temporal_namespace) = (endpoint.clone(), temporal_namespace.to_owned());
                    Box::new(move || call(endpoint.clone(), temporal_namespace.clone()))
                },
            };
            let (home, home_key) = (Arc::downgrade(sources), key.clone());
            let leave = Box::new(move || {
                if let Some(home) = home.upgrade() {
                    home.forget(&home_key);
                }
            });
            let source = Arc::new(Source {
                asked,
                latest,
                task: tokio::spawn(task.run()).abort_handle(),
                leave,
            });
            map.insert(key, Arc::downgrade(&source));
            source
        });
        drop(map);
        source.asked.set(id, pace.interval);
        Observer {
            id,
            readings: source.latest.clone(),
            source,
        }
    }

    fn gate(&self, key: ServerKey) -> Arc<Gate> {
        let mut gates = self.0.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(&key).and_then(Weak::upgrade) {
            return gate;
        }
        gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = Arc::default();
        gates.insert(key, Arc::downgrade(&gate));
        gate
    }
}

/// How often a source is read.
#[derive(Clone, Copy)]
struct Pace {
    interval: Duration,
    shortest: Duration,
    retry: Option<Duration>,
}

/// The sources that have subscribers.
struct Sources<K, T>(Mutex<HashMap<K, Weak<Source<T>>>>);

impl<K, T> Default for Sources<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, T> Sources<K, T> {
    fn map(&self) -> MutexGuard<'_, HashMap<K, Weak<Source<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn len(&self) -> usize {
        self.map().len()
    }

    /// Removes a source whose last subscriber is gone, unless a new one has taken its place.
    fn forget(&self, key: &K) {
        let mut map = self.map();
        if map.get(key).is_some_and(|source| source.strong_count() == 0) {
            map.remove(key);
        }
    }
}

/// One running observation. Its drop ends the task.
struct Source<T> {
    asked: Arc<Asked>,
    latest: watch::Receiver<Arc<Reading<T>>>,
    task: AbortHandle,
    leave: Box<dyn Fn() + Send + Sync>,
}

impl<T> Drop for Source<T> {
    fn drop(&mut self) {
        self.task.abort();
        (self.leave)();
    }
}

/// A subscription. While it lives, the source is observed.
pub struct Observer<T> {
    id: u64,
    readings: watch::Receiver<Arc<Reading<T>>>,
    source: Arc<Source<T>>,
}

impl<T> Observer<T> {
    /// The latest word. Never waits.
    pub fn latest(&self) -> Arc<Reading<T>> {
        Arc::clone(&self.readings.borrow())
    }

    /// Waits for a word that came after the last one returned here, and returns it. The first call returns the first word.
    pub async fn next(&mut self) -> Arc<Reading<T>> {
        if self.readings.changed().await.is_err() {
            // The task outlives its subscribers, so this is the end of the runtime: there is no next word.
            std::future::pending::<()>().await;
        }
        Arc::clone(&self.readings.borrow_and_update())
    }

    /// A receiver of all later readings, for a task that waits on many. It does not keep the source observed.
    pub fn receiver(&self) -> watch::Receiver<Arc<Reading<T>>> {
        self.readings.clone()
    }

    /// Asks for another interval from now on: 5 s when hot, 15 s when calm.
    pub fn set_interval(&self, interval: Duration) {
        self.source.asked.set(self.id, interval);
    }
}

impl<T> Drop for Observer<T> {
    fn drop(&mut self) {
        self.source.asked.remove(self.id);
    }
}
