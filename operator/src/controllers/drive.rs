//! Drives the controllers: references from the watches go to the controller of their scope, each pass is timed, and a failed one is
//! repeated as its class asks.

use std::sync::Arc;

use fleet_crds::{TemporalConnection, TemporalWorker};
use futures::StreamExt;
use futures::channel::mpsc;
use kube::runtime::Controller;
use kube::runtime::controller::{self, Action, Config as ControllerConfig};
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::{connection, worker};
use crate::context::Context;
use crate::k8s::chain;
use crate::metrics::Workqueue;
use crate::stores::{Guarded, Stores};
use crate::watches::Gone;

/// The controllers, as metrics name them.
const FLEETS: &str = "temporalworker";
const CONNECTIONS: &str = "temporalconnection";

/// Objects to look at, of all scopes.
pub struct Feeds {
    /// Fleets.
    pub fleets: mpsc::UnboundedReceiver<ObjectRef<Guarded<TemporalWorker>>>,
    /// Connections.
    pub connections: mpsc::UnboundedReceiver<ObjectRef<Guarded<TemporalConnection>>>,
}

/// Starts the controllers of every scope. They end with `stop`, after the passes in flight.
pub fn start(
    controllers: &TaskTracker,
    feeds: Feeds,
    watch_namespaces: Vec<String>,
    concurrency: u16,
    stop: &CancellationToken,
    context: &Arc<Context>,
) {
    let router = Router {
        scopes: context.scopes.len(),
        watch_namespaces,
    };
    let fleet_feeds = split(feeds.fleets, context.metrics.queue(FLEETS), &router, stop);
    let connection_feeds = split(feeds.connections, context.metrics.queue(CONNECTIONS), &router, stop);
    for ((stores, fleets), connections) in context.scopes.iter().zip(fleet_feeds).zip(connection_feeds) {
        let fleets = fleets_controller(stores.clone(), fleets, concurrency, stop.clone(), Arc::clone(context));
        controllers.spawn(fleets);
        let connections = connections_controller(stores.clone(), connections, stop.clone(), Arc::clone(context));
        controllers.spawn(connections);
    }
}

/// Which scope an object belongs to.
#[derive(Clone)]
struct Router {
    scopes: usize,
    watch_namespaces: Vec<String>,
}

impl Router {
    fn scope_of(&self, namespace: Option<&str>) -> usize {
        self.watch_namespaces
            .iter()
            .position(|name| Some(name.as_str()) == namespace)
            .unwrap_or(0)
    }
}

/// One feed per scope, each reference counted as it is handed in.
fn split<K>(
    mut feed: mpsc::UnboundedReceiver<ObjectRef<K>>,
    queue: Workqueue,
    router: &Router,
    stop: &CancellationToken,
) -> Vec<mpsc::UnboundedReceiver<ObjectRef<K>>>
where
    K: Resource<DynamicType = ()> + Send + Sync + 'static,
{
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..router.scopes).map(|_| mpsc::unbounded()).unzip();
    let router = router.clone();
    let stop = stop.clone();
    tokio::spawn(async move {
        loop {
            let next = tokio::select! {
                next = feed.next() => next,
                () = stop.cancelled() => None,
            };
            let Some(reference) = next else { return };
            queue.added(name_of(&reference), Instant::now());
            if let Some(sender) = senders.get(router.scope_of(reference.namespace.as_deref())) {
                let _ = sender.unbounded_send(reference);
            }
        }
    });
    receivers
}

/// The name of an object in a work queue.
fn name_of<K: Resource>(reference: &ObjectRef<K>) -> String {
    format!(
        "{}/{}",
        reference.namespace.as_deref().unwrap_or_default(),
        reference.name
    )
}

/// What is left to do once a pass was asked for: an object that is gone gets none.
fn settle<T, E: std::error::Error + 'static, Q: std::error::Error + 'static>(
    queue: &Workqueue,
    outcome: &Result<T, controller::Error<E, Q>>,
) {
    if let Err(controller::Error::ObjectNotFound(reference)) = outcome {
        queue.gone(&name_of(reference));
    }
}

