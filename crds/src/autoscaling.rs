//! `spec.autoscaling`: when and how far the operator changes the size of a fleet.
//!
//! The API server fills in the defaults of all targets, so rules and readers need not ask whether they are there.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Objectives, bounds and pace of automatic sizing; `{maxReplicas: 10}` is complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
// Rule 6
#[x_kube(validation = Rule::new("self.minReplicas <= self.maxReplicas").message(
    "minReplicas must not exceed maxReplicas; lower minReplicas (1 if left out) or raise maxReplicas"
).field_path(".minReplicas"))]
// Rule 11
#[x_kube(validation = Rule::new(
    "!has(self.fallback) || !has(self.fallback.replicas) || self.fallback.replicas <= self.maxReplicas"
).message(
    "fallback.replicas must not exceed maxReplicas; lower fallback.replicas or raise maxReplicas"
).field_path(".fallback"))]
pub struct AutoscalingSpec {
    /// Auto acts, DryRun publishes recommendations while `replicas` rules, "Off" (quoted) does neither.
    #[serde(default)]
    pub mode: AutoscalingMode,
    /// Fewest pods; 0 lets an idle fleet go to zero.
    #[serde(default = "default_min_replicas")]
    #[schemars(range(min = 0, max = 10_000))]
    pub min_replicas: i32,
    /// Most pods.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_replicas: i32,
    /// Headroom over what is foreseen: Cost none, Balanced up to 25 %, Latency up to 50 %, as past surprises ask for.
    #[serde(default)]
    pub profile: AutoscalingProfile,
    /// Objectives; the largest answer wins.
    #[serde(default)]
    pub targets: Targets,
    /// Limits on the pace of changes; the algorithm's own if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behavior: Option<Behavior>,
    /// What to run when Temporal cannot be read for long; the size stays if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<FallbackSpec>,
    /// Seconds without backlog, arrivals and running tasks before the last pods go.
    #[serde(default = "default_cooldown_seconds")]
    #[schemars(range(min = 0, max = 86_400))]
    pub cooldown_seconds: i32,
    /// Seconds between reads of the queues when calm; 5 when busy or at zero.
    #[serde(default = "default_polling_interval_seconds")]
    #[schemars(range(min = 5, max = 300))]
    pub polling_interval_seconds: i32,
}

const fn default_min_replicas() -> i32 {
    1
}

const fn default_cooldown_seconds() -> i32 {
    300
}

const fn default_polling_interval_seconds() -> i32 {
    15
}

/// What the autoscaler does with its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AutoscalingMode {
    /// The size follows the answer.
    #[default]
    Auto,
    /// The answer is published; `spec.replicas` is the size.
    DryRun,
    /// `spec.replicas` is the size.
    Off,
}

impl AutoscalingMode {
    /// The name used in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "Auto",
            Self::DryRun => "DryRun",
            Self::Off => "Off",
        }
    }
}

/// How much is kept ready for demand that nobody foresaw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AutoscalingProfile {
    /// Nothing.
    Cost,
    /// What 90 % of the last hour's surprises needed, up to 25 %.
    #[default]
    Balanced,
    /// What 98 % of the last hour's surprises needed, up to 50 %.
    Latency,
}

/// What a fleet is sized for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
// Rule 7
#[x_kube(validation = Rule::new(
    "self.scheduleToStart.enabled || self.cpuUtilization.enabled || has(self.memoryUtilization) || has(self.slotUtilization) \
     || has(self.backlogPerReplica)"
).message(
    "at least one of scheduleToStart, cpuUtilization, memoryUtilization, slotUtilization and backlogPerReplica must be enabled; \
     to stop scaling set autoscaling.mode: \"Off\""
))]
pub struct Targets {
    /// Objective for the time from scheduling a task to a worker starting it.
    #[serde(default)]
    pub schedule_to_start: ScheduleToStartTarget,
    /// Objective for the CPU use of the pods.
    #[serde(default)]
    pub cpu_utilization: CpuUtilizationTarget,
    /// Objective for the memory of the pods; off if left out. For fleets whose tasks hold memory while they run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_utilization: Option<MemoryUtilizationTarget>,
    /// Objective for the share of busy slots; off if left out. Says nothing of pods whose CPU is full before their slots are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot_utilization: Option<SlotUtilizationTarget>,
    /// Waiting tasks per pod; off if left out. For fleets that come from a scaler by backlog.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub backlog_per_replica: Option<i32>,
}

/// So many percent of the tasks start within so many seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleToStartTarget {
    /// Whether this objective counts.
    #[serde(default = "default_enabled")]
    pub enabled: bool,
    /// Seconds within which tasks start.
    #[serde(default = "default_seconds")]
    #[schemars(range(min = 1, max = 86_400))]
    pub seconds: i32,
    /// Percentage of tasks that start in time.
    #[serde(default = "default_percentile")]
    #[schemars(range(min = 50, max = 99))]
    pub percentile: i32,
}

