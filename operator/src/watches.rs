//! Watches: one task per kind and scope, each with its own store and its own backoff, so that one kind that cannot be read slows
//! no other. The controllers are fed by references, never by a merged stream of watches.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::pin;
use std::sync::Mutex;

use fleet_crds::{TemporalConnection, TemporalWorker, names};
use futures::StreamExt;
use futures::channel::mpsc::UnboundedSender;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::drains::{self, Drain};
use crate::rivals;
use crate::stores::{Guarded, Stores};
use crate::temporal::FleetRef;

/// Reference to a connection, as its controller takes it.
pub type ConnectionRef = ObjectRef<Guarded<TemporalConnection>>;

/// A watch that hears nothing for this long is opened anew [s].
const SILENCE: u32 = 60;

/// Where news go.
#[derive(Clone)]
pub struct Feeds {
    /// Fleets to look at.
    pub fleets: UnboundedSender<FleetRef>,
    /// Fleets and connections that are gone.
    pub gone: UnboundedSender<Gone>,
    /// Pods that ended.
    pub drains: UnboundedSender<Drain>,
    /// Connections to look at.
    pub connections: UnboundedSender<ConnectionRef>,
}

/// An object that is gone.
#[derive(Debug)]
pub struct Gone {
    /// Its kind, for the log.
    pub kind: &'static str,
    /// Its Kubernetes namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

impl Gone {
    fn of<K: Resource>(kind: &'static str, object: &K) -> Self {
        Self {
            kind,
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
        }
    }
}

/// A watch that is ready to run: it ends never.
pub type Watch = futures::future::BoxFuture<'static, ()>;

/// Stores and watches of one scope: a Kubernetes namespace, or all of them.
pub fn scope(client: &Client, namespace: Option<&str>, selector: Option<&str>, feeds: &Feeds) -> (Stores, Vec<Watch>) {
    let ours = watcher::Config::default().timeout(SILENCE).labels(&format!(
        "{}={}",
        names::LABEL_MANAGED_BY,
        names::MANAGED_BY
    ));
    let mut all = watcher::Config::default().timeout(SILENCE);
    if let Some(selector) = selector {
        all = all.labels(selector);
    }
    let (workers, workers_writer) = reflector::store();
    let (connections, connections_writer) = reflector::store();
    let (deployments, deployments_writer) = reflector::store();
    let (budgets, budgets_writer) = reflector::store();
    let (pods, pods_writer) = reflector::store();
    let (autoscalers, autoscalers_writer) = reflector::store();
    let stores = Stores {
        workers,
        connections,
        deployments,
        budgets,
        pods,
        autoscalers,
    };
    let watches: Vec<Watch> = vec![
        Box::pin(watch(
            api(client, namespace),
            all,
            workers_writer,
            workers_changed(feeds.clone()),
        )),
        Box::pin(watch(
            api(client, namespace),
            watcher::Config::default().timeout(SILENCE),
            connections_writer,
            connection_changed(feeds.clone(), stores.workers.clone()),
        )),
        Box::pin(watch(
            api::<Deployment>(client, namespace),
            ours.clone(),
            deployments_writer,
            child_changed(feeds.clone()),
        )),
        Box::pin(watch(
            api::<PodDisruptionBudget>(client, namespace),
            ours.clone(),
            budgets_writer,
            child_changed(feeds.clone()),
        )),
        Box::pin(watch(
            api::<Pod>(client, namespace),
            ours,
            pods_writer,
            pod_changed(feeds.clone()),
        )),
        Box::pin(watch(
            api::<HorizontalPodAutoscaler>(client, namespace),
            watcher::Config::default().timeout(SILENCE),
            autoscalers_writer,
            autoscaler_changed(feeds.clone(), stores.workers.clone()),
        )),
    ];
    (stores, watches)
}

fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(
    client: &Client,
    namespace: Option<&str>,
) -> Api<K> {
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// What happened to an object.
#[derive(Clone, Copy)]
enum Change<K> {
    /// All objects are listed anew: what went meanwhile is not told.
    Anew,
    Seen(K),
    Gone(K),
}

async fn watch<K>(api: Api<K>, config: watcher::Config, writer: Writer<K>, on_change: impl Fn(Change<&K>))
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let mut stream = pin!(watcher(api, config).default_backoff().reflect(writer));
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => on_change(Change::Seen(&object)),
            Ok(Event::Delete(object)) => on_change(Change::Gone(&object)),
            Ok(Event::Init) => on_change(Change::Anew),
            Ok(Event::InitDone) => {}
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), error = crate::k8s::chain(&error), "a watch failed; it is opened again");
            }
        }
    }
}

