//! The controller of `TemporalWorker`: the driver of one pass. The work lies in the phases.

pub mod apply;
pub mod gauges;
pub mod observe;
pub mod pods;
pub mod report;
pub mod status;
pub mod validate;
pub mod victims;
pub mod world;

use std::sync::Arc;
use std::time::Duration;

use fleet_autoscale::Record;
use fleet_core::rules::credentials;
use fleet_core::{
    Class, Connection, Desired, Memory, Notice, NoticeReason, Pass as PlanPass, Plan, Verdict, pause, plan, readiness,
};
use fleet_crds::{CredentialRotation, TemporalWorker, names};
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use kube::runtime::controller::Action;

use crate::connection::{Problem, Resolved};
use crate::context::Context;
use crate::k8s::Error as CallError;
use crate::render::Fleet;
use crate::stores::Stores;
use crate::temporal::FleetRef;

use self::apply::{Applied, apply_plan};
use self::observe::{Observed, observe};
use self::status::Pass;

/// A pass that could not do what it decided.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A step of the plan failed.
    #[error("a step of the plan failed")]
    Apply(#[source] apply::Error),
    /// The status could not be written.
    #[error("the status could not be written")]
    Report(#[source] CallError),
}

impl Error {
    /// What the failure asks for.
    pub fn class(&self) -> Class {
        match self {
            Self::Apply(apply::Error::Call(error)) | Self::Report(error) => error.class(),
            Self::Apply(apply::Error::Gone | apply::Error::Resized) => Class::Conflict,
            Self::Apply(apply::Error::Drain { .. }) => Class::Unavailable,
            Self::Apply(apply::Error::Certificate(_)) => Class::Bug,
        }
    }
}

/// One pass over one fleet.
pub async fn reconcile(
    worker: &TemporalWorker,
    fleet: &FleetRef,
    stores: &Stores,
    ctx: &Context,
) -> Result<Action, Error> {
    if worker.metadata.deletion_timestamp.is_some() {
        // Children go by their owner references; what is in memory goes when the object is gone.
        return Ok(Action::await_change());
    }
    let observed = observe(ctx, stores, worker).await;
    match &observed.connection {
        Ok(resolved) => planned(ctx, worker, fleet, &observed, resolved).await,
        Err(problem) => {
            ctx.watching.forget(&worker.uid().unwrap_or_default());
            blocked(ctx, worker, &observed, problem).await
        }
    }
}

async fn planned(
    ctx: &Context,
    worker: &TemporalWorker,
    fleet: &FleetRef,
    observed: &Observed,
    resolved: &Resolved,
) -> Result<Action, Error> {
    let on_template = checksum_on_template(observed);
    let restart = worker.spec.credential_rotation == CredentialRotation::RollingRestart;
    let checksum = resolved
        .checksum
        .as_deref()
        .map(|content| credentials::checksum(content, on_template.as_deref(), restart, &observed.pods));
    let rendered = Fleet {
        worker,
        connection: &resolved.spec,
        credentials_checksum: checksum,
        replicas: observed
            .memory
            .desired
            .unwrap_or(u32::try_from(worker.spec.replicas).unwrap_or(0)),
    };
    let valid = match validate::valid(&rendered) {
        Ok(valid) => valid,
        Err(invalid) => {
            return blocked(
                ctx,
                worker,
                observed,
                &Problem::stalled(invalid.reason, invalid.message),
            )
            .await;
        }
    };
    let uid = worker.uid().unwrap_or_default();
    let interval = interval(worker, observed);
    let subscription = ctx.watching.subscribe(
        &uid,
        fleet,
        &resolved.endpoint,
        &worker.spec.temporal_namespace,
        &valid.desired.queues,
        interval,
    );
    let connection = described(subscription.connection(), resolved);
    let queues = subscription.queues(&valid.desired.queues, observed.now);
    let world = world::world(worker, observed, &valid, connection, queues);
    let restarts = on_template.is_some() && checksum != on_template.as_deref();
    let mut state = observed.state.clone();
    let rolling = fleet_core::rules::size::ours(&world).is_some_and(fleet_core::DeploymentView::rolling);
    state.credential_restart = restarts || (state.credential_restart && rolling);
    let pass = PlanPass {
        new_generation: worker.status.as_ref().and_then(|status| status.observed_generation)
            != worker.metadata.generation,
        credential_restart: state.credential_restart,
    };
    ctx.fleets.put(&uid, state);
    let mut plan = plan(&valid.desired, &world, &observed.memory, pass, observed.now);
    record(ctx, worker, &valid.desired, observed, &mut plan);
    let applied = apply_plan(ctx, &rendered, &valid, &resolved.endpoint, &plan).await;
    if applied.failure.is_some() && applied.scaled.is_none() {
        plan.not_scaled_in(&observed.memory);
    }
    if let Some(decision) = &plan.decision {
        ctx.watching
            .set_interval(&uid, Duration::try_from(decision.next_poll).unwrap_or(interval));
    }
    let mut notices = plan.notices.clone();
    notices.extend(applied.notices.iter().cloned());
    if restarts && applied.failure.is_none() {
        notices.push(Notice::normal(
            NoticeReason::CredentialsRotated,
            "credentials changed; pods restart one by one",
        ));
    }
    let said = Pass {
        worker,
        now: observed.now,
        deployment: ours(observed, &uid),
        world: Some(&world),
        plan: Some(&plan),
        applied: &applied,
        size: Some(&valid.desired.size),
        verdicts: &plan.verdicts,
    };
    let reported = report::report(ctx, &said, &notices).await.map_err(Error::Report);
    outcome(&plan, applied, reported)
}

/// Hands the decision to the recorder, if there is one, with all that it was made from.
fn record(ctx: &Context, worker: &TemporalWorker, desired: &Desired, observed: &Observed, plan: &mut Plan) {
    let Some(recorder) = &ctx.recorder else { return };
    if let (Some(policy), Some(sample), Some(decision)) = (desired.size.policy(), plan.sample.take(), &plan.decision) {
        let record = Record {
            at: observed.now,
            policy: policy.clone(),
            memory: Some(observed.memory.autoscale.clone()),
            continues: false,
            sample,
            decision: decision.clone(),
        };
        let (namespace, name) = (worker.namespace().unwrap_or_default(), worker.name_any());
        recorder.record(&namespace, &name, &worker.uid().unwrap_or_default(), record);
    }
}

/// Something that the fleet refers to is missing or wrong: what runs stays as it is, and the status says what to do.
async fn blocked(
    ctx: &Context,
    worker: &TemporalWorker,
    observed: &Observed,
    problem: &Problem,
) -> Result<Action, Error> {
    let hold = pause::read(worker.annotations()).hold;
    let verdicts: Vec<Verdict> = readiness::blocked(problem.reason, &problem.message, problem.stalled, hold);
    let applied = report::nothing();
    let uid = worker.uid().unwrap_or_default();
    let said = Pass {
        worker,
        now: observed.now,
        deployment: ours(observed, &uid),
        world: None,
        plan: None,
        applied: &applied,
        size: None,
        verdicts: &verdicts,
    };
    let mut notices = vec![Notice::warning(
        NoticeReason::ConnectionFailed,
        format!("{}: {}", problem.reason.name(), problem.message),
    )];
    notices.extend(hold.change_from(observed.memory.hold));
    let mut state = ctx.fleets.get(&uid);
    state.memory = Some(Memory {
        hold,
        ..observed.memory.clone()
    });
    ctx.fleets.put(&uid, state);
    report::report(ctx, &said, &notices).await.map_err(Error::Report)?;
    // What a person has to mend may be mended in an object that no watch shows, such as a Secret.
    Ok(Action::requeue(Duration::from_secs(5)))
}

fn outcome(plan: &Plan, applied: Applied, reported: Result<(), Error>) -> Result<Action, Error> {
    if let Some(failure) = applied.failure {
        return Err(Error::Apply(failure));
    }
    reported?;
    Ok(Action::requeue(
        Duration::try_from(plan.next_check).unwrap_or(Duration::from_secs(5)),
    ))
}

fn ours<'a>(observed: &'a Observed, uid: &str) -> Option<&'a Arc<Deployment>> {
    let live = observed.deployment.known()?.as_ref()?;
    live.owner_references()
        .iter()
        .any(|owner| owner.uid == uid && owner.controller == Some(true))
        .then_some(live)
}

