//! A `TemporalWorker` in the simulator's terms: its policy, the slots and CPU of its pods, its queues. What a manifest does not
//! say is assumed, and every assumption is told with the option or field that ends it.

use anyhow::{Context as _, ensure};
use fleet_crds::{TaskType, TemporalWorker, TemporalWorkerSpec, WorkerOptions, names};
use fleet_sim::scenario::{self, Bounds, Faults, Kind, Load, Objective, Pods, Scenario, Service};
use kube::ResourceExt as _;

use super::{Subject, policy};
use crate::args::Beyond;
use crate::model::cores;

/// Runs, unless the command line says otherwise.
const RUNS: u64 = 5;
/// Slots of a kind that the manifest leaves to the runtime.
const SLOTS: i32 = 100;
/// Mean time that a task other than a workflow's runs [s], and its spread: calls to other systems.
const TASK_SECONDS: f64 = 2.0;
const TASK_VARIATION: f64 = 2.0;
/// CPU of such a task [cores].
const TASK_CORES: f64 = 0.02;
/// A workflow task: short, and computation for the most part.
const WORKFLOW_SECONDS: f64 = 0.05;
const WORKFLOW_CORES: f64 = 0.6;
/// Time to the first poll of a pod [s].
const POD_START: f64 = 20.0;
/// CPU of a pod that has neither limit nor request [cores].
const POD_CORES: f64 = 1.0;
/// The longest grace that the simulator knows [s].
const LONGEST_GRACE: i64 = 86_400;

/// The fleet of a manifest, on a load that is yet to be chosen.
pub(super) fn subject(worker: &TemporalWorker, beyond: Beyond) -> anyhow::Result<Subject> {
    let spec = &worker.spec;
    let autoscaling = spec
        .autoscaling
        .as_ref()
        .context("spec.autoscaling is missing, so the size is fixed: add autoscaling: {maxReplicas: 10}")?;
    let policy = policy::of(autoscaling).context("spec.autoscaling")?;
    check(beyond)?;
    let mut assumed = Vec::new();
    let kinds = kinds(spec, beyond, &mut assumed);
    let pods = pods(spec, beyond, &mut assumed)?;
    let objective = if let Some(target) = policy.schedule_to_start {
        Objective {
            seconds: target.seconds,
            percentile: target.percentile,
        }
    } else {
        assumed.push("waiting is judged by p99 of 5 s, as the fleet has no targets.scheduleToStart".to_owned());
        Objective::default()
    };
    if policy.memory_utilization.is_some() {
        assumed.push("targets.memoryUtilization does not count: the simulated pods have no memory".to_owned());
    }
    let start = u32::try_from(spec.replicas).unwrap_or(0);
    let scenario = Scenario {
        name: worker.name_any(),
        kinds,
        load: Load::default(),
        trace: None,
        seeds: (1..=RUNS).collect(),
        duration_seconds: 3600.0,
        pods,
        bounds: Bounds {
            min: policy.min_replicas,
            max: policy.max_replicas,
            start: start.clamp(policy.min_replicas, policy.max_replicas),
        },
        objective,
        faults: Faults::default(),
        policy: Some(policy),
    };
    Ok(Subject { scenario, assumed })
}

/// The bounds of the simulator, said of the options that the user knows.
fn check(beyond: Beyond) -> anyhow::Result<()> {
    let Beyond {
        task_seconds,
        task_cpu,
        pod_start_seconds,
    } = beyond;
    ensure!(
        task_seconds.is_none_or(|seconds| seconds > 0.0 && seconds <= 864_000.0),
        "--task-seconds must be more than 0, at most 864000"
    );
    ensure!(
        task_cpu.is_none_or(|cores| cores <= 64.0),
        "--task-cpu must be at most 64"
    );
    ensure!(
        pod_start_seconds.is_none_or(|seconds| (0.0..=3600.0).contains(&seconds)),
        "--pod-start-seconds must be 0 to 3600"
    );
    Ok(())
}

/// One kind of task for each type: the simulator has one queue of a type.
fn kinds(spec: &TemporalWorkerSpec, beyond: Beyond, assumed: &mut Vec<String>) -> Vec<Kind> {
    let options = spec.worker_options.as_ref();
    let count = |task_type: TaskType| {
        let queues = spec.task_queues.iter();
        queues.filter(|queue| queue.types.contains(&task_type)).count()
    };
    let types = [TaskType::Workflow, TaskType::Activity, TaskType::Nexus];
    let types: Vec<TaskType> = types.into_iter().filter(|task_type| count(*task_type) > 0).collect();
    let only = types.len() == 1;
    let mut kinds = Vec::new();
    for task_type in types {
        let told = only || task_type != TaskType::Workflow;
        let given = if told { beyond } else { Beyond::default() };
        let kind = kind(task_type, options, given, count(task_type));
        let by = |option: &str| if told { format!(" ({option})") } else { String::new() };
        if given.task_seconds.is_none() {
            let mean = kind.service.mean_seconds;
            assumed.push(format!(
                "{task_type} tasks run for {mean} s in the mean{}",
                by("--task-seconds")
            ));
        }
        if given.task_cpu.is_none() {
            let cpu = (kind.cores * 1000.0).round();
            assumed.push(format!("{task_type} tasks use {cpu}m CPU each{}", by("--task-cpu")));
        }
        assumed.push(format!("{} slots for {task_type} tasks in a pod", kind.slots));
        kinds.push(kind);
    }
    if !only && count(TaskType::Workflow) > 0 {
        assumed.push("two Workflow tasks for one task of each other type".to_owned());
    }
    let resource_based = options.and_then(|options| options.tuner.as_ref()?.resource_based);
    if resource_based.is_some() {
        let text = "the ceilings of workerOptions.tuner.resourceBased are taken for slots that are always there";
        assumed.push(text.to_owned());
    }
    kinds
}

