//! Load for a real Temporal server, and the audit of what became of it.
//!
//! Owns: starting workflows at a planned rate ([`Generator`]), reading their event histories back ([`audit`]), and the
//! percentiles of both. The load is *open loop*: arrivals follow the plan whatever the fleet does, so that a fleet that
//! falls behind is seen to fall behind.

pub mod audit;
pub mod client;
pub mod collect;
pub mod command;
pub mod generator;
pub mod plan;
pub mod stats;

pub use audit::{ActivityRecord, ActivityResult, FailureKind, Outcome, WorkerIdentity, WorkflowRecord};
pub use client::{Error, TemporalClient};
pub use collect::collect;
pub use generator::{Counts, Generator, Order, Started, Starter};
pub use plan::{Input, Stream};
