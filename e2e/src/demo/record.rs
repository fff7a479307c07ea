//! Everything a run of the demo has seen, as plain data: the verdict reads this and nothing else, and
//! `target/demo/record.json` keeps it, so that a verdict can be argued with afterwards.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    fleet::{pods::PodLife, status::Decision},
    load::WorkflowRecord,
};

/// What a phase of the scenario is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PhaseKind {
    /// A small load that one pod carries.
    Quiet,
    /// Ten times as much at once.
    Step,
    /// Little load again, so that the next phase begins with a small fleet.
    Ease,
    /// Few tasks with much CPU each.
    Cpu,
    /// Long activities begin just as the load ends: whatever is scaled in runs one.
    LongRunning,
    /// A small load on a fleet that shrinks.
    Settle,
    /// No load at all.
    Zero,
    /// A few workflows for a fleet of none.
    Back,
}

impl PhaseKind {
    /// Name in output and in the load's notes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Step => "step",
            Self::Ease => "ease",
            Self::Cpu => "cpu",
            Self::LongRunning => "long-running",
            Self::Settle => "settle",
            Self::Zero => "zero",
            Self::Back => "back",
        }
    }
}

/// One phase as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseSpan {
    /// Which.
    pub kind: PhaseKind,
    /// Its begin.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
}

/// What was seen in one second. `None`: not seen, which is not zero.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Replicas that the Deployment asks for.
    pub desired: Option<u32>,
    /// Pods of it that are Ready.
    pub ready: Option<u32>,
    /// Pods that exist, those that end among them.
    pub pods: Option<u32>,
    /// Pods that were asked to end and are still there.
    pub ending: Option<u32>,
    /// Arrivals of workflows per second, over the last seconds.
    pub rate: Option<f64>,
    /// Tasks waiting.
    pub backlog: Option<u64>,
    /// Age of the oldest, in seconds.
    pub backlog_age_seconds: Option<f64>,
    /// 99th percentile of schedule-to-start, in seconds, as the operator measures it.
    pub schedule_to_start_p99_seconds: Option<f64>,
    /// Busy activity slots.
    pub slots_used: Option<u32>,
    /// Activity slots.
    pub slots_limit: Option<u32>,
    /// CPU as a share of its limit, 0..1.
    pub cpu_utilization: Option<f64>,
    /// Workflows started so far.
    pub started: u64,
    /// Workflows completed so far.
    pub completed: Option<u64>,
}

/// A whole run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Record {
    /// Phases in order.
    pub phases: Vec<PhaseSpan>,
    /// One per second, in order.
    pub samples: Vec<Sample>,
    /// Decisions in order of time.
    pub decisions: Vec<Decision>,
    /// Pods that lived during the run.
    pub pods: Vec<PodLife>,
    /// Every workflow that was due.
    pub workflows: Vec<WorkflowRecord>,
    /// Why the scenario was cut short, if it was.
    pub cut_short: Option<String>,
}

impl Record {
    /// The first phase of this kind.
    pub fn phase(&self, kind: PhaseKind) -> Option<&PhaseSpan> {
        self.phases.iter().find(|phase| phase.kind == kind)
    }

    /// Ready pods in the second half of the quiet phase, after the start has settled.
    pub fn quiet_size(&self) -> Option<u32> {
        let quiet = self.phase(PhaseKind::Quiet)?;
        let half = quiet.from + quiet.to.duration_since(quiet.from) / 2;
        self.samples_between(half, quiet.to)
            .filter_map(|sample| sample.ready)
            .max()
    }

    /// Samples from `from` to before `to`.
    pub fn samples_between(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Sample> {
        self.samples
            .iter()
            .filter(move |sample| from <= sample.at && sample.at < to)
    }
}
