//! `Decision`: what to run, and why. Everything that status, events, metrics and `explain` show comes from here.

use core::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::SlotKind;

/// A target of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Target {
    /// The latency objective.
    ScheduleToStart,
    /// CPU use of the pods.
    CpuUtilization,
    /// Memory of the pods.
    MemoryUtilization,
    /// Share of busy slots.
    SlotUtilization,
    /// Waiting tasks per pod.
    BacklogPerReplica,
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The latency objective asked for most.
    ScheduleToStart,
    /// The CPU target asked for most.
    CpuUtilization,
    /// The memory target asked for most.
    MemoryUtilization,
    /// The slot target asked for most.
    SlotUtilization,
    /// The backlog target asked for most.
    BacklogPerReplica,
    /// Work arrived at a fleet of size zero.
    WokenFromZero,
    /// Nothing to do for the whole cooldown.
    IdleToZero,
    /// `minReplicas` or `maxReplicas`.
    Bounds,
    /// A rule of the owner's `scaleDown` cut a step short.
    Behavior,
    /// The owner's size for a fleet whose server says nothing for long.
    Fallback,
    /// The size is kept, because what would be needed to change it is unknown or forbids it.
    Hold,
}

/// Whether decisions rest on valid signals and are acted upon (condition `ScalingActive`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ScalingActive {
    /// All signals are known and fresh.
    SignalsValid,
    /// Some pods do not report: the law works with less.
    SignalsDegraded,
    /// The server's statistics are missing: the size is held.
    SignalsUnknown,
    /// They are missing for so long that the owner's fallback counts.
    FallbackActive,
    /// `mode: DryRun`.
    DryRun,
    /// `mode: Off`.
    TurnedOff,
}

/// What keeps the fleet from the size that demand asks for (condition `ScalingLimited`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Limited {
    /// Nothing.
    WithinBounds,
    /// Demand asks for more than `maxReplicas`.
    AtMaxReplicas,
    /// Demand asks for less than `minReplicas`.
    AtMinReplicas,
    /// The rate of scale-in.
    LimitedByBehavior,
    /// A rate limit of the queue: more pods would not help.
    RateLimited,
    /// Tasks wait although slots are free: more pods would not help.
    PollerBound,
    /// Full pods finish no more when there are more of them: something behind them is full.
    DownstreamBound,
    /// Half of the new pods do not start: no more of them.
    NewPodsFailing,
    /// Waiting tasks count for nothing, as no worker gets them although slots are free.
    GhostBacklog,
}

macro_rules! names {
    ($($type:ident { $($variant:ident),+ $(,)? })+) => {$(
        impl $type {
            /// The name as the API writes it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )+};
}

names! {
    Step { Demand, Headroom, PerPod, Target, Behavior, Bounds, Slots, Change }
    Target { ScheduleToStart, CpuUtilization, MemoryUtilization, SlotUtilization, BacklogPerReplica }
    Reason {
        ScheduleToStart, CpuUtilization, MemoryUtilization, SlotUtilization, BacklogPerReplica, WokenFromZero, IdleToZero,
        Bounds, Behavior, Fallback, Hold
    }
    ScalingActive { SignalsValid, SignalsDegraded, SignalsUnknown, FallbackActive, DryRun, TurnedOff }
    Limited { WithinBounds, AtMaxReplicas, AtMinReplicas, LimitedByBehavior, RateLimited, PollerBound, DownstreamBound, NewPodsFailing, GhostBacklog }
}

impl From<Target> for Reason {
    fn from(target: Target) -> Self {
        match target {
            Target::ScheduleToStart => Self::ScheduleToStart,
            Target::CpuUtilization => Self::CpuUtilization,
            Target::MemoryUtilization => Self::MemoryUtilization,
            Target::SlotUtilization => Self::SlotUtilization,
            Target::BacklogPerReplica => Self::BacklogPerReplica,
        }
    }
}

impl ScalingActive {
    /// Status of the condition.
    pub const fn is_true(self) -> bool {
        matches!(self, Self::SignalsValid | Self::SignalsDegraded)
    }
}

impl Limited {
    /// Status of the condition.
    pub const fn is_true(self) -> bool {
        !matches!(self, Self::WithinBounds)
    }
}

/// Reason and text of the condition `ScalingActive`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Active {
    /// The reason.
    pub reason: ScalingActive,
    /// One line for people.
    pub message: String,
}

/// Reason and text of the condition `ScalingLimited`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitedBy {
    /// The reason.
    pub reason: Limited,
    /// One line for people.
    pub message: String,
}

/// One target: measured, wanted, and the size it asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetReport {
    /// Which target.
    pub target: Target,
    /// Measured, with its unit, such as `3.1s` or `79%`; `Unavailable` if it cannot be measured.
    pub current: String,
    /// Wanted, with its unit, such as `p99 5s` or `80%`.
    pub goal: String,
    /// Pods this target alone asks for, before limits and bounds.
    pub recommended: u32,
}

/// Most lines of a decision's arithmetic.
pub const LINES_MAX: usize = 24;
/// Most characters of a line's text and note.
pub const TEXT_MAX: usize = 240;
/// Most characters of a line's result.
pub const RESULT_MAX: usize = 64;

/// One line of a decision's arithmetic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which step it belongs to.
    pub step: Step,
    /// What is computed, such as `51.6 tasks/s x 2.1 s`; for [`Step::Change`] a whole sentence.
    pub text: String,
    /// What comes of it, such as `108 busy slots`; may be empty.
    pub result: String,
    /// Where the figures come from, or what they say beside; may be empty. Ages of figures stand nowhere else.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// A step of the arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Step {
    /// Busy slots that the load asks for, per slot kind.
    Demand,
    /// What is added for surprises, and where the model asked for too little.
    Headroom,
    /// Slots of a pod that CPU can keep at full speed, per slot kind.
    PerPod,
    /// Pods that a target asks for.
    Target,
    /// What pace, windows and safety make of that.
    Behavior,
    /// What the bounds make of that.
    Bounds,
    /// Slots of a pod with which slots and CPU bind together.
    Slots,
    /// What would change the answer.
    Change,
}

/// What to run, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What to run now; equal to `Sample::replicas` it means: keep.
    pub replicas: u32,
    /// Where demand leads within the bounds, without the rates of scale-in and whatever the mode.
    pub recommended: u32,
    /// What decided.
    pub reason: Reason,
    /// Condition `ScalingActive`.
    pub active: Active,
    /// Condition `ScalingLimited`.
    pub limited: LimitedBy,
    /// One entry per target that is on.
    pub targets: Vec<TargetReport>,
    /// The arithmetic, in one line that ends in `-> N`.
    pub message: String,
    /// The arithmetic step by step, at most [`LINES_MAX`] lines; the steps in their order, each a group of lines.
    #[serde(default)]
    pub arithmetic: Vec<Line>,
    /// When to sample again.
    pub next_poll: SignedDuration,
    /// Demand per slot kind [busy slots].
    pub offered_load: Vec<(SlotKind, f64)>,
    /// Measured 99th percentile of schedule-to-start over the last minute [s].
    pub schedule_to_start_p99_seconds: Option<f64>,
    /// Mean CPU use of the Ready pods as a share of their capacity.
    pub cpu_utilization: Option<f64>,
    /// Tasks running now on pods that report, ending ones included.
    pub busy_slots: u32,
}
