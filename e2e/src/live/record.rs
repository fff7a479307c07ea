//! Everything a run has seen, as plain data: scores and pictures are made of this and of nothing else, and a file per run keeps it, so
//! that a result can be argued with afterwards.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{args::Scaler, scenario::Name};
use crate::{
    fleet::{pods::PodLife, sizes::Size},
    load::WorkflowRecord,
};

/// What was seen at one moment. `None`: not seen, which is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Replicas that the Deployment asks for.
    pub desired: Option<u32>,
    /// Pods of it that are Ready.
    pub ready: Option<u32>,
    /// CPU of the pods that the metrics API knows, as a share of their limits; `None` without pods, too.
    pub cpu: Option<f64>,
}

/// How the machine was over some seconds that end at `at`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// The end of these seconds.
    pub at: Timestamp,
    /// How many.
    pub seconds: f64,
    /// Share of the CPUs that nobody used; `None` if not known.
    pub idle: Option<f64>,
    /// Share of the CPUs that the hypervisor gave to others; `None` if not known.
    pub steal: Option<f64>,
    /// The slowest answer of Temporal's frontend to a call that does no work, in seconds; `None` if one did not come.
    pub answer_seconds: Option<f64>,
}

/// One run: one scaler under one scenario. Times of servers and of the observer are of one clock: all run on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Who set the size.
    pub scaler: Scaler,
    /// Under which load.
    pub scenario: Name,
    /// Which others ran at the same time, each with workers of its own.
    pub beside: Vec<Name>,
    /// Seed of the arrivals.
    pub seed: u64,
    /// The machine, and the commit that ran.
    pub machine: String,
    /// When the load began.
    pub began: Timestamp,
    /// How long it lasted, in seconds.
    pub seconds: f64,
    /// When each workflow was due, in seconds after the begin, ascending.
    pub due: Vec<f64>,
    /// What became of each.
    pub workflows: Vec<WorkflowRecord>,
    /// Pods that lived during the run.
    pub pods: Vec<PodLife>,
    /// Sizes that the Deployment was given, each different from the one before; the first may be from before the begin.
    pub sizes: Vec<Size>,
    /// Looks, in order.
    pub samples: Vec<Sample>,
    /// The machine's health, in order.
    pub health: Vec<Health>,
}

impl Record {
    /// Seconds after the begin; negative before it.
    pub fn after(&self, at: Timestamp) -> f64 {
        at.duration_since(self.began).as_secs_f64()
    }

    /// The moment so many seconds after the begin.
    pub fn moment(&self, seconds: f64) -> Timestamp {
        let millis = (seconds * 1_000.0).round() as i64;
        self.began
            .checked_add(SignedDuration::from_millis(millis))
            .unwrap_or(self.began)
    }

    /// Sizes as (seconds after the begin, replicas), in order.
    pub fn steps(&self) -> Vec<(f64, u32)> {
        self.sizes
            .iter()
            .map(|size| (self.after(size.at), size.replicas))
            .collect()
    }
}
