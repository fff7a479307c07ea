//! The Kubernetes API of Temporal Fleet: the kinds `TemporalWorker` and `TemporalConnection`, their conditions,
//! reasons and names, and the `CustomResourceDefinition`s made from them.
//!
//! This crate knows no client. What the API server checks (types, bounds, rules over several fields) stands beside
//! the fields; [`crd`] turns it into the manifests that are installed. What needs to look at other objects is not
//! checked here but by the operator, which reports it as a condition.

// `KubeSchema` copies each struct, with its visibility, into a function body.
#![allow(unreachable_pub)]
// Doc comments of fields are what `kubectl explain` prints: plain text.
#![allow(clippy::doc_markdown)]
// Attributes of columns repeat each other: each is a list of its own.
#![allow(clippy::duplicated_attributes)]

pub mod autoscaling;
pub mod conditions;
pub mod crd;
pub mod generated;
pub mod names;
pub mod pod;
mod schema;
pub mod status;
pub mod task_queue;
pub mod temporal_connection;
pub mod temporal_worker;
pub mod tuner;
pub mod worker_options;

pub use autoscaling::{
    AutoscalingMode, AutoscalingProfile, AutoscalingSpec, Behavior, CpuUtilizationTarget, FallbackPolicy, FallbackSpec,
    MemoryUtilizationTarget, ScaleDownBehavior, ScalingRule, ScalingRuleType, ScheduleToStartTarget, SelectPolicy,
    Targets,
};
pub use conditions::{ConditionType, Reason};
pub use pod::{
    CredentialRotation, Health, Metrics, PodDisruptionBudgetSpec, RollingUpdate, UpdateStrategy, UpdateType,
};
pub use status::{
    ArithmeticLine, AutoscalingStatus, ScalingDecision, Summary, TargetStatus, TargetType, TaskQueueStatus,
    TemporalWorkerStatus,
};
pub use task_queue::{TaskQueue, TaskType};
pub use temporal_connection::{
    Authentication, CaSecretRef, SecretKeyRef, SecretRef, TemporalConnection, TemporalConnectionSpec,
    TemporalConnectionStatus, Tls,
};
pub use temporal_worker::{ConnectionRef, TemporalWorker, TemporalWorkerSpec};
pub use tuner::{FixedSlots, ResourceBasedSlots, Tuner};
pub use worker_options::{PollerAutoscaling, Pollers, WorkerOptions};
