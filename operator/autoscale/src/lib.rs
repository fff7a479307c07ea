//! The scaling law of a fleet: `decide(policy, memory, sample, now) -> (decision, memory)`.
//!
//! Owns: what is known (`Sample`), what is remembered (`Memory`), what is wanted (`Policy`) and what follows (`Decision`).
//! Never does: I/O, clocks, randomness, threads. The same input gives the same answer, to the bit, on every machine: that is
//! what makes a recorded trace replayable. All floating point is total: no NaN gets in, none gets out.

mod arithmetic;
mod arrivals;
mod baselines;
mod choose;
mod counters;
mod decide;
pub mod decision;
mod demand;
mod downstream;
mod erlang;
mod explain;
mod fall;
mod fallback;
mod footprint;
mod gate;
mod ghost;
mod headroom;
pub mod kinds;
mod latency;
pub mod memory;
mod needs;
mod num;
mod outside;
pub mod policy;
mod queues;
pub mod record;
pub mod sample;
mod scale_in;
pub mod seen;
mod simple;
mod threshold;
mod trim;
mod words;
mod workers;
mod zero;

pub use decision::{Active, Decision, Limited, LimitedBy, Line, Reason, ScalingActive, Step, Target, TargetReport};
pub use kinds::{SlotKind, TaskType};
pub use memory::Memory;
pub use policy::{
    Fallback, Mode, Policy, PolicyError, Prior, Profile, RuleKind, ScaleDownBehavior, ScalingRule, ScheduleToStart,
    SelectPolicy,
};
pub use record::{Record, Replay};
pub use sample::{LatencyHistogram, PodPhase, PodReport, PodSample, QueueSample, QueueStats, Sample, SlotReport};
pub use seen::Seen;

/// Decides how many pods a version of a fleet needs at `now`.
///
/// Total and deterministic: any sample, however contradictory, gives a size within the bounds of the policy or keeps the present
/// one. Pass the returned memory to the next call; `Memory::default()` is a fresh start.
pub fn decide(policy: &Policy, memory: &Memory, sample: &Sample, now: jiff::Timestamp) -> (Decision, Memory) {
    decide::decide(policy, memory, sample, now)
}