async fn fleets_controller(
    stores: Stores,
    feed: mpsc::UnboundedReceiver<ObjectRef<Guarded<TemporalWorker>>>,
    concurrency: u16,
    stop: CancellationToken,
    context: Arc<Context>,
) {
    let queue = context.metrics.queue(FLEETS);
    let reader = stores.workers.clone();
    let reconcile = move |guarded: Arc<Guarded<TemporalWorker>>, context: Arc<Context>| {
        let stores = stores.clone();
        async move {
            let reference = ObjectRef::from_obj(guarded.as_ref());
            let _working = context
                .metrics
                .queue(FLEETS)
                .started(name_of(&reference), Instant::now());
            let span = tracing::info_span!(
                "pass",
                worker = %guarded.name_any(),
                worker_namespace = guarded.namespace().unwrap_or_default(),
            );
            let worker = match &guarded.0 {
                Ok(worker) => worker,
                Err(error) => {
                    tracing::warn!(parent: &span, %error, "the TemporalWorker cannot be read; waiting for its next change");
                    return Ok(Action::await_change());
                }
            };
            let running = context.health.pass(name_of(&reference));
            let since = Instant::now();
            let result = worker::reconcile(worker, &reference, &stores, &context)
                .instrument(span)
                .await;
            drop(running);
            let word = if result.is_ok() { "success" } else { "error" };
            context.metrics.pass(FLEETS, word, since.elapsed());
            if result.is_ok() {
                context.backoff.succeeded(&guarded.uid().unwrap_or_default());
            }
            result
        }
    };
    Controller::for_stream(futures::stream::pending(), reader)
        .with_config(ControllerConfig::default().concurrency(concurrency))
        .reconcile_on(feed)
        .graceful_shutdown_on(async move { stop.cancelled().await })
        .run(
            reconcile,
            |worker: Arc<Guarded<TemporalWorker>>, error: &worker::Error, context: Arc<Context>| {
                retry(
                    &context,
                    &worker.uid().unwrap_or_default(),
                    &worker.name_any(),
                    error,
                    error.class(),
                )
            },
            context,
        )
        .for_each(|outcome| {
            settle(&queue, &outcome);
            futures::future::ready(())
        })
        .await;
}

async fn connections_controller(
    stores: Stores,
    feed: mpsc::UnboundedReceiver<ObjectRef<Guarded<TemporalConnection>>>,
    stop: CancellationToken,
    context: Arc<Context>,
) {
    let queue = context.metrics.queue(CONNECTIONS);
    let reader = stores.connections.clone();
    let reconcile = move |guarded: Arc<Guarded<TemporalConnection>>, context: Arc<Context>| {
        let stores = stores.clone();
        async move {
            let name = name_of(&ObjectRef::from_obj(guarded.as_ref()));
            let _working = context.metrics.queue(CONNECTIONS).started(name, Instant::now());
            let Ok(object) = &guarded.0 else {
                return Ok(Action::await_change());
            };
            let since = Instant::now();
            let result = connection::reconcile(object, &stores, &context).await;
            let word = if result.is_ok() { "success" } else { "error" };
            context.metrics.pass(CONNECTIONS, word, since.elapsed());
            if result.is_ok() {
                context.backoff.succeeded(&guarded.uid().unwrap_or_default());
            }
            result
        }
    };
    Controller::for_stream(futures::stream::pending(), reader)
        .with_config(ControllerConfig::default().concurrency(4))
        .reconcile_on(feed)
        .graceful_shutdown_on(async move { stop.cancelled().await })
        .run(
            reconcile,
            |object: Arc<Guarded<TemporalConnection>>, error: &crate::k8s::Error, context: Arc<Context>| {
                retry(
                    &context,
                    &object.uid().unwrap_or_default(),
                    &object.name_any(),
                    error,
                    error.class(),
                )
            },
            context,
        )
        .for_each(|outcome| {
            settle(&queue, &outcome);
            futures::future::ready(())
        })
        .await;
}

fn retry(
    context: &Context,
    uid: &str,
    name: &str,
    error: &(dyn std::error::Error + 'static),
    class: fleet_core::Class,
) -> Action {
    let wait = context.backoff.failed(uid, class);
    let (text, class_name) = (chain(error), class.as_str());
    match class {
        fleet_core::Class::Conflict | fleet_core::Class::Throttled { .. } => {
            tracing::info!(name, class = class_name, error = text, "a pass is repeated");
        }
        fleet_core::Class::Bug => tracing::error!(name, class = class_name, error = text, "a pass failed"),
        fleet_core::Class::Unavailable | fleet_core::Class::Denied | fleet_core::Class::Invalid => {
            tracing::warn!(name, class = class_name, error = text, "a pass failed");
        }
    }
    Action::requeue(wait)
}

/// Forgets what is kept of objects that are gone.
pub async fn forget(context: Arc<Context>, mut gone: mpsc::UnboundedReceiver<Gone>) {
    while let Some(object) = gone.next().await {
        let Gone {
            kind,
            namespace,
            name,
            uid,
        } = object;
        tracing::info!(kind, name, kubernetes_namespace = namespace, "an object is gone");
        context.watching.forget(&uid);
        context.fleets.forget(&uid);
        context.backoff.forget(&uid);
        context.metrics.series().remove(&uid);
    }
}
