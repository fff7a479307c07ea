//! The runtime of Temporal workers in a fleet.
//!
//! An author writes plain workflows and activities of the Temporal Rust SDK and hands them to [`FleetWorker`]. The same binary runs on a
//! laptop with no variable set and in a pod of a `TemporalWorker`, where this crate adds what a fleet needs: settings from the
//! environment, slots counted exactly, health and metrics, the `WorkerControl` service by which the operator reads the pod,
//! credentials that are reloaded, and an ending that completes or hands back every task that was accepted.

mod activity;
mod backoff;
mod calls;
mod client;
mod connect;
mod control;
mod convert;
mod core;
mod deadline;
mod drain;
mod dynamic;
mod executing;
mod gate;
mod half;
mod health;
mod layout;
mod lifecycle;
mod link;
mod logs;
mod meter;
mod metrics;
mod phase;
mod pod;
pub mod process;
mod pulse;
mod queues;
mod refusal;
mod register;
mod reload;
mod resources;
pub mod settings;
mod signals;
pub mod testing;
mod watchdog;
mod worker;
mod workers;

use std::{error::Error, fmt::Write as _, sync::OnceLock};

use tokio_util::sync::CancellationToken;

pub use crate::{
    activity::BlockingHeartbeat,
    client::{NoClient, client},
    convert::ProtoJson,
    dynamic::{AnyWorkflow, Dynamic, DynamicWorkflow},
    gate::TaskType,
    lifecycle::Ended,
    register::{OnQueue, Versioning},
    settings::Settings,
    worker::{FleetWorker, StartError, WorkerHandle},
};

/// Fires when this process begins to end: long activities should save their progress and return.
///
/// It fires before any activity is cancelled; an activity that is cancelled while this has not fired was cancelled by its workflow.
/// One token for the process, also on blocking threads.
pub fn shutdown_token() -> &'static CancellationToken {
    static TOKEN: OnceLock<CancellationToken> = OnceLock::new();
    TOKEN.get_or_init(CancellationToken::new)
}

/// An error and its causes on one line, each text once, cut at 1 kB.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            let _ = write!(text, ": {cause_text}");
        }
        source = cause.source();
    }
    let cut = text.floor_char_boundary(1_024);
    text.truncate(cut);
    text
}

/// The pages for authors of workers: `cargo test --doc` compiles their code.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../docs/worker/activities.md")]
    mod activities {}
    #[doc = include_str!("../../docs/worker/data.md")]
    mod data {}
    #[doc = include_str!("../../docs/worker/from-python.md")]
    mod from_python {}
    #[doc = include_str!("../../docs/worker/processes.md")]
    mod processes {}
    #[doc = include_str!("../../docs/worker/registration.md")]
    mod registration {}
    #[doc = include_str!("../../docs/worker/tutorial.md")]
    mod tutorial {}
    #[doc = include_str!("../../docs/worker/workflows.md")]
    mod workflows {}
}
