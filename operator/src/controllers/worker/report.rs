//! Reporting: one write of the status, events, metrics. It always runs, after failures too, and writes nothing when nothing
//! changed.

use fleet_core::{Notice, NoticeReason, Plan};
use fleet_crds::{TemporalWorker, TemporalWorkerStatus, names};
use jiff::Timestamp;
use kube::{Api, Resource, ResourceExt};

use crate::context::Context;
use crate::k8s::apply::{Precondition, apply_status};
use crate::k8s::events;
use crate::k8s::{Error, chain};

use super::apply::Applied;
use super::gauges::gauges;
use super::status::{Pass, status, worth_writing};

/// Writes what this pass has to say.
pub async fn report(ctx: &Context, pass: &Pass<'_>, notices: &[Notice]) -> Result<(), Error> {
    let worker = pass.worker;
    let uid = worker.uid().unwrap_or_default();
    let mut state = ctx.fleets.get(&uid);
    let known = state.reported.clone().or_else(|| {
        // After a restart the status on the object is what was written last, at a time unknown: long enough ago.
        worker.status.clone().map(|status| (status, Timestamp::UNIX_EPOCH))
    });
    let before = known.as_ref().map(|(status, _)| status.clone()).unwrap_or_default();
    let after = status(pass, &before);
    metrics(ctx, pass, &after);
    publish(ctx, pass, notices).await;
    if let Some(Plan { memory, .. }) = pass.plan {
        // Whether or not the status can be written: the steps were carried out, and the next decision rests on this one.
        state.memory = Some(memory.clone());
    }
    let mut written = Ok(());
    if worth_writing(known.as_ref(), &after, pass.now) {
        let api: Api<TemporalWorker> = Api::namespaced(ctx.client(), &worker.namespace().unwrap_or_default());
        let same = Precondition::same_object(worker.meta());
        let name = worker.name_any();
        written = apply_status(&ctx.cluster, &api, names::MANAGER_STATUS, &name, &after, &same)
            .await
            .map(drop);
        if written.is_ok() {
            state.reported = Some((after, pass.now));
        }
    } else if state.reported.is_none() {
        state.reported = known;
    }
    ctx.fleets.put(&uid, state);
    written
}

/// Events are a courtesy: a failure is logged and the pass goes on.
async fn publish(ctx: &Context, pass: &Pass<'_>, notices: &[Notice]) {
    let regarding = pass.worker.object_ref(&());
    let scaled = pass.applied.scaled.as_ref().map(|(from, to, why)| {
        let reason = match (from, to) {
            (0, _) => NoticeReason::Activated,
            (_, 0) => NoticeReason::ScaledToZero,
            (from, to) if to > from => NoticeReason::ScaledUp,
            _ => NoticeReason::ScaledDown,
        };
        Notice::normal(
            reason,
            format!("{from} -> {to} replicas, decided by {}: {}", why.reason, why.message),
        )
    });
    for notice in scaled.iter().chain(notices) {
        let Notice {
            warning,
            reason,
            message,
        } = notice;
        let event = events::Notice {
            kind: if *warning {
                events::Kind::Warning
            } else {
                events::Kind::Normal
            },
            reason: reason.as_str().to_owned(),
            action: "Reconcile".to_owned(),
            note: message.clone(),
        };
        if let Err(error) = ctx.events.publish(&regarding, &event, pass.now).await {
            tracing::info!(
                error = chain(&error),
                reason = reason.as_str(),
                "an event could not be published"
            );
        }
    }
}

fn metrics(ctx: &Context, pass: &Pass<'_>, status: &TemporalWorkerStatus) {
    let worker = pass.worker;
    let (uid, namespace, name) = (
        worker.uid().unwrap_or_default(),
        worker.namespace().unwrap_or_default(),
        worker.name_any(),
    );
    let series = ctx.metrics.series();
    series.set(&uid, gauges(pass, status, pass.size));
    let fleet = [("worker_namespace", namespace.as_str()), ("worker", name.as_str())];
    if let Some((from, to, why)) = &pass.applied.scaled {
        let direction = if to > from { "out" } else { "in" };
        let labels = [
            fleet[0],
            fleet[1],
            ("direction", direction),
            ("reason", why.reason.as_str()),
        ];
        series.count(&uid, "temporal_fleet_autoscaler_decisions_total", &labels);
    }
    if let Some(world) = pass.world {
        if let Some(pods) = world.pods.known() {
            let temporal_namespace = ("temporal_namespace", worker.spec.temporal_namespace.as_str());
            series.latencies(&uid, &[fleet[0], fleet[1], temporal_namespace], pods);
        }
        for (source, failed) in [
            ("Temporal", world.queues.iter().any(|view| !view.stats.is_known())),
            (
                "WorkerControl",
                world
                    .pods
                    .known()
                    .is_some_and(|pods| pods.iter().any(|pod| pod.ready.is_some() && !pod.report.is_known())),
            ),
        ] {
            if failed {
                series.count(
                    &uid,
                    "temporal_fleet_autoscaler_signal_errors_total",
                    &[fleet[0], fleet[1], ("source", source)],
                );
            }
        }
    }
}

/// What a pass that could not plan has applied: nothing.
pub fn nothing() -> Applied {
    Applied::default()
}
