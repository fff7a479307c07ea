//! Carrying out a plan: steps in order, stop at the first failure, say what was done.

use fleet_core::{Notice, NoticeReason, Plan, Step, TaskType, Why};
use fleet_crds::{TemporalWorker, names};
use fleet_temporal::{Endpoint, QueueLimit};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::context::Context;
use crate::control_secret;
use crate::k8s::apply::{Precondition, Rendered, apply, apply_scale};
use crate::k8s::{Error as CallError, read};
use crate::render::Fleet;
use crate::signals::control;

use super::validate::Valid;
use super::victims;

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Applied {
    /// A size was written: from, to and why.
    pub scaled: Option<(u32, u32, Why)>,
    /// Steps that were carried out.
    pub steps: usize,
    /// The first failure; the steps after it were not tried.
    pub failure: Option<Error>,
    /// What the steps themselves have to say: pods that left by quarantine, and rate limits that the server did not take. The latter fail
    /// no pass: the fleet works without them, and the next pass tries again.
    pub notices: Vec<Notice>,
}

/// A step that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call to the API server failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The `TemporalWorker` is gone, or another one has its name: this pass rests on what is no more.
    #[error("the TemporalWorker was deleted or replaced meanwhile")]
    Gone,
    /// The Deployment is another one, or another size was written to it: the step rests on what is no more.
    #[error("the Deployment was replaced or resized meanwhile")]
    Resized,
    /// A pod did not take the order to drain.
    #[error("failed to drain Pod {pod}")]
    Drain {
        /// The pod.
        pod: String,
        /// What it said, or that it did not answer.
        source: control::Error,
    },
    /// The certificate of `WorkerControl` could not be made.
    #[error("failed to make the WorkerControl certificate: {0}")]
    Certificate(String),
}

/// Carries out `plan`.
pub async fn apply_plan(ctx: &Context, fleet: &Fleet<'_>, valid: &Valid, endpoint: &Endpoint, plan: &Plan) -> Applied {
    let worker = fleet.worker;
    let mut applied = Applied::default();
    if plan.steps.is_empty() {
        return applied;
    }
    if let Err(error) = still_there(ctx, worker).await {
        applied.failure = Some(error);
        return applied;
    }
    let mut left = Vec::new();
    for step in &plan.steps {
        match one(ctx, fleet, valid, endpoint, step).await {
            Ok(None) => applied.steps += 1,
            Ok(Some(refused)) => applied.notices.push(refused),
            Err(error) => {
                applied.failure = Some(error);
                break;
            }
        }
        match step {
            Step::Scale {
                from,
                to,
                why: Some(why),
                ..
            } => applied.scaled = Some((*from, *to, why.clone())),
            Step::Quarantine {
                name, why: Some(why), ..
            } => left.push(format!("pod {name} {why}")),
            _ => {}
        }
    }
    // One event for all of them: of each reason one a minute is published.
    if !left.is_empty() {
        let notice = Notice::normal(NoticeReason::PodQuarantined, left.join("; "));
        applied.notices.push(notice);
    }
    applied
}

/// A quorum read before the first write: the watch may lag behind a deletion.
async fn still_there(ctx: &Context, worker: &TemporalWorker) -> Result<(), Error> {
    let api: Api<TemporalWorker> = Api::namespaced(ctx.client(), &worker.namespace().unwrap_or_default());
    match read::get_metadata(&ctx.cluster, &api, &worker.name_any()).await? {
        Some(live) if live.uid() == worker.uid() && live.metadata.deletion_timestamp.is_none() => Ok(()),
        Some(_) | None => Err(Error::Gone),
    }
}

