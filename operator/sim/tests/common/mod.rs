//! Scalers that do as they are told, and runs of a text.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use fleet_sim::load::Streams;
use fleet_sim::scaler::{Ending, Scaler, Seen, Time};
use fleet_sim::scenario::{Scenario, parse};
use fleet_sim::world::{self, Options, Outcome};

pub fn scenario(text: &str) -> Scenario {
    parse(text).expect(text)
}

pub fn run(scenario: &Scenario, seed: u64, scaler: &mut dyn Scaler) -> Outcome {
    let options = Options {
        points: 500,
        instant: false,
    };
    world::run(scenario, &Streams::draw(scenario, seed), seed, scaler, options)
}

const GENTLE: Ending = Ending {
    grace_seconds: 3600.0,
    idle_first: true,
    quarantine: true,
};

/// Always the same size; keeps what it saw.
pub struct Fixed {
    replicas: u32,
    pub last: Option<Seen>,
    pub all: Vec<Seen>,
}

impl Fixed {
    pub fn new(replicas: u32) -> Self {
        Self {
            replicas,
            last: None,
            all: Vec::new(),
        }
    }
}

impl Scaler for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn ending(&self) -> Ending {
        GENTLE
    }

    fn next(&self, now: Time) -> Time {
        now + 15.0
    }

    fn look(&mut self, seen: &Seen) -> Option<u32> {
        self.last = Some(seen.clone());
        if self.all.len() < 1000 {
            self.all.push(seen.clone());
        }
        Some(self.replicas)
    }
}

/// Sizes at given times.
pub struct Plan {
    sizes: Vec<(f64, u32)>,
    ending: Ending,
}

impl Plan {
    pub fn new(sizes: &[(f64, u32)]) -> Self {
        Self {
            sizes: sizes.to_vec(),
            ending: GENTLE,
        }
    }

    pub fn ending(self, ending: Ending) -> Self {
        Self { ending, ..self }
    }
}

impl Scaler for Plan {
    fn name(&self) -> &'static str {
        "plan"
    }

    fn ending(&self) -> Ending {
        self.ending
    }

    fn next(&self, now: Time) -> Time {
        now + 5.0
    }

    fn look(&mut self, seen: &Seen) -> Option<u32> {
        self.sizes
            .iter()
            .rfind(|(at, _)| *at <= seen.now)
            .map(|(_, size)| *size)
    }
}