fn kind(task_type: TaskType, options: Option<&WorkerOptions>, beyond: Beyond, queues: usize) -> Kind {
    let given = |read: fn(&WorkerOptions) -> Option<i32>| options.and_then(read);
    let (of_type, slots, eager, share) = match task_type {
        TaskType::Workflow => {
            let slots = given(|options| options.max_concurrent_workflow_tasks);
            (scenario::TaskType::Workflow, slots, 0.7, 2.0)
        }
        TaskType::Activity => {
            let slots = given(|options| options.max_concurrent_activities);
            (scenario::TaskType::Activity, slots, 0.1, 1.0)
        }
        TaskType::Nexus => (scenario::TaskType::Nexus, None, 0.0, 1.0),
    };
    let workflow = task_type == TaskType::Workflow;
    let (seconds, variation, cores) = if workflow {
        (WORKFLOW_SECONDS, 1.0, WORKFLOW_CORES)
    } else {
        (TASK_SECONDS, TASK_VARIATION, TASK_CORES)
    };
    let limit = given(|options| options.max_task_queue_activities_per_second);
    Kind {
        name: task_type.as_str().to_lowercase(),
        task_type: of_type,
        slots: u32::try_from(slots.unwrap_or(SLOTS)).unwrap_or(0),
        service: Service {
            distribution: scenario::Family::Lognormal,
            mean_seconds: beyond.task_seconds.unwrap_or(seconds),
            variation,
            tail: 2.2,
            longest: 100.0,
        },
        cores: beyond.task_cpu.unwrap_or(cores),
        share,
        eager,
        partitions: 4,
        // The limit is one of each queue.
        rate_limit: limit
            .filter(|_| task_type == TaskType::Activity)
            .map(|limit| f64::from(limit) * queues as f64),
        downstream_limit: None,
        heartbeat_timeout_seconds: 30.0,
    }
}

fn pods(spec: &TemporalWorkerSpec, beyond: Beyond, assumed: &mut Vec<String>) -> anyhow::Result<Pods> {
    let (limit, request) = (cpu(spec, "limits")?, cpu(spec, "requests")?);
    let cores = limit.or(request).unwrap_or_else(|| {
        assumed.push(format!(
            "{POD_CORES} core for each pod: the container `worker` has no limit and no request of CPU, and without one the real \
             autoscaler has no CPU target"
        ));
        POD_CORES
    });
    ensure!(
        (0.05..=256.0).contains(&cores),
        "the container `worker` has {cores} cores by its CPU limit, else its request: the simulator knows 50m to 256"
    );
    let start_seconds = beyond.pod_start_seconds.unwrap_or(POD_START);
    if beyond.pod_start_seconds.is_none() {
        assumed.push(format!(
            "a pod polls {start_seconds} s after its creation (--pod-start-seconds)"
        ));
    }
    let template = spec.template.as_ref().and_then(|template| template.spec.as_ref());
    let graceful = spec
        .worker_options
        .as_ref()
        .and_then(|options| options.graceful_shutdown_seconds);
    let grace = template
        .and_then(|pod| pod.termination_grace_period_seconds)
        .unwrap_or_else(|| graceful.map_or(60, i64::from) + names::SHUTDOWN_MARGIN_SECONDS);
    Ok(Pods {
        cores,
        cpu_request: request.map(|request| request.clamp(0.001, cores)),
        start_seconds,
        grace_seconds: grace.clamp(0, LONGEST_GRACE) as f64,
        ..Pods::default()
    })
}

/// CPU of the container `worker` by its `limits` or `requests` [cores].
fn cpu(spec: &TemporalWorkerSpec, list: &str) -> anyhow::Result<Option<f64>> {
    let resources = spec
        .worker_container()
        .and_then(|container| container.resources.as_ref());
    let amounts = resources.and_then(|resources| match list {
        "limits" => resources.limits.as_ref(),
        _ => resources.requests.as_ref(),
    });
    let Some(amount) = amounts.and_then(|amounts| amounts.get("cpu")) else {
        return Ok(None);
    };
    let cores = cores(&amount.0).with_context(|| {
        let field = format!("spec.template.spec.containers[worker].resources.{list}.cpu");
        format!("{field}: `{}` is no quantity of CPU: write it as 500m or 2", amount.0)
    })?;
    Ok(Some(cores))
}
