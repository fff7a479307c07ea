//! The task queues of a fleet. A queue of the vocabulary is one (name, type) pair; one entry here names several.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One task queue name and the types of tasks that the fleet takes from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskQueue {
    /// Name of the task queue at Temporal.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[a-zA-Z0-9._:/-]+$"))]
    pub name: String,
    /// Types of tasks to take: Workflow, Activity, Nexus; Workflow and Activity if left out.
    #[serde(default = "default_types")]
    #[schemars(length(min = 1, max = 3), extend("x-kubernetes-list-type" = "set"))]
    pub types: Vec<TaskType>,
}

fn default_types() -> Vec<TaskType> {
    vec![TaskType::Workflow, TaskType::Activity]
}

/// Type of the tasks in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TaskType {
    /// Workflow tasks.
    Workflow,
    /// Activity tasks.
    Activity,
    /// Nexus operations.
    Nexus,
}

impl TaskType {
    /// The name used in the API, in metrics and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workflow => "Workflow",
            Self::Activity => "Activity",
            Self::Nexus => "Nexus",
        }
    }
}

impl fmt::Display for TaskType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
