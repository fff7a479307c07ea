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

/// One SDK Worker of the pod: half of a queue, and the lanes it takes its slots from.
#[derive(Debug, Clone)]
pub(crate) struct Half {
    pub(crate) queue: String,
    pub(crate) lanes: Lanes,
}

/// What a half polls, and with which lanes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lanes {
    /// Workflow tasks (with a lane for the sticky queue), and local activities if activities are registered.
    Workflows {
        normal: LaneId,
        sticky: Option<LaneId>,
        local: Option<LaneId>,
    },
    /// Activities dispatched by the server.
    Activities { lane: LaneId },
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
        format!("{}:{}", self.task_type().as_str(), self.queue)
    }

    /// Whether the server dispatches activities to it.
    pub(crate) const fn polls_activities(&self) -> bool {
        matches!(self.lanes, Lanes::Activities { .. })
    }

    /// The task type this half polls.
    pub(crate) const fn task_type(&self) -> TaskType {
        match self.lanes {
            Lanes::Workflows { .. } => TaskType::Workflow,
            Lanes::Activities { .. } => TaskType::Activity,
        }
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
