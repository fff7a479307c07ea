//! The controller of `TemporalConnection`: are its references there, is its server. Fleets do not wait for it: they resolve
//! their connection themselves, and this object tells people the same.

use std::time::Duration;

use fleet_crds::{TemporalConnection, TemporalConnectionStatus, TemporalWorker, names};
use fleet_temporal::Endpoint;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt};

use crate::connection::{self, Owner, Problem};
use crate::context::Context;
use crate::k8s::Error;
use crate::k8s::apply::{Precondition, apply_status};
use crate::k8s::conditions::{self, Status, Verdict};
use crate::metrics::Sample;
use crate::stores::Stores;

/// How often a connection is looked at: as often as its Secrets are read.
const RESYNC: Duration = Duration::from_secs(30);

/// One pass over one connection.
pub async fn reconcile(object: &TemporalConnection, stores: &Stores, ctx: &Context) -> Result<Action, Error> {
    if object.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let now = (ctx.now)();
    let namespace = object.namespace().unwrap_or_default();
    let users: Vec<_> = users(stores, object);
    let (name, uid) = (object.name_any(), object.uid().unwrap_or_default());
    let owner = Owner { name: &name, uid: &uid };
    let resolved = connection::resolve(&ctx.secrets, &namespace, owner, &object.spec, now).await;
    let found = match &resolved {
        Ok(resolved) => Found::Endpoint(&resolved.endpoint, servers(ctx, &users)),
        Err(problem) => Found::Problem(problem),
    };
    let before = object.status.clone().unwrap_or_default();
    let after = status(object, &before, &found, users.len(), now);
    ctx.metrics.series().set(&uid, gauges(&namespace, &name, &after));
    if before != after {
        let api: Api<TemporalConnection> = Api::namespaced(ctx.client(), &namespace);
        let same = Precondition::same_object(object.meta());
        apply_status(&ctx.cluster, &api, names::MANAGER_STATUS, &name, &after, &same).await?;
    }
    Ok(Action::requeue(if resolved.is_err() {
        Duration::from_secs(5)
    } else {
        RESYNC
    }))
}

/// The connection in figures. A connection that nobody has dialled yet is neither ready nor not.
fn gauges(namespace: &str, name: &str, status: &TemporalConnectionStatus) -> Vec<Sample> {
    let labels = [("connection_namespace", namespace), ("connection", name)];
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    let ready = ready.and_then(|condition| match condition.status.as_str() {
        "True" => Some(1.0),
        "False" => Some(0.0),
        _ => None,
    });
    let expires = status
        .certificate_expiration_time
        .as_ref()
        .map(|time| time.0.as_second() as f64);
    let gauges = [
        ("temporal_fleet_connection_ready", ready),
        (
            "temporal_fleet_connection_certificate_expiration_timestamp_seconds",
            expires,
        ),
    ];
    gauges
        .into_iter()
        .filter_map(|(name, value)| Some(Sample::gauge(name, &labels, value?)))
        .collect()
}

enum Found<'a> {
    Endpoint(&'a Endpoint, Option<fleet_core::Connection>),
    Problem(&'a Problem),
}

fn users(stores: &Stores, object: &TemporalConnection) -> Vec<TemporalWorker> {
    stores
        .workers
        .state()
        .into_iter()
        .filter_map(|worker| worker.0.clone().ok())
        .filter(|worker| worker.namespace() == object.namespace())
        .filter(|worker| {
            worker
                .spec
                .connection_ref
                .as_ref()
                .is_some_and(|reference| reference.name == object.name_any())
        })
        .collect()
}

/// What the fleets that use the connection know of its server. A connection that nobody uses is not dialled.
fn servers(ctx: &Context, users: &[TemporalWorker]) -> Option<fleet_core::Connection> {
    users
        .iter()
        .filter_map(|worker| ctx.watching.connection(&worker.uid().unwrap_or_default()))
        .min_by_key(|connection| match connection {
            fleet_core::Connection::Connected { .. } => 0,
            fleet_core::Connection::Failed { .. } => 1,
            fleet_core::Connection::Pending => 2,
        })
}

fn status(
    object: &TemporalConnection,
    before: &TemporalConnectionStatus,
    found: &Found,
    users: usize,
    now: Timestamp,
) -> TemporalConnectionStatus {
    let mut status = before.clone();
    status.observed_generation = object.metadata.generation;
    status.authentication = Some(object.spec.authentication());
    status.used_by = i32::try_from(users).ok();
    let (ready, reason, message, stalled) = match found {
        Found::Problem(problem) => (
            Status::False,
            problem.reason.name(),
            problem.message.clone(),
            problem.stalled.then(|| problem.reason.name()),
        ),
        Found::Endpoint(endpoint, server) => {
            status.certificate_expiration_time = endpoint.certificate_expiration().map(Time);
            match server {
                Some(fleet_core::Connection::Connected { message }) => {
                    status.server_version = message.strip_prefix("Temporal ").map(str::to_owned);
                    (Status::True, "Connected".to_owned(), message.clone(), None)
                }
                Some(fleet_core::Connection::Failed {
                    reason,
                    message,
                    stalled,
                }) => (
                    Status::False,
                    reason.name(),
                    message.clone(),
                    stalled.then(|| reason.name()),
                ),
                Some(fleet_core::Connection::Pending) | None => {
                    let message = "no TemporalWorker has used it yet: it is dialled with the first one";
                    (Status::Unknown, "NotObserved".to_owned(), message.to_owned(), None)
                }
            }
        }
    };
    let mut set = |type_: &str, status_: Status, reason: String, message: String| {
        let verdict = Verdict {
            type_: type_.to_owned(),
            status: status_,
            reason,
            message,
        };
        conditions::set(&mut status.conditions, verdict, object.metadata.generation, now);
    };
    set("Ready", ready, reason, message.clone());
    set(
        "Reconciling",
        Status::False,
        "UpToDate".to_owned(),
        "all changes of the object are applied".to_owned(),
    );
    match stalled {
        Some(reason) => set("Stalled", Status::True, reason, message),
        None => set(
            "Stalled",
            Status::False,
            "NoError".to_owned(),
            "nothing needs a person".to_owned(),
        ),
    }
    status
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_connection_nobody_dialled_is_neither_ready_nor_not() {
        let values = |status: &str| {
            let condition = json!({"type": "Ready", "status": status, "reason": "Any", "message": "",
                                   "lastTransitionTime": "2026-01-02T03:04:05Z"});
            let status = serde_json::from_value(json!({"conditions": [condition]})).expect("a status");
            gauges("shop", "cloud", &status)
        };
        let ready = |value| {
            let labels = [("connection_namespace", "shop"), ("connection", "cloud")];
            vec![Sample::gauge("temporal_fleet_connection_ready", &labels, value)]
        };
        assert_eq!((values("True"), values("False")), (ready(1.0), ready(0.0)));
        assert_eq!(values("Unknown"), vec![]);
    }
}
