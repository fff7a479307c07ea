//! The pure domain of the operator: what a fleet should look like, what was seen of the world, and the plan that leads from
//! one to the other. No Kubernetes client, no Temporal client, no clock.

pub use fleet_autoscale as autoscale;

pub mod class;
pub mod desired;
pub mod memory;
pub mod notice;
pub mod pause;
pub mod plan;
pub mod readiness;
pub mod rules;
pub mod signals;
pub mod step;
pub mod world;

pub use class::Class;
pub use desired::{Desired, Queue, Size};
pub use fleet_autoscale::{PodReport, QueueStats, Seen, TaskType};
pub use memory::{Memory, ScaleIn, WRITERS, Writer};
pub use notice::{Notice, NoticeReason};
pub use pause::{Hold, Pause};
pub use plan::{Pass, Plan, plan};
pub use readiness::{ConditionType, Reason, Truth, Verdict};
pub use step::{Step, Why};
pub use world::{
    Child, ChildView, Connection, DeploymentView, Eviction, PodView, Quarantine, QueueView, RateLimit, Rival, Scales,
    Source, Taken, Trouble, WorkerReport, World,
};