fn checksum_on_template(observed: &Observed) -> Option<String> {
    let live = observed.deployment.known()?.as_ref()?;
    let metadata = live.spec.as_ref()?.template.metadata.as_ref()?;
    metadata
        .annotations
        .as_ref()?
        .get(names::ANNOTATION_CREDENTIALS_CHECKSUM)
        .cloned()
}

fn interval(worker: &TemporalWorker, observed: &Observed) -> Duration {
    let calm = worker
        .spec
        .autoscaling
        .as_ref()
        .map_or(15, |spec| u64::try_from(spec.polling_interval_seconds).unwrap_or(15));
    let at_zero = observed.memory.desired == Some(0);
    Duration::from_secs(if at_zero { 5 } else { calm })
}

/// The connection's message with what only the endpoint knows.
fn described(connection: Connection, resolved: &Resolved) -> Connection {
    match connection {
        Connection::Connected { message } => {
            let authentication = resolved.endpoint.authentication();
            let mut message = format!(
                "{message}, {}",
                match authentication {
                    fleet_temporal::Authentication::None => "no TLS",
                    other => other.as_str(),
                }
            );
            if let Some(until) = resolved.endpoint.certificate_expiration() {
                message.push_str(&format!(", certificate until {}", until.strftime("%Y-%m-%d")));
            }
            Connection::Connected { message }
        }
        other => other,
    }
}