/// Average CPU use of the pods, in percent of the limit, else of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CpuUtilizationTarget {
    /// Whether this objective counts.
    #[serde(default = "default_enabled")]
    pub enabled: bool,
    /// Percent of the container's CPU limit, else of its request.
    #[serde(default = "default_percent")]
    #[schemars(range(min = 10, max = 95))]
    pub percent: i32,
}

/// Average memory of the pods, in percent of the limit, else of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemoryUtilizationTarget {
    /// Percent of the container's memory limit, else of its request.
    #[serde(default = "default_memory_percent")]
    #[schemars(range(min = 10, max = 95))]
    pub percent: i32,
}

/// Average share of busy slots, in percent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SlotUtilizationTarget {
    /// Percent of the slots.
    #[schemars(range(min = 10, max = 95))]
    pub percent: i32,
}

const fn default_enabled() -> bool {
    true
}

const fn default_seconds() -> i32 {
    5
}

const fn default_percentile() -> i32 {
    99
}

const fn default_percent() -> i32 {
    80
}

const fn default_memory_percent() -> i32 {
    85
}

impl Default for ScheduleToStartTarget {
    fn default() -> Self {
        Self {
            enabled: default_enabled(),
            seconds: default_seconds(),
            percentile: default_percentile(),
        }
    }
}

impl Default for CpuUtilizationTarget {
    fn default() -> Self {
        Self {
            enabled: default_enabled(),
            percent: default_percent(),
        }
    }
}

/// What to run when Temporal cannot be read for long. It never makes a fleet smaller: unknown is not idle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
// Rule 10
#[x_kube(validation = Rule::new("has(self.replicas) == (self.policy != 'HoldCurrent')").message(
    "replicas belongs to the policies AtLeast and Fixed and to no other: set it with one of these, remove it with HoldCurrent"
))]
// Rule 28. The API server has filled in the default by then: only another value shows that somebody set it.
#[x_kube(validation = Rule::new("self.policy != 'HoldCurrent' || self.failureThreshold == 3").message(
    "failureThreshold says from when the policies AtLeast and Fixed count, and HoldCurrent holds from the first failed read on: remove it, or set one of these with replicas"
).field_path(".failureThreshold"))]
pub struct FallbackSpec {
    /// HoldCurrent: the size stays, from the first failed read on, as without a fallback; AtLeast: at least `replicas`, more if workers are full; Fixed: the same, never more.
    #[serde(default)]
    pub policy: FallbackPolicy,
    /// Pods to run, or as many as there are if these are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub replicas: Option<i32>,
    /// Failed reads in a row, one in each pollingIntervalSeconds, from which on AtLeast and Fixed count.
    #[serde(default = "default_failure_threshold")]
    #[schemars(range(min = 1, max = 1000))]
    pub failure_threshold: i32,
}

const fn default_failure_threshold() -> i32 {
    3
}

/// How a fallback is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FallbackPolicy {
    /// The size stays; full workers may get half as many again.
    #[default]
    HoldCurrent,
    /// The larger of the present size and `replicas`; full workers may get half as many again.
    AtLeast,
    /// The larger of the present size and `replicas`, and nothing adds to it.
    Fixed,
}

/// Pace of changes, in the words of `HorizontalPodAutoscaler` v2.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Behavior {
    /// Pace of scale-in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_down: Option<ScaleDownBehavior>,
}

/// Pace of scale-in; what is left out is the algorithm's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleDownBehavior {
    /// Seconds over which the largest recommendation counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub stabilization_window_seconds: Option<i32>,
    /// Which of the policies rules: Max (if left out), Min, or Disabled for no scale-in at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select_policy: Option<SelectPolicy>,
    /// How many pods may go in which time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub policies: Vec<ScalingRule>,
}

/// Which of several policies rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SelectPolicy {
    /// The one that allows the largest change.
    #[default]
    Max,
    /// The one that allows the smallest change.
    Min,
    /// No change in this direction.
    Disabled,
}

/// So many pods, or percent of the pods, in so many seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingRule {
    /// Unit of `value`: Pods or Percent.
    #[serde(rename = "type")]
    pub type_: ScalingRuleType,
    /// Largest change within `periodSeconds`.
    #[schemars(range(min = 1, max = 10_000))]
    pub value: i32,
    /// Seconds for which the limit holds.
    #[schemars(range(min = 1, max = 1800))]
    pub period_seconds: i32,
}

/// Unit of a scaling rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScalingRuleType {
    /// A number of pods.
    Pods,
    /// Percent of the pods.
    Percent,
}
