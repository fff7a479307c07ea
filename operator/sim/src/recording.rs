//! Recordings of our decisions: written from a run, and played back. The form of a line is that of `fleet_autoscale::record`,
//! which the operator writes too.

use std::fmt;
use std::sync::mpsc;

use fleet_autoscale::{Record, Replay};

use crate::load::Streams;
use crate::ours;
use crate::scenario::Scenario;
use crate::world::{self, Options};

/// A line that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It is not a record.
    #[error("line {line} is not a record")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// There is none.
    #[error("the recording is empty")]
    Empty,
    /// A record cannot be written.
    #[error("failed to write a record")]
    Write(#[source] serde_json::Error),
}

/// The decisions of our scaler on the first seed of a scenario, one JSON object per line.
///
/// # Errors
/// If a decision cannot be written as JSON.
pub fn record(scenario: &Scenario) -> Result<String, RecordingError> {
    let seed = scenario.seeds.first().copied().unwrap_or(1);
    let setting = scenario.setting();
    let (lines, written) = mpsc::channel();
    let mut ours = ours::Ours::new("ours", ours::policy(&setting), &setting).recording(move |record| {
        // The receiver lives until the run is over.
        let _ = lines.send(serde_json::to_string(record));
    });
    world::run(
        scenario,
        &Streams::draw(scenario, seed),
        seed,
        &mut ours,
        Options::default(),
    );
    drop(ours);
    let mut text = String::new();
    for line in written {
        text.push_str(&line.map_err(RecordingError::Write)?);
        text.push('\n');
    }
    Ok(text)
}

/// What came of a replay.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replayed {
    /// Decisions that were made again.
    pub decisions: usize,
    /// Those that are not what they were.
    pub differences: Vec<Difference>,
}

/// A decision that is not what it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Number of the line, from 1.
    pub line: usize,
    /// When it was made.
    pub at: jiff::Timestamp,
    /// The arithmetic then.
    pub then: String,
    /// The arithmetic now.
    pub now: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, at, then, now } = self;
        write!(f, "line {line}, {at}\n  then: {then}\n  now:  {now}")
    }
}

/// Makes every recorded decision again. Two are equal if every field is, to the bit.
///
/// # Errors
/// If a line is not a record, or there is none.
pub fn replay(text: &str) -> Result<Replayed, RecordingError> {
    let mut replay = Replay::default();
    let mut replayed = Replayed::default();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line_number = number + 1;
        let record: Record = serde_json::from_str(line).map_err(|source| RecordingError::Line {
            line: line_number,
            source,
        })?;
        let decision = replay.next(&record);
        replayed.decisions += 1;
        if decision != record.decision {
            replayed.differences.push(Difference {
                line: line_number,
                at: record.at,
                then: record.decision.message,
                now: decision.message,
            });
        }
    }
    if replayed.decisions == 0 {
        return Err(RecordingError::Empty);
    }
    Ok(replayed)
}