/// Fleets: only what a person or a controller wrote on purpose wakes a pass; our own status does not.
fn workers_changed(feeds: Feeds) -> impl Fn(Change<&Guarded<TemporalWorker>>) {
    let seen: Mutex<HashMap<String, u64>> = Mutex::default();
    move |change| {
        let mut seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match change {
            Change::Anew => {}
            Change::Seen(object) => {
                let uid = object.uid().unwrap_or_default();
                let print = fingerprint(object);
                if seen.insert(uid, print) != Some(print) {
                    send(&feeds.fleets, ObjectRef::from_obj(object));
                }
            }
            Change::Gone(object) => {
                let uid = object.uid().unwrap_or_default();
                seen.remove(&uid);
                send(&feeds.gone, Gone::of("TemporalWorker", object));
                if let Ok(worker) = &object.0
                    && let Some(reference) = &worker.spec.connection_ref
                {
                    let namespace = object.namespace().unwrap_or_default();
                    send(&feeds.connections, ObjectRef::new(&reference.name).within(&namespace));
                }
            }
        }
    }
}

fn fingerprint<K: Resource>(object: &K) -> u64 {
    let meta = object.meta();
    // Never kept beyond the process: the hasher need not be stable across versions.
    let mut hasher = DefaultHasher::new();
    (
        meta.generation,
        &meta.annotations,
        &meta.labels,
        meta.deletion_timestamp.is_some(),
    )
        .hash(&mut hasher);
    hasher.finish()
}

/// A connection concerns itself and every fleet of its namespace that names it.
fn connection_changed(
    feeds: Feeds,
    workers: Store<Guarded<TemporalWorker>>,
) -> impl Fn(Change<&Guarded<TemporalConnection>>) {
    let seen: Mutex<HashMap<String, u64>> = Mutex::default();
    move |change| {
        let mut seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let object = match change {
            Change::Anew => return,
            Change::Seen(object) => {
                let print = fingerprint(object);
                if seen.insert(object.uid().unwrap_or_default(), print) == Some(print) {
                    return;
                }
                send(&feeds.connections, ObjectRef::from_obj(object));
                object
            }
            Change::Gone(object) => {
                seen.remove(&object.uid().unwrap_or_default());
                send(&feeds.gone, Gone::of("TemporalConnection", object));
                object
            }
        };
        for worker in workers.state() {
            let names_it = worker.0.as_ref().is_ok_and(|worker| {
                worker
                    .spec
                    .connection_ref
                    .as_ref()
                    .is_some_and(|reference| reference.name == object.name_any())
            });
            if names_it && worker.namespace() == object.namespace() {
                send(&feeds.fleets, ObjectRef::from_obj(worker.as_ref()));
            }
        }
    }
}

/// Another autoscaler concerns the fleet that it aims at, when it comes, is changed or goes; its status, which it writes all the
/// time, is of no interest.
fn autoscaler_changed(
    feeds: Feeds,
    workers: Store<Guarded<TemporalWorker>>,
) -> impl Fn(Change<&HorizontalPodAutoscaler>) {
    let seen: Mutex<HashMap<String, u64>> = Mutex::default();
    move |change| {
        let mut seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let object = match change {
            Change::Anew => return,
            Change::Seen(object) => {
                let print = rivals::fingerprint(object);
                if seen.insert(object.uid().unwrap_or_default(), print) == Some(print) {
                    return;
                }
                object
            }
            Change::Gone(object) => {
                seen.remove(&object.uid().unwrap_or_default());
                object
            }
        };
        for worker in workers.state() {
            // Aimed elsewhere now, it may have been aimed at any of them before.
            if worker.namespace() == object.namespace() {
                send(&feeds.fleets, ObjectRef::from_obj(worker.as_ref()));
            }
        }
    }
}

/// Children and pods carry the name of their fleet.
fn child_changed<K: Resource<DynamicType = ()>>(feeds: Feeds) -> impl Fn(Change<&K>) {
    move |change| {
        let (Change::Seen(object) | Change::Gone(object)) = change else {
            return;
        };
        let (Some(fleet), Some(namespace)) = (object.labels().get(names::LABEL_WORKER), object.namespace()) else {
            return;
        };
        send(&feeds.fleets, ObjectRef::new(fleet).within(&namespace));
    }
}

fn pod_changed(feeds: Feeds) -> impl Fn(Change<&Pod>) {
    let changed = child_changed(feeds.clone());
    let asked: Mutex<drains::Asked> = Mutex::default();
    move |change| {
        let mut asked = asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match change {
            Change::Anew => asked.forget(),
            Change::Seen(pod) => asked.seen(pod),
            Change::Gone(pod) => {
                if let Some(drain) = drains::of(pod, asked.gone(pod)) {
                    send(&feeds.drains, drain);
                }
            }
        }
        changed(change);
    }
}

fn send<T>(feed: &UnboundedSender<T>, news: T) {
    // The receiver goes only when the process ends.
    let _ = feed.unbounded_send(news);
}