/// Carries out one step. What it has to say, instead of a failure, if it was refused and nothing depends on it.
async fn one(
    ctx: &Context,
    fleet: &Fleet<'_>,
    valid: &Valid,
    endpoint: &Endpoint,
    step: &Step,
) -> Result<Option<Notice>, Error> {
    let worker = fleet.worker;
    let namespace = worker.namespace().unwrap_or_default();
    let name = worker.name_any();
    match step {
        Step::MakeControlSecret => {
            make_control_secret(ctx, fleet, &namespace).await?;
        }
        Step::ApplyDeployment { replicas } => {
            let api: Api<Deployment> = Api::namespaced(ctx.client(), &namespace);
            // The stamp is the hash without replicas, which are another manager's concern.
            let rendered = valid
                .rendered_deployment
                .with(&["spec", "replicas"], replicas.map(|count| json!(count)));
            apply(
                &ctx.cluster,
                &api,
                names::MANAGER_CHILDREN,
                &rendered,
                &Precondition::default(),
            )
            .await?;
        }
        Step::ApplyBudget => {
            let api: Api<PodDisruptionBudget> = Api::namespaced(ctx.client(), &namespace);
            apply(
                &ctx.cluster,
                &api,
                names::MANAGER_CHILDREN,
                &valid.rendered_budget,
                &Precondition::default(),
            )
            .await?;
        }
        Step::MarkPod { name: pod, uid, victim } => victims::mark(&ctx.cluster, &namespace, pod, uid, *victim).await?,
        Step::Drain { name: pod, uid } => {
            let drained = ctx.sources.drain(uid).await;
            drained.map_err(|source| Error::Drain {
                pod: pod.clone(),
                source,
            })?;
        }
        Step::Quarantine {
            name: pod,
            uid,
            controller,
            why: _,
        } => victims::take_out(&ctx.cluster, worker, pod, uid, *controller).await?,
        Step::DeletePod { name: pod, uid } => victims::delete(&ctx.cluster, &namespace, pod, uid).await?,
        Step::BarEviction { name: pod, uid, barred } => {
            victims::bar(&ctx.cluster, &namespace, pod, uid, *barred).await?;
        }
        Step::Scale {
            from,
            to,
            uid,
            resource_version,
            why: _,
        } => {
            let unchanged = if to < from {
                // What may end work rests on everything that was seen: any write since then is a conflict.
                Precondition {
                    uid: Some(uid.clone()),
                    resource_version: Some(resource_version.clone()),
                }
            } else {
                // Pods that start rewrite the Deployment's status every moment, and the watch lags behind.
                let api: Api<Deployment> = Api::namespaced(ctx.client(), &namespace);
                let live = read::get(&ctx.cluster, &api, &name).await?;
                live.as_ref()
                    .and_then(|live| same_size(live, uid, *from))
                    .ok_or(Error::Resized)?
            };
            apply_scale(&ctx.cluster, &namespace, &name, names::MANAGER_SCALE, *to, &unchanged).await?;
        }
        Step::LimitQueue {
            queue,
            per_second,
            reason,
        } => {
            let limit = QueueLimit {
                queue: queue.clone(),
                task_type: TaskType::Activity,
                per_second: *per_second,
                reason: reason.clone(),
            };
            return Ok(set_limit(ctx, endpoint, &worker.spec.temporal_namespace, &limit).await);
        }
    }
    Ok(None)
}

async fn make_control_secret(ctx: &Context, fleet: &Fleet<'_>, namespace: &str) -> Result<(), Error> {
    let secret = control_secret::secret(fleet).map_err(|error| Error::Certificate(error.to_string()))?;
    let api: Api<Secret> = Api::namespaced(ctx.client(), namespace);
    let (rendered, new) = (Rendered::new(&secret)?, Precondition::default());
    apply(&ctx.cluster, &api, names::MANAGER_CHILDREN, &rendered, &new).await?;
    ctx.secrets.forget(namespace, &names::control_secret(&fleet.name()));
    Ok(())
}

/// Sets the rate limit of a queue; why not, if the server did not take it.
async fn set_limit(ctx: &Context, endpoint: &Endpoint, temporal_namespace: &str, limit: &QueueLimit) -> Option<Notice> {
    let set = ctx.watching.limit_queue(endpoint, temporal_namespace, limit).await;
    let queue = &limit.queue;
    set.err().map(|error| {
        let message = format!("the rate limit of task queue {queue} is not set (Temporal 1.29 or newer can): {error}");
        Notice::warning(NoticeReason::TaskQueueRateRefused, message)
    })
}

/// The version to write over, if the Deployment still is the one that was seen and has the size that was seen.
fn same_size(live: &Deployment, uid: &str, replicas: u32) -> Option<Precondition> {
    let size = live.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let same = live.metadata.uid.as_deref() == Some(uid) && u32::try_from(size) == Ok(replicas);
    same.then(|| Precondition::unchanged(&live.metadata))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_size_is_written_over_the_version_read_only_if_size_and_object_are_those_seen() {
        let live: Deployment = serde_json::from_value(json!({
            "metadata": {"name": "orders", "uid": "u1", "resourceVersion": "9"},
            "spec": {"replicas": 3, "selector": {}, "template": {}},
        }))
        .unwrap();
        let wanted = Precondition {
            uid: Some("u1".into()),
            resource_version: Some("9".into()),
        };
        assert_eq!(same_size(&live, "u1", 3), Some(wanted));
        assert_eq!(same_size(&live, "u2", 3), None, "another object of the same name");
        assert_eq!(same_size(&live, "u1", 2), None, "somebody else set a size");
    }
}
