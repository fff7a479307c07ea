//! Who scales for a queue: of several fleets on the same server, Temporal namespace, queue and type, the oldest.

use fleet_crds::{TaskQueue, TaskType, TemporalConnection, TemporalWorker};
use kube::ResourceExt;

use crate::stores::Stores;

/// `namespace/name` of an older fleet that claims a queue of `worker`, or `None`. The same answer on every pass and in every
/// order: by creation, then by UID.
pub fn claimed_by(scopes: &[Stores], worker: &TemporalWorker) -> Option<String> {
    oldest(scopes, worker, |other| shares_queue(worker, other, None))
}

/// `namespace/name` of an older fleet that sets another rate limit for an Activity queue of `worker`, or `None`.
pub fn rate_claimed_by(scopes: &[Stores], worker: &TemporalWorker) -> Option<String> {
    let rate = queue_rate(worker)?;
    oldest(scopes, worker, |other| {
        shares_queue(worker, other, Some(TaskType::Activity)) && queue_rate(other).is_some_and(|others| others != rate)
    })
}

fn queue_rate(worker: &TemporalWorker) -> Option<i32> {
    worker
        .spec
        .worker_options
        .as_ref()?
        .max_task_queue_activities_per_second
}

/// The oldest of all fleets on the same server and in the same Temporal namespace that are older than `worker` and in its way.
fn oldest(scopes: &[Stores], worker: &TemporalWorker, in_the_way: impl Fn(&TemporalWorker) -> bool) -> Option<String> {
    let address = address(scopes, worker)?;
    let mut older: Vec<_> = scopes
        .iter()
        .flat_map(|stores| stores.workers.state())
        .filter_map(|guarded| {
            let other = guarded.0.as_ref().ok()?;
            let is_older = seniority(other) < seniority(worker) && other.uid() != worker.uid();
            let competes = other.metadata.deletion_timestamp.is_none()
                && other.spec.temporal_namespace == worker.spec.temporal_namespace
                && in_the_way(other)
                && self::address(scopes, other).as_ref() == Some(&address);
            (is_older && competes).then(|| {
                (
                    seniority(other),
                    format!("{}/{}", other.namespace().unwrap_or_default(), other.name_any()),
                )
            })
        })
        .collect();
    older.sort();
    older.into_iter().next().map(|(_, name)| name)
}

fn seniority(worker: &TemporalWorker) -> (Option<jiff::Timestamp>, Option<String>) {
    (
        worker.metadata.creation_timestamp.as_ref().map(|time| time.0),
        worker.uid(),
    )
}

/// Of any type, or of the one given.
fn shares_queue(one: &TemporalWorker, other: &TemporalWorker, only: Option<TaskType>) -> bool {
    one.spec.task_queues.iter().any(|a| {
        other
            .spec
            .task_queues
            .iter()
            .any(|b| a.name == b.name && shares_type(a, b, only))
    })
}

fn shares_type(one: &TaskQueue, other: &TaskQueue, only: Option<TaskType>) -> bool {
    one.types
        .iter()
        .any(|task_type| other.types.contains(task_type) && only.is_none_or(|only| only == *task_type))
}

/// Address of the Temporal server of a fleet, lower case; `None` while its connection is not there.
fn address(scopes: &[Stores], worker: &TemporalWorker) -> Option<String> {
    if let Some(inline) = &worker.spec.connection {
        return Some(inline.address.to_lowercase());
    }
    let name = &worker.spec.connection_ref.as_ref()?.name;
    connection(scopes, &worker.namespace()?, name).map(|connection| connection.spec.address.to_lowercase())
}

/// The `TemporalConnection` of that name, if a watch has seen it and it is readable.
pub fn connection(scopes: &[Stores], namespace: &str, name: &str) -> Option<TemporalConnection> {
    let reference = kube::runtime::reflector::ObjectRef::new(name).within(namespace);
    scopes
        .iter()
        .find_map(|stores| stores.connections.get(&reference))
        .and_then(|guarded| guarded.0.clone().ok())
}
