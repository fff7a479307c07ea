//! What fleets watch at Temporal: one subscription per queue and one for the server, kept as long as the fleet wants them, and
//! a wake-up of the fleet's reconcile with each new word.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fleet_autoscale::Seen;
use fleet_core::{Connection, Queue, QueueView, Reason};
use fleet_temporal::{Endpoint, EndpointKey, Error, Observatory, Observer, QueueLimit, QueueState, ServerInfo};
use futures::StreamExt;
use futures::channel::mpsc::UnboundedSender;
use futures::stream::SelectAll;
use jiff::{SignedDuration, Timestamp};
use kube::runtime::reflector::ObjectRef;
use tokio::task::AbortHandle;

use crate::stores::Guarded;

/// Reference to a fleet, as the controller takes it.
pub type FleetRef = ObjectRef<Guarded<fleet_crds::TemporalWorker>>;

/// All subscriptions, by the fleet's UID.
pub struct Watching {
    observatory: Observatory,
    fleets: Mutex<HashMap<String, Arc<Subscription>>>,
    wake: UnboundedSender<FleetRef>,
}

/// What one fleet watches.
pub struct Subscription {
    endpoint: EndpointKey,
    temporal_namespace: String,
    server: Observer<ServerInfo>,
    queues: BTreeMap<Queue, Observer<QueueState>>,
    waker: AbortHandle,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.waker.abort();
    }
}

impl Watching {
    /// Watches through `observatory`, and sends the reference of a fleet whenever there is news for it.
    pub fn new(observatory: Observatory, wake: UnboundedSender<FleetRef>) -> Self {
        Self {
            observatory,
            fleets: Mutex::default(),
            wake,
        }
    }

    /// The subscription of a fleet: the present one if it fits, else a new one in its place.
    pub fn subscribe(
        &self,
        uid: &str,
        fleet: &FleetRef,
        endpoint: &Endpoint,
        temporal_namespace: &str,
        queues: &[Queue],
        interval: Duration,
    ) -> Arc<Subscription> {
        let mut fleets = self.fleets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(present) = fleets.get(uid) {
            let fits = &present.endpoint == endpoint.key()
                && present.temporal_namespace == temporal_namespace
                && present.queues.keys().eq(sorted(queues));
            if fits {
                return Arc::clone(present);
            }
        }
        let server = self.observatory.server(endpoint, temporal_namespace);
        let observers: BTreeMap<_, _> = queues
            .iter()
            .map(|queue| {
                let observer =
                    self.observatory
                        .queue(endpoint, temporal_namespace, &queue.name, queue.task_type, interval);
                (queue.clone(), observer)
            })
            .collect();
        let mut news = SelectAll::new();
        news.push(changes(server.receiver()));
        for observer in observers.values() {
            news.push(changes(observer.receiver()));
        }
        let (wake, fleet) = (self.wake.clone(), fleet.clone());
        let waker = tokio::spawn(async move {
            while news.next().await.is_some() {
                if wake.unbounded_send(fleet.clone()).is_err() {
                    return;
                }
            }
        })
        .abort_handle();
        let subscription = Arc::new(Subscription {
            endpoint: endpoint.key().clone(),
            temporal_namespace: temporal_namespace.to_owned(),
            server,
            queues: observers,
            waker,
        });
        fleets.insert(uid.to_owned(), Arc::clone(&subscription));
        subscription
    }

    /// What a fleet knows of its server; `None` while it watches none.
    pub fn connection(&self, uid: &str) -> Option<Connection> {
        let fleets = self.fleets.lock().unwrap_or_else(PoisonError::into_inner);
        fleets.get(uid).map(|subscription| subscription.connection())
    }

    /// Sets or removes the rate limit of a queue.
    ///
    /// # Errors
    /// What the server answered.
    pub async fn limit_queue(
        &self,
        endpoint: &Endpoint,
        temporal_namespace: &str,
        limit: &QueueLimit,
    ) -> Result<(), Error> {
        self.observatory.limit_queue(endpoint, temporal_namespace, limit).await
    }

    /// The fleet is gone, or its connection is.
    pub fn forget(&self, uid: &str) {
        self.fleets.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// Asks for another interval of all the fleet's queues.
    pub fn set_interval(&self, uid: &str, interval: Duration) {
        let fleets = self.fleets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(subscription) = fleets.get(uid) {
            for observer in subscription.queues.values() {
                observer.set_interval(interval);
            }
        }
    }
}

impl Subscription {
    /// Whether Temporal answers.
    pub fn connection(&self) -> Connection {
        let reading = self.server.latest();
        if let Some(failure) = &reading.failure {
            // Throttled: nothing is wrong with the connection, only its signals are late.
            if failure.error.reason() != Reason::SignalsUnknown {
                return failed(&failure.error, &self.temporal_namespace);
            }
        }
        match &reading.last {
            Some((server, _)) => Connection::Connected {
                message: format!("Temporal {}", server.version),
            },
            None => Connection::Pending,
        }
    }

    /// Each queue as it was read last, in the order of `queues`.
    pub fn queues(&self, queues: &[Queue], now: Timestamp) -> Vec<QueueView> {
        queues.iter().map(|queue| self.queue(queue, now)).collect()
    }

    fn queue(&self, queue: &Queue, now: Timestamp) -> QueueView {
        let unknown = |reason: String| QueueView {
            queue: queue.clone(),
            stats: Seen::unknown(reason.clone()),
            pollers: Seen::unknown(reason.clone()),
            rate_limit: Seen::unknown(reason),
            at: now,
            stretched: None,
        };
        let Some(observer) = self.queues.get(queue) else {
            return unknown("not watched".to_owned());
        };
        let reading = observer.latest();
        let waited = SignedDuration::try_from(reading.waited).ok();
        let stretched = waited.filter(|_| reading.stretched());
        match reading.seen() {
            Seen::Known((state, at)) => QueueView {
                queue: queue.clone(),
                stats: match &state.stats {
                    Some(stats) => Seen::Known(*stats),
                    None => Seen::unknown("the server sent no statistics"),
                },
                pollers: Seen::Known(state.pollers.iter().map(|poller| poller.identity.clone()).collect()),
                rate_limit: Seen::Known(state.rate_limit.clone()),
                at,
                stretched,
            },
            Seen::Unknown { reason } => QueueView {
                stretched,
                ..unknown(reason)
            },
        }
    }
}

fn sorted(queues: &[Queue]) -> Vec<&Queue> {
    let mut queues: Vec<_> = queues.iter().collect();
    queues.sort();
    queues.dedup();
    queues
}

fn changes<T: Send + Sync + 'static>(
    receiver: tokio::sync::watch::Receiver<T>,
) -> futures::stream::BoxStream<'static, ()> {
    futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.changed().await.ok()?;
        receiver.mark_unchanged();
        Some(((), receiver))
    })
    .boxed()
}

fn failed(error: &Error, temporal_namespace: &str) -> Connection {
    let reason = error.reason();
    let stalled = reason != Reason::Unreachable;
    let fix = if reason == Reason::TemporalNamespaceNotFound {
        format!(
            ": create it with `temporal operator namespace create --namespace {temporal_namespace}`, or mend spec.temporalNamespace"
        )
    } else {
        String::new()
    };
    Connection::Failed {
        reason,
        message: format!("{error}{fix}"),
        stalled,
    }
}
