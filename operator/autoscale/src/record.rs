//! A recording of one fleet: what was known at each decision and what was decided, one JSON object per line. Played back through
//! `decide` it gives the same decisions, bit for bit; numbers must be read with full precision for that (`float_roundtrip`).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Decision, Memory, Policy, Sample, decide};

/// One decision with all that it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When it was made.
    pub at: Timestamp,
    /// What the owner asked for.
    pub policy: Policy,
    /// What was remembered: in the first line of a file, and where it does not follow from the line before, as after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// The memory follows from the line before, if that is at hand: the line only begins another file.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub continues: bool,
    /// What was known.
    pub sample: Sample,
    /// What was decided.
    pub decision: Decision,
}

/// Plays records back, in their order.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    memory: Memory,
    begun: bool,
}

impl Replay {
    /// The decision that this build makes where the record has its own.
    pub fn next(&mut self, record: &Record) -> Decision {
        if let Some(memory) = record.memory.as_ref().filter(|_| !(self.begun && record.continues)) {
            self.memory = memory.clone();
        }
        self.begun = true;
        let (decision, memory) = decide(&record.policy, &self.memory, &record.sample, record.at);
        self.memory = memory;
        decision
    }
}
