//! `TemporalWorker.status`: what the operator saw and decided. Absent means unknown, never zero.

use crate::autoscaling::AutoscalingMode;
use crate::task_queue::TaskType;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest list of past decisions.
pub const DECISIONS_MAX: usize = 10;
/// Longest note of a line of arithmetic, in bytes; the schema counts characters, which are fewer.
pub const NOTE_MAX: usize = 256;
/// Longest `memory`, in bytes.
pub const MEMORY_MAX: usize = 4096;

/// State of a fleet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalWorkerStatus {
    /// Generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Pods that exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub replicas: Option<i32>,
    /// Pods that are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub ready_replicas: Option<i32>,
    /// Pods that have been ready for `minReadySeconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub available_replicas: Option<i32>,
    /// Pods made from the present template.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub updated_replicas: Option<i32>,
    /// Pods that there should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub desired_replicas: Option<i32>,
    /// Label selector of the pods, for the scale subresource.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub selector: Option<String>,
    /// Tasks that wait at the server, over all queues.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub backlog: Option<i64>,
    /// Short texts for the columns of `kubectl get`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// Ready sums up; see the reference of conditions for all types and reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,
    /// What the server said about each queue.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 96),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"])
    )]
    pub task_queues: Vec<TaskQueueStatus>,
    /// What the autoscaler found and did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<AutoscalingStatus>,
    /// What the operator must not forget over a restart: an opaque JSON object, not for other readers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub memory: Option<String>,
}

/// Short texts for the columns of `kubectl get`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Names of the task queues.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub queues: String,
    /// Name of the connection, or its address if it stands inline.
    #[serde(default)]
    #[schemars(length(max = 259))]
    pub connection: String,
    /// Image of the worker without its registry.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub image: String,
}

/// One queue as the server sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskQueueStatus {
    /// Name and type, as in `orders/Activity`.
    #[schemars(length(min = 1, max = 210))]
    pub key: String,
    /// Name of the task queue.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// Type of the tasks: Workflow, Activity or Nexus.
    #[serde(rename = "type")]
    pub type_: TaskType,
    /// Tasks that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub backlog: Option<i64>,
    /// Age of the oldest waiting task in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub backlog_age_seconds: Option<i64>,
    /// Pods of this fleet that poll the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub pollers: Option<i32>,
    /// When the server was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampled_at: Option<Time>,
}

/// What the autoscaler found and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoscalingStatus {
    /// Mode in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<AutoscalingMode>,
    /// Pods that the autoscaler asks for, also in DryRun.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub recommended_replicas: Option<i32>,
    /// When the size was last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_scale_time: Option<Time>,
    /// Each objective with what was measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub targets: Vec<TargetStatus>,
    /// When the arithmetic was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluated_at: Option<Time>,
    /// The last evaluation step by step, as the plugin's verb explain shows it; also of an evaluation that changed nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24), extend("x-kubernetes-list-type" = "atomic"))]
    pub arithmetic: Vec<ArithmeticLine>,
    /// The last 10 changes of size, oldest first, with their arithmetic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub decisions: Vec<ScalingDecision>,
}

/// One line of an evaluation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArithmeticLine {
    /// Demand, Headroom, PerPod, Target, Behavior, Bounds, Slots or Change.
    #[schemars(length(min = 1, max = 32))]
    pub step: String,
    /// What is computed; of Change a whole sentence.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub text: String,
    /// What comes of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 64))]
    pub result: String,
    /// Where the figures come from and how old they are, or what they say beside.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256))]
    pub note: String,
}

/// One objective with what was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// ScheduleToStart, CpuUtilization, MemoryUtilization, SlotUtilization or BacklogPerReplica.
    #[serde(rename = "type")]
    pub type_: TargetType,
    /// Measured value with its unit, or Unavailable.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub current: String,
    /// Objective with its unit.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub target: String,
    /// Pods that this objective alone asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub recommended_replicas: Option<i32>,
}

/// Kind of an objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum TargetType {
    /// Time from scheduling a task to a worker starting it.
    ScheduleToStart,
    /// CPU use of the pods.
    CpuUtilization,
    /// Memory of the pods.
    MemoryUtilization,
    /// Share of busy slots.
    SlotUtilization,
    /// Waiting tasks per pod.
    BacklogPerReplica,
}

impl TargetType {
    /// The name used in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ScheduleToStart => "ScheduleToStart",
            Self::CpuUtilization => "CpuUtilization",
            Self::MemoryUtilization => "MemoryUtilization",
            Self::SlotUtilization => "SlotUtilization",
            Self::BacklogPerReplica => "BacklogPerReplica",
        }
    }
}

/// One change of size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingDecision {
    /// When it was decided.
    pub time: Time,
    /// Pods before.
    #[schemars(range(min = 0))]
    pub from: i32,
    /// Pods after.
    #[schemars(range(min = 0))]
    pub to: i32,
    /// The objective that decided, or the rule that overrode it.
    #[schemars(length(min = 1, max = 64))]
    pub reason: String,
    /// The arithmetic in one line.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub message: String,
}
