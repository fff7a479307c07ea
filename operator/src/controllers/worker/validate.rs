//! Validation: the `TemporalWorker` and what it refers to become `Desired`, or an error that names the field and the fix.
//! After this step nobody reads the object's spec any more.

use std::collections::BTreeMap;

use fleet_autoscale::{
    Fallback, Mode, Policy, Prior, Profile, RuleKind, ScaleDownBehavior, ScalingRule, ScheduleToStart, SelectPolicy,
    SlotKind, TaskType,
};
use fleet_core::{Desired, Queue, Reason, Size, pause};
use fleet_crds as api;
use fleet_crds::names;
use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;

use crate::k8s::apply::Rendered;
use crate::render::{self, Fleet, env, volumes};

/// A fleet that can be planned and applied.
#[derive(Debug)]
pub struct Valid {
    /// For the planner.
    pub desired: Desired,
    /// For the executor.
    pub deployment: Deployment,
    /// The same as it is sent, without replicas.
    pub rendered_deployment: Rendered,
    /// The disruption budget as it is sent.
    pub rendered_budget: Rendered,
    /// The disruption budget.
    pub budget: PodDisruptionBudget,
}

/// Why a fleet cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Reason of `Stalled`.
    pub reason: Reason,
    /// The field and the fix.
    pub message: String,
}

impl Invalid {
    fn template(message: impl Into<String>) -> Self {
        Self {
            reason: Reason::PodTemplateInvalid,
            message: message.into(),
        }
    }
}

/// Checks and renders a fleet.
pub fn valid(fleet: &Fleet) -> Result<Valid, Invalid> {
    template(fleet)?;
    let deployment = render::deployment::deployment(fleet);
    let budget = render::budget::budget(fleet);
    let rendered_deployment = Rendered::new(&deployment).map_err(|error| Invalid::template(error.to_string()))?;
    let rendered_budget = Rendered::new(&budget).map_err(|error| Invalid::template(error.to_string()))?;
    let spec = &fleet.worker.spec;
    let desired = Desired {
        name: fleet.name(),
        namespace: fleet.worker.metadata.namespace.clone().unwrap_or_default(),
        queue_rate: spec
            .worker_options
            .as_ref()
            .and_then(|options| options.max_task_queue_activities_per_second)
            .map(f64::from),
        size: size(spec)?,
        pause: pause::read(fleet.worker.annotations()),
        queues: queues(&spec.task_queues),
        default_slots: slots(spec.worker_options.as_ref()),
        deployment_hash: rendered_deployment.hash().to_owned(),
        budget_hash: rendered_budget.hash().to_owned(),
        graceful: SignedDuration::from_secs(fleet.graceful_seconds()),
        progress_deadline: SignedDuration::from_secs(i64::from(spec.progress_deadline_seconds)),
    };
    Ok(Valid {
        desired,
        deployment,
        rendered_deployment,
        rendered_budget,
        budget,
    })
}

/// Names that the operator writes must be free in the template.
fn template(fleet: &Fleet) -> Result<(), Invalid> {
    let Some(template) = &fleet.worker.spec.template else {
        return Ok(());
    };
    let labels = template
        .metadata
        .iter()
        .flat_map(|metadata| metadata.labels.iter().flatten());
    for (key, _) in labels {
        if key.starts_with(names::RESERVED_PREFIX) {
            return Err(Invalid::template(format!(
                "template.metadata.labels: {key} is reserved: remove it"
            )));
        }
    }
    let Some(pod) = &template.spec else { return Ok(()) };
    for container in &pod.containers {
        for variable in container.env.iter().flatten() {
            if env::reserved(&variable.name) {
                return Err(Invalid::template(format!(
                    "template.spec.containers[{}].env: {} is set by the operator: remove it",
                    container.name, variable.name
                )));
            }
        }
    }
    for volume in pod.volumes.iter().flatten() {
        if volume.name.starts_with(volumes::PREFIX) {
            return Err(Invalid::template(format!(
                "template.spec.volumes: the prefix of {} is reserved: rename it",
                volume.name
            )));
        }
    }
    let graceful = fleet.graceful_seconds();
    if graceful < 0 {
        return Err(Invalid::template(format!(
            "template.spec.terminationGracePeriodSeconds must be at least {}: raise it",
            names::SHUTDOWN_MARGIN_SECONDS
        )));
    }
    Ok(())
}

fn queues(task_queues: &[api::TaskQueue]) -> Vec<Queue> {
    task_queues
        .iter()
        .flat_map(|queue| {
            queue.types.iter().map(|task_type| Queue {
                name: queue.name.clone(),
                task_type: task_type_of(*task_type),
            })
        })
        .collect()
}

/// The API's type of a queue in the planner's terms.
pub fn task_type_of(task_type: api::TaskType) -> TaskType {
    match task_type {
        api::TaskType::Workflow => TaskType::Workflow,
        api::TaskType::Activity => TaskType::Activity,
        api::TaskType::Nexus => TaskType::Nexus,
    }
}

