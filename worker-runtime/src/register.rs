//! What is registered where: workflows and activities for every queue, and those for one queue alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use temporalio_common::{WorkflowDefinition, worker::VersioningBehavior};
use temporalio_sdk::{
    WorkerOptions,
    activities::{ActivityDefinitions, ActivityImplementer},
    workflows::WorkflowImplementation,
};

use crate::{
    activity,
    dynamic::{self, Dynamic, DynamicWorkflow},
    settings::{Problem, QueueType},
};

/// Where open workflows of a version go when another version becomes current.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versioning {
    /// They stay until they end.
    #[default]
    Pinned,
    /// They move with their next task, and replay on the new code.
    AutoUpgrade,
}

impl From<Versioning> for VersioningBehavior {
    fn from(versioning: Versioning) -> Self {
        match versioning {
            Versioning::Pinned => Self::Pinned,
            Versioning::AutoUpgrade => Self::AutoUpgrade,
        }
    }
}

/// Workflows and activities of a queue, in two sets to be copied for each SDK Worker.
#[derive(Clone)]
pub(crate) struct Registered {
    /// Workflows, and activities that can run locally.
    pub(crate) workflows: WorkerOptions,
    /// Activities alone.
    pub(crate) activities: WorkerOptions,
}

/// Everything that a worker's author registered.
pub(crate) struct Registrations {
    common: Registered,
    queues: BTreeMap<String, Registered>,
    pub(crate) versioning: Versioning,
}

/// Registers one instance of activities any number of times.
struct Shared<A>(Arc<A>);

impl<A: ActivityImplementer> ActivityImplementer for Shared<A> {
    fn register_all(self: Arc<Self>, definitions: &mut ActivityDefinitions) {
        Arc::clone(&self.0).register_all(definitions);
    }
}

type Step = Box<dyn FnOnce(&mut Registered) -> Vec<Problem> + Send>;

/// Registrations for one queue, in [`crate::FleetWorker::on_queue`].
#[must_use = "registrations are lost unless they are returned"]
#[derive(Default)]
pub struct OnQueue(Vec<Step>);

impl OnQueue {
    /// Registers a workflow on this queue alone.
    pub fn workflow<W>(self) -> Self
    where
        W: WorkflowImplementation,
        <W::Run as WorkflowDefinition>::Input: Send,
    {
        self.and(|registered| registered.workflow::<W>().into_iter().collect())
    }

    /// Registers all activities of a value on this queue alone; its workflows can also run them locally.
    pub fn activities<A: ActivityImplementer + Send + Sync + 'static>(self, activities: A) -> Self {
        self.and(|registered| registered.activities(activities))
    }

    fn and(mut self, step: impl FnOnce(&mut Registered) -> Vec<Problem> + Send + 'static) -> Self {
        self.0.push(Box::new(step));
        self
    }
}

impl Registered {
    pub(crate) fn new() -> Self {
        let none = WorkerOptions::new("unset").build();
        Self {
            workflows: none.clone(),
            activities: none,
        }
    }

    pub(crate) fn workflow<W>(&mut self) -> Option<Problem>
    where
        W: WorkflowImplementation,
        <W::Run as WorkflowDefinition>::Input: Send,
    {
        let error = self.workflows.register_workflow::<W>().err()?;
        Some(Problem::new("workflow", error.to_string(), "each workflow type once"))
    }

    pub(crate) fn dynamic_workflow<W: DynamicWorkflow>(&mut self, name: &str) -> Option<Problem> {
        dynamic::named(name, || self.workflow::<Dynamic<W>>())
    }

    pub(crate) fn activities<A: ActivityImplementer + Send + Sync + 'static>(&mut self, activities: A) -> Vec<Problem> {
        let activities = Arc::new(activities);
        let mut new = ActivityDefinitions::default();
        new.register_activities(Shared(Arc::clone(&activities)));
        // The SDK lets a later registration win in silence.
        let known = self.activity_types();
        let twice = activity::names(&new).into_iter().filter(|name| known.contains(name));
        let problems = twice.map(|name| {
            let problem = format!("activity type {name:?} is already registered");
            Problem::new("activities", problem, "each activity type once")
        });
        let problems = problems.collect();
        self.workflows.register_activities(Shared(Arc::clone(&activities)));
        self.activities.register_activities(Shared(activities));
        problems
    }

    pub(crate) fn activity_types(&self) -> Vec<String> {
        activity::names(&self.activities.activities())
    }

    pub(crate) fn workflow_types(&self) -> Vec<String> {
        let workflows = self.workflows.workflows();
        let types = workflows.workflow_definitions();
        types.map(|definition| definition.workflow_type.clone()).collect()
    }

    pub(crate) fn has_activities(&self) -> bool {
        !self.activity_types().is_empty()
    }

    /// The task types that something is registered for.
    pub(crate) fn types(&self) -> BTreeSet<QueueType> {
        let workflows = !self.workflows.workflows().is_empty();
        [
            (QueueType::Workflow, workflows),
            (QueueType::Activity, self.has_activities()),
        ]
        .into_iter()
        .filter_map(|(queue_type, known)| known.then_some(queue_type))
        .collect()
    }
}

impl Registrations {
    /// Adds what is for one queue alone to what is for all.
    pub(crate) fn new(
        common: Registered,
        on_queues: Vec<(String, OnQueue)>,
        versioning: Versioning,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut queues = BTreeMap::new();
        for (queue, OnQueue(steps)) in on_queues {
            let registered = queues.entry(queue).or_insert_with(|| common.clone());
            for step in steps {
                problems.extend(step(registered));
            }
        }
        Self {
            common,
            queues,
            versioning,
        }
    }

    /// What a queue knows.
    pub(crate) fn of(&self, queue: &str) -> &Registered {
        self.queues.get(queue).unwrap_or(&self.common)
    }
}
