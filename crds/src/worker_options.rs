//! `spec.workerOptions`: the concurrency of one pod. Each field becomes one `TEMPORAL_FLEET_*` variable.
//!
//! No field has a default here: unset means that the worker decides, and a default stored by the API server could
//! not be told from a choice of the user.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::tuner::Tuner;

/// Slots, pollers, cache and shutdown of each pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
// Rule 15
#[x_kube(validation = Rule::new(
    "!has(self.workflowTaskPollers) || !has(self.workflowTaskPollers.simpleMaximum) \
     || self.workflowTaskPollers.simpleMaximum >= 2 \
     || (has(self.maxCachedWorkflows) && self.maxCachedWorkflows == 0)"
).message(
    "workflowTaskPollers.simpleMaximum must be at least 2, one for the normal and one for the sticky queue; raise it, \
     or set maxCachedWorkflows to 0"
).field_path(".workflowTaskPollers"))]
pub struct WorkerOptions {
    /// Slots for activities in one pod; the Rust runtime takes 100 if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_concurrent_activities: Option<i32>,
    /// Slots for workflow tasks in one pod, at least 2 per Workflow queue; the Rust runtime takes 100 if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_concurrent_workflow_tasks: Option<i32>,
    /// Slots for local activities in one pod; the Rust runtime takes 100 if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_concurrent_local_activities: Option<i32>,
    /// Most activities that one pod starts per second, shared out evenly among its Activity queues; no limit if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_activities_per_second: Option<i32>,
    /// Most activities that Temporal hands out of each Activity queue per second, to all workers; needs Temporal 1.29.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_task_queue_activities_per_second: Option<i32>,
    /// Workflows kept in memory between tasks; the Rust runtime takes 1000 if unset, 0 turns the cache off.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub max_cached_workflows: Option<i32>,
    /// How many polls for workflow tasks are open per pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_task_pollers: Option<Pollers>,
    /// How many polls for activity tasks are open per pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity_task_pollers: Option<Pollers>,
    /// Whether a pod has a fixed number of slots, or as many as its CPU and memory carry; fixed if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tuner: Option<Tuner>,
    /// Most seconds for which heartbeats of an activity are held back; the Rust runtime takes 60 if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub max_heartbeat_throttle_interval_seconds: Option<i32>,
    /// The same for activities without a heartbeat timeout; the Rust runtime takes 30 if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub default_heartbeat_throttle_interval_seconds: Option<i32>,
    /// Seconds for which a workflow task waits for the pod that has its workflow in memory; 10 if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_600))]
    pub sticky_queue_schedule_to_start_timeout_seconds: Option<i32>,
    /// Seconds that running tasks get after SIGTERM; the template's grace period minus 20 if unset, else 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 604_800))]
    pub graceful_shutdown_seconds: Option<i32>,
    /// Put before the pod's name in the worker identity that Temporal shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-zA-Z0-9._-]+$"))]
    pub identity_prefix: Option<String>,
}

/// A fixed number of pollers, or bounds between which the SDK moves it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
// Rule 13
#[x_kube(validation = Rule::new("has(self.simpleMaximum) != has(self.autoscaling)").message(
    "set exactly one of simpleMaximum and autoscaling"
))]
pub struct Pollers {
    /// A fixed number of pollers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub simple_maximum: Option<i32>,
    /// Pollers that the SDK adds and removes by load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<PollerAutoscaling>,
}

/// Bounds of the number of pollers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
// Rule 14
#[x_kube(validation = Rule::new("self.minimum <= self.initial && self.initial <= self.maximum").message(
    "minimum <= initial <= maximum must hold (defaults: minimum 1, initial 5, maximum 100); set initial between the bounds"
))]
pub struct PollerAutoscaling {
    /// Fewest pollers.
    #[serde(default = "default_minimum")]
    #[schemars(range(min = 1, max = 10_000))]
    pub minimum: i32,
    /// Most pollers.
    #[serde(default = "default_maximum")]
    #[schemars(range(min = 1, max = 10_000))]
    pub maximum: i32,
    /// Pollers at the start.
    #[serde(default = "default_initial")]
    #[schemars(range(min = 1, max = 10_000))]
    pub initial: i32,
}

const fn default_minimum() -> i32 {
    1
}

const fn default_maximum() -> i32 {
    100
}

const fn default_initial() -> i32 {
    5
}

impl Default for PollerAutoscaling {
    fn default() -> Self {
        Self {
            minimum: default_minimum(),
            maximum: default_maximum(),
            initial: default_initial(),
        }
    }
}
