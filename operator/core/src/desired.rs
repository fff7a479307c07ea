//! What a fleet should look like: the product of validation. After it nobody reads the `TemporalWorker` any more.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::autoscale::{Policy, SlotKind, TaskType};
use crate::pause::Pause;

/// A fleet as its author wants it, checked and with every default in place.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// Name of the `TemporalWorker`.
    pub name: String,
    /// Its Kubernetes namespace.
    pub namespace: String,
    /// How many pods, and who says so.
    pub size: Size,
    /// What its annotations hold back of changes of that size.
    pub pause: Pause,
    /// (queue name, task type) pairs that the pods must poll.
    pub queues: Vec<Queue>,
    /// Slots of a pod that the worker options set, until a pod reports them.
    pub default_slots: BTreeMap<SlotKind, u32>,
    /// Activities per second that the server may hand out of each Activity queue; `None` for no limit of ours.
    pub queue_rate: Option<f64>,
    /// Hash of the Deployment as rendered, without its replicas.
    pub deployment_hash: String,
    /// Hash of the rendered disruption budget.
    pub budget_hash: String,
    /// How long pods get to finish their tasks; the kubelet waits at least 20 s longer.
    pub graceful: SignedDuration,
    /// How long a rollout may make no progress before it is reported.
    pub progress_deadline: SignedDuration,
}

/// One (task queue name, task type) pair.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Queue {
    /// Name at Temporal.
    pub name: String,
    /// Type of its tasks.
    pub task_type: TaskType,
}

impl std::fmt::Display for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.name, self.task_type)
    }
}

/// Who decides the size of a fleet.
#[derive(Clone, Debug, PartialEq)]
pub enum Size {
    /// `spec.replicas`, and nobody else.
    Fixed {
        /// Pods to run.
        replicas: u32,
        /// The autoscaler only computes and publishes (`mode: DryRun`), or is absent or `"Off"`.
        shadow: Option<Policy>,
        /// `spec.autoscaling` is there, with mode `"Off"`.
        turned_off: bool,
    },
    /// The autoscaler; `replicas` is the size at creation.
    Auto {
        /// Bounds, targets and rates.
        policy: Policy,
        /// `spec.replicas`: the seed.
        replicas: u32,
    },
}

impl Size {
    /// `spec.replicas` as written.
    pub fn spec_replicas(&self) -> u32 {
        match self {
            Self::Fixed { replicas, .. } | Self::Auto { replicas, .. } => *replicas,
        }
    }

    /// The policy to evaluate, if any.
    pub fn policy(&self) -> Option<&Policy> {
        match self {
            Self::Fixed { shadow, .. } => shadow.as_ref(),
            Self::Auto { policy, .. } => Some(policy),
        }
    }
}
