//! The state of this process that its servers read: gates, queues, phases, readiness, signs of life, counters. Written by those who know, never derived.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    calls::Calls,
    gate::{Gate, LaneId, TaskType},
    health::Readiness,
    metrics::Counters,
    phase::Phases,
    pulse::Pulses,
    queues::Queues,
    settings::{Recycling, Watchdog},
    workers::Workers,
};

/// Shared by the workers and by the servers for metrics, health and `WorkerControl`.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) started: Instant,
    pub(crate) identity: String,
    pub(crate) gates: Gates,
    /// How many queues are polled for activities.
    pub(crate) activity_queues: u32,
    pub(crate) queues: Arc<Queues>,
    pub(crate) phases: Phases,
    pub(crate) readiness: Readiness,
    pub(crate) pulses: Pulses,
    pub(crate) calls: Arc<Calls>,
    pub(crate) watchdog: Watchdog,
    pub(crate) recycling: Recycling,
    pub(crate) workers: Workers,
    pub(crate) counters: Counters,
}

/// The gates of the task types that the pod serves.
#[derive(Debug)]
pub(crate) struct Gates {
    pub(crate) workflow: Option<Arc<Gate>>,
    pub(crate) activity: Option<Arc<Gate>>,
    pub(crate) local_activity: Option<Arc<Gate>>,
}

/// What one SDK Worker of the pod serves: half of a queue, and the lanes it takes its slots from.
#[derive(Debug, Clone)]
pub(crate) struct Half {
    pub(crate) queue: String,
    pub(crate) lanes: Lanes,
}

/// What a half polls, and with which lanes; both in the combined shape, where it is the whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lanes {
    pub(crate) workflows: Option<WorkflowLanes>,
    /// Activities dispatched by the server.
    pub(crate) activities: Option<LaneId>,
}

/// Workflow tasks (with a lane for the sticky queue), and local activities if activities are registered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WorkflowLanes {
    pub(crate) normal: LaneId,
    pub(crate) sticky: Option<LaneId>,
    pub(crate) local: Option<LaneId>,
}

impl Gates {
    /// All gates that exist.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Gate>> {
        [&self.workflow, &self.activity, &self.local_activity]
            .into_iter()
            .flatten()
    }

    /// The gates of types that are polled from the server.
    pub(crate) fn polled(&self) -> impl Iterator<Item = &Arc<Gate>> {
        [&self.workflow, &self.activity].into_iter().flatten()
    }
}

impl Half {
    /// Name of the half's thread, also in logs and metrics.
    pub(crate) fn thread_name(&self) -> String {
        let what = match (self.lanes.workflows, self.lanes.activities) {
            (Some(_), Some(_)) => "Combined",
            (Some(_), None) => TaskType::Workflow.as_str(),
            (None, _) => TaskType::Activity.as_str(),
        };
        format!("{what}:{}", self.queue)
    }

    /// Whether the server dispatches activities to it.
    pub(crate) const fn polls_activities(&self) -> bool {
        self.lanes.activities.is_some()
    }

    /// The task types that this half polls.
    pub(crate) fn task_types(&self) -> impl Iterator<Item = TaskType> {
        let workflows = self.lanes.workflows.map(|_| TaskType::Workflow);
        workflows
            .into_iter()
            .chain(self.lanes.activities.map(|_| TaskType::Activity))
    }
}

impl Pod {
    /// Time since the runtime started.
    pub(crate) fn uptime(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A pod that serves activities of queue "q" with so many slots.
    pub(crate) fn pod(slots: u32) -> Pod {
        let started = Instant::now();
        Pod {
            started,
            identity: "p/n/u".to_owned(),
            gates: Gates {
                workflow: None,
                activity: Some(Arc::new(Gate::new(TaskType::Activity, slots, started))),
                local_activity: None,
            },
            activity_queues: 1,
            queues: Arc::new(Queues::new([("q".to_owned(), TaskType::Activity)])),
            phases: Phases::new(),
            readiness: Readiness::new(),
            pulses: Pulses::new(started),
            calls: Arc::new(Calls::new(started)),
            watchdog: Watchdog::default(),
            recycling: Recycling::default(),
            workers: Workers::default(),
            counters: Counters::default(),
        }
    }
}
