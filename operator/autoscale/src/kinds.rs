//! The closed sets of the domain: types of task queues and kinds of slots.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Type of a task queue; with the queue's name it identifies a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaskType {
    /// Workflow tasks.
    Workflow,
    /// Activity tasks.
    Activity,
    /// Nexus operation tasks.
    Nexus,
}

impl TaskType {
    /// The name as the API writes it.
    pub const fn as_str(self) -> &'static str {
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

/// Kind of a slot: room for one running task in a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SlotKind {
    /// Slots of workflow tasks.
    Workflow,
    /// Slots of activities.
    Activity,
    /// Slots of Nexus operations.
    Nexus,
    /// Slots of local activities: they have no queue.
    LocalActivity,
}

impl SlotKind {
    /// All kinds, in their order.
    pub const ALL: [Self; 4] = [Self::Workflow, Self::Activity, Self::Nexus, Self::LocalActivity];

    /// Position in [`SlotKind::ALL`].
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Workflow => 0,
            Self::Activity => 1,
            Self::Nexus => 2,
            Self::LocalActivity => 3,
        }
    }

    /// The name as the API and the metrics write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workflow => "Workflow",
            Self::Activity => "Activity",
            Self::Nexus => "Nexus",
            Self::LocalActivity => "LocalActivity",
        }
    }
}

impl fmt::Display for SlotKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<TaskType> for SlotKind {
    fn from(task_type: TaskType) -> Self {
        match task_type {
            TaskType::Workflow => Self::Workflow,
            TaskType::Activity => Self::Activity,
            TaskType::Nexus => Self::Nexus,
        }
    }
}