/// With a resource-based tuner these are the ceilings: no report tells more, and how far the CPU carries them the model knows.
fn slots(options: Option<&api::WorkerOptions>) -> BTreeMap<SlotKind, u32> {
    let Some(options) = options else { return BTreeMap::new() };
    [
        (SlotKind::Workflow, options.max_concurrent_workflow_tasks),
        (SlotKind::Activity, options.max_concurrent_activities),
        (SlotKind::LocalActivity, options.max_concurrent_local_activities),
    ]
    .into_iter()
    .filter_map(|(kind, count)| Some((kind, u32::try_from(count?).ok()?)))
    .collect()
}

fn size(spec: &api::TemporalWorkerSpec) -> Result<Size, Invalid> {
    let replicas = unsigned(spec.replicas);
    let Some(autoscaling) = &spec.autoscaling else {
        return Ok(Size::Fixed {
            replicas,
            shadow: None,
            turned_off: false,
        });
    };
    let policy = policy(autoscaling)?;
    Ok(match autoscaling.mode {
        api::AutoscalingMode::Auto => Size::Auto { policy, replicas },
        api::AutoscalingMode::DryRun => Size::Fixed {
            replicas,
            shadow: Some(policy),
            turned_off: false,
        },
        api::AutoscalingMode::Off => Size::Fixed {
            replicas,
            shadow: None,
            turned_off: true,
        },
    })
}

fn policy(spec: &api::AutoscalingSpec) -> Result<Policy, Invalid> {
    let api::AutoscalingSpec {
        mode,
        min_replicas,
        max_replicas,
        profile,
        targets:
            api::Targets {
                schedule_to_start,
                cpu_utilization,
                memory_utilization,
                slot_utilization,
                backlog_per_replica,
            },
        behavior,
        fallback,
        cooldown_seconds,
        polling_interval_seconds,
    } = spec;
    Policy {
        mode: match mode {
            api::AutoscalingMode::Auto => Mode::Auto,
            api::AutoscalingMode::DryRun => Mode::DryRun,
            api::AutoscalingMode::Off => Mode::Off,
        },
        min_replicas: unsigned(*min_replicas),
        max_replicas: unsigned(*max_replicas),
        profile: match profile {
            api::AutoscalingProfile::Cost => Profile::Cost,
            api::AutoscalingProfile::Balanced => Profile::Balanced,
            api::AutoscalingProfile::Latency => Profile::Latency,
        },
        schedule_to_start: schedule_to_start.enabled.then(|| ScheduleToStart {
            seconds: f64::from(schedule_to_start.seconds),
            percentile: f64::from(schedule_to_start.percentile),
        }),
        cpu_utilization: cpu_utilization
            .enabled
            .then(|| f64::from(cpu_utilization.percent) / 100.0),
        memory_utilization: memory_utilization
            .as_ref()
            .map(|target| f64::from(target.percent) / 100.0),
        slot_utilization: slot_utilization
            .as_ref()
            .map(|target| f64::from(target.percent) / 100.0),
        backlog_per_replica: backlog_per_replica.map(unsigned),
        cooldown: seconds(*cooldown_seconds),
        polling_interval: seconds(*polling_interval_seconds),
        scale_down: behavior
            .as_ref()
            .and_then(|behavior| behavior.scale_down.as_ref())
            .map(scale_down),
        fallback: fallback.as_ref().and_then(self::fallback),
        prior: Prior::default(),
    }
    .validated()
    .map_err(|error| Invalid {
        reason: Reason::PodTemplateInvalid,
        message: format!("autoscaling: {error}"),
    })
}

/// `HoldCurrent` is what the law does without one.
fn fallback(spec: &api::FallbackSpec) -> Option<Fallback> {
    let api::FallbackSpec {
        policy,
        replicas,
        failure_threshold,
    } = spec;
    let fixed = match policy {
        api::FallbackPolicy::HoldCurrent => return None,
        api::FallbackPolicy::AtLeast => false,
        api::FallbackPolicy::Fixed => true,
    };
    Some(Fallback {
        replicas: unsigned(replicas.unwrap_or(0)),
        failures: unsigned(*failure_threshold),
        fixed,
    })
}

fn scale_down(spec: &api::ScaleDownBehavior) -> ScaleDownBehavior {
    let api::ScaleDownBehavior {
        stabilization_window_seconds,
        select_policy,
        policies,
    } = spec;
    ScaleDownBehavior {
        stabilization_window: seconds(stabilization_window_seconds.unwrap_or(300)),
        select_policy: match select_policy.unwrap_or_default() {
            api::SelectPolicy::Max => SelectPolicy::Max,
            api::SelectPolicy::Min => SelectPolicy::Min,
            api::SelectPolicy::Disabled => SelectPolicy::Disabled,
        },
        policies: policies
            .iter()
            .map(|rule| ScalingRule {
                kind: match rule.type_ {
                    api::ScalingRuleType::Pods => RuleKind::Pods,
                    api::ScalingRuleType::Percent => RuleKind::Percent,
                },
                value: unsigned(rule.value),
                period: seconds(rule.period_seconds),
            })
            .collect(),
    }
}

/// The schema bounds these at zero; a smaller one that slipped through reads as zero.
fn unsigned(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

fn seconds(value: i32) -> SignedDuration {
    SignedDuration::from_secs(i64::from(value))
}
