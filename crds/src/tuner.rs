//! `spec.workerOptions.tuner`: whether a pod has a number of slots, or as many as its CPU and memory carry.
//!
//! Which of the two is chosen has no default here: one stored by the API server would stand beside the user's own choice, and
//! rule 12 would refuse both.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the number of slots of a pod comes about; `{fixed: {}}` if left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
// Rule 12
#[x_kube(validation = Rule::new("has(self.fixed) != has(self.resourceBased)").message(
    "set exactly one of tuner.fixed and tuner.resourceBased"
))]
pub struct Tuner {
    /// The maxConcurrent values are the slots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed: Option<FixedSlots>,
    /// Slots as long as CPU and memory of the pod are below their targets; the maxConcurrent values are the ceilings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_based: Option<ResourceBasedSlots>,
}

/// Nothing to choose: the numbers stand beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FixedSlots {}

/// Targets of a pod that takes on tasks by its use of CPU and memory; each queue always gets one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceBasedSlots {
    /// Percent of the pod's CPU limit above which it takes no further task; without a limit it is the node's CPU.
    #[serde(default = "default_target_cpu_percent")]
    #[schemars(range(min = 10, max = 100))]
    pub target_cpu_percent: i32,
    /// Percent of the pod's memory limit above which it takes no further task; without a limit it is the node's memory.
    #[serde(default = "default_target_memory_percent")]
    #[schemars(range(min = 10, max = 100))]
    pub target_memory_percent: i32,
}

const fn default_target_cpu_percent() -> i32 {
    90
}

const fn default_target_memory_percent() -> i32 {
    80
}

impl Default for ResourceBasedSlots {
    fn default() -> Self {
        Self {
            target_cpu_percent: default_target_cpu_percent(),
            target_memory_percent: default_target_memory_percent(),
        }
    }
}
