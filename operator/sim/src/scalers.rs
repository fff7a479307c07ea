//! All scalers by name, ours, the peers and the oracle, and one run of one of them.

use crate::load::Streams;
use crate::oracle::Oracle;
use crate::scaler::Scaler;
use crate::scenario::Scenario;
use crate::setting::Setting;
use crate::world::{self, Options, Outcome};
use crate::{baselines, ours};

/// Name of the oracle.
pub const ORACLE: &str = "oracle";

/// Names of all scalers.
pub fn names() -> Vec<&'static str> {
    ours::NAMES
        .iter()
        .chain(baselines::NAMES)
        .copied()
        .chain([ORACLE])
        .collect()
}

/// There is no scaler of this name.
#[derive(Debug, thiserror::Error)]
#[error("there is no scaler `{name}`; scalers: {}", names().join(", "))]
pub struct UnknownScaler {
    /// The name.
    pub name: String,
}

fn by_name(name: &str, setting: &Setting) -> Option<Box<dyn Scaler + Send>> {
    match ours::by_name(name, setting) {
        Some(ours) => Some(Box::new(ours)),
        None => baselines::by_name(name, setting),
    }
}

/// One run of a scenario under the scaler of that name.
///
/// # Errors
/// If there is no such scaler.
pub fn run(
    scenario: &Scenario,
    streams: &Streams,
    seed: u64,
    name: &str,
    points: u32,
) -> Result<Outcome, UnknownScaler> {
    if name == ORACLE {
        let mut oracle = Oracle::new(scenario, streams);
        let options = Options { points, instant: true };
        let mut outcome = world::run(scenario, streams, seed, &mut oracle, options);
        // Its pods end when they are not needed; that others' have to drain is not part of the bound.
        outcome.score.pod_hours = oracle.pod_hours();
        return Ok(outcome);
    }
    let mut scaler = by_name(name, &scenario.setting()).ok_or_else(|| UnknownScaler { name: name.to_owned() })?;
    let options = Options { points, instant: false };
    let mut scenario = scenario.clone();
    scenario.bounds.start = scenario.bounds.start.max(scaler.least_start());
    Ok(world::run(&scenario, streams, seed, scaler.as_mut(), options))
}
