//! What load to make: streams of one workflow type each, and when their next arrival is due. Pure.
//!
//! Arrivals are Poisson (exponential gaps), as independent callers are, from a seeded generator: the same seed gives the
//! same load, whichever way the fleet reacts.

use std::time::Duration;

use serde_json::Value;

/// The one argument of a workflow of a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The workflow's own ID as text: each task's payload says where it came from.
    OwnId,
    /// The same number for each workflow, such as milliseconds of CPU.
    Number(u64),
}

impl Input {
    /// The JSON argument for the workflow with this ID.
    pub fn to_json(&self, workflow_id: &str) -> Value {
        match self {
            Self::OwnId => Value::from(workflow_id),
            Self::Number(number) => Value::from(*number),
        }
    }
}

/// Workflows of one type, arriving at one mean rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// Workflow type, as registered by the worker.
    pub workflow: String,
    /// Argument of each.
    pub input: Input,
    /// Mean arrivals per second; 0 or less means none.
    pub per_second: f64,
}

impl Stream {
    /// A stream of `workflow` at `per_second`, each with its own ID as the argument.
    pub fn new(workflow: &str, per_second: f64) -> Self {
        Self {
            workflow: workflow.to_owned(),
            input: Input::OwnId,
            per_second,
        }
    }

    /// The same stream with a number as the argument.
    #[must_use]
    pub fn with_number(mut self, number: u64) -> Self {
        self.input = Input::Number(number);
        self
    }
}

/// Seeded source of exponential gaps (splitmix64; statistical quality is plenty for arrivals, and it needs no crate).
#[derive(Debug, Clone)]
pub struct Gaps(u64);

impl Gaps {
    /// The same `seed` gives the same gaps.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number of the sequence, uniform over all 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `[0, 1)`.
    pub fn next_unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The gap to the next arrival at a mean rate; `None` if nothing arrives. At most ten mean gaps, so that an unlucky
    /// draw does not empty a short phase.
    pub fn next_gap(&mut self, per_second: f64) -> Option<Duration> {
        if !(per_second > 0.0 && per_second.is_finite()) {
            return None;
        }
        let unit = 1.0 - self.next_unit();
        let means = (-unit.ln()).min(10.0);
        Some(Duration::from_secs_f64(means / per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_have_the_mean_of_the_rate_and_repeat_with_the_seed() {
        let mut gaps = Gaps::new(7);
        let total: f64 = (0..20_000)
            .filter_map(|_| gaps.next_gap(10.0))
            .map(|gap| gap.as_secs_f64())
            .sum();
        assert!((total / 20_000.0 - 0.1).abs() < 0.003, "mean gap {}", total / 20_000.0);
        let draw = |seed| {
            let mut gaps = Gaps::new(seed);
            (0..5).map(|_| gaps.next_u64()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn no_rate_means_no_arrival() {
        let mut gaps = Gaps::new(1);
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(gaps.next_gap(rate), None);
        }
    }

    #[test]
    fn the_argument_is_the_own_id_or_the_number() {
        assert_eq!(Input::OwnId.to_json("a-1"), Value::from("a-1"));
        assert_eq!(Input::Number(250).to_json("a-1"), Value::from(250));
    }
}
