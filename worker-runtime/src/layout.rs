//! Which queues the worker serves with which task types, and who takes slots where: settings meet registrations.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use crate::{
    gate::{Gate, TaskType},
    pod::{Gates, Half, Lanes, WorkflowLanes},
    register::Registrations,
    settings::{InvalidSettings, Problem, QueueSettings, QueueType, Settings},
};

/// The queues to serve, with their types filled in; or everything that does not fit.
pub(crate) fn resolve(
    settings: Result<Settings, InvalidSettings>,
    mut problems: Vec<Problem>,
    default_queue: Option<String>,
    registered: &Registrations,
) -> Result<(Settings, Vec<QueueSettings>), InvalidSettings> {
    let settings = match settings {
        Ok(settings) => settings,
        Err(InvalidSettings(others)) => {
            problems.splice(0..0, others);
            return Err(InvalidSettings(problems));
        }
    };
    let mut queues = settings.queues.clone();
    if queues.is_empty() {
        queues.extend(default_queue.map(|name| QueueSettings {
            name,
            types: BTreeSet::new(),
        }));
    }
    if queues.is_empty() {
        problems.push(Problem::new(
            "TEMPORAL_TASK_QUEUE",
            "is absent and the worker has no default queue",
            "a name",
        ));
    }
    for queue in &mut queues {
        let known = registered.of(&queue.name).types();
        if known.is_empty() {
            problems.push(Problem::new(
                "worker",
                format!(
                    "neither a workflow nor an activity is registered for queue {:?}",
                    queue.name
                ),
                "at least one",
            ));
        }
        if queue.types.is_empty() {
            queue.types.clone_from(&known);
        }
        for missing in queue.types.difference(&known) {
            problems.push(Problem::new(
                "TEMPORAL_FLEET_TASK_QUEUES",
                format!(
                    "queue {:?} has type {missing:?}, for which nothing is registered",
                    queue.name
                ),
                format!("{known:?}"),
            ));
        }
    }
    floors(&settings, &queues, &mut problems);
    settings.options.tuner.unwrap_or_default().check(&mut problems);
    if problems.is_empty() {
        Ok((settings, queues))
    } else {
        Err(InvalidSettings(problems))
    }
}

/// Each queue needs a slot of its own per type; for workflow tasks one more, for its sticky part.
fn floors(settings: &Settings, queues: &[QueueSettings], problems: &mut Vec<Problem>) {
    let options = &settings.options;
    let count = |queue_type| queues.iter().filter(|queue| queue.types.contains(&queue_type)).count();
    let per_workflow_queue = if options.max_cached_workflows > 0 { 2 } else { 1 };
    for (variable, limit, floor) in [
        (
            "TEMPORAL_FLEET_MAX_CONCURRENT_WORKFLOW_TASKS",
            options.max_concurrent_workflow_tasks,
            count(QueueType::Workflow) * per_workflow_queue,
        ),
        (
            "TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES",
            options.max_concurrent_activities,
            count(QueueType::Activity),
        ),
    ] {
        if (limit as usize) < floor {
            problems.push(Problem::new(
                variable,
                format!("{limit} slots are too few for the queues of this worker"),
                format!("at least {floor}"),
            ));
        }
    }
}

/// Gates, and which half takes its slots where; with `combined` both halves of a queue are one.
pub(crate) fn layout(
    settings: &Settings,
    queues: &[QueueSettings],
    registered: &Registrations,
    combined: bool,
    now: Instant,
) -> (Gates, Vec<Half>) {
    let options = &settings.options;
    let resource_based = options.tuner.unwrap_or_default().is_resource_based();
    let gate = |task_type, limit| Arc::new(Gate::new(task_type, limit, now).resource_based(resource_based));
    // A queue with workflow tasks runs the activities that it knows locally.
    let local = |queue: &QueueSettings| {
        queue.types.contains(&QueueType::Workflow) && registered.of(&queue.name).has_activities()
    };
    let serves = |queue_type| queues.iter().any(|queue| queue.types.contains(&queue_type));
    let gates = Gates {
        workflow: serves(QueueType::Workflow).then(|| gate(TaskType::Workflow, options.max_concurrent_workflow_tasks)),
        activity: serves(QueueType::Activity).then(|| gate(TaskType::Activity, options.max_concurrent_activities)),
        local_activity: queues
            .iter()
            .any(local)
            .then(|| gate(TaskType::LocalActivity, options.max_concurrent_local_activities)),
    };
    let mut halves = Vec::new();
    for queue in queues {
        let polls = |queue_type| queue.types.contains(&queue_type);
        let workflows = gates.workflow.as_ref().filter(|_| polls(QueueType::Workflow));
        let workflows = workflows.map(|workflow| WorkflowLanes {
            normal: workflow.add_lane(now),
            sticky: (options.max_cached_workflows > 0).then(|| workflow.add_lane(now)),
            local: gates
                .local_activity
                .as_ref()
                .filter(|_| local(queue))
                .map(|gate| gate.add_lane(now)),
        });
        let activities = gates.activity.as_ref().filter(|_| polls(QueueType::Activity));
        let activities = activities.map(|gate| gate.add_lane(now));
        let mut half = |workflows, activities| {
            halves.push(Half {
                queue: queue.name.clone(),
                lanes: Lanes { workflows, activities },
            });
        };
        if combined {
            half(workflows, activities);
            continue;
        }
        if workflows.is_some() {
            half(workflows, None);
        }
        if activities.is_some() {
            half(None, activities);
        }
    }
    (gates, halves)
}
