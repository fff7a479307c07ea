//! The middle of a few measurements, and an interval that needs no assumption about how they are distributed. Pure.

use serde::Serialize;

/// Wanted chance that the interval holds the true median.
const CONFIDENCE: f64 = 0.95;

/// Median of a sample with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Estimate {
    /// The median.
    pub(super) median: f64,
    /// Lower end of the interval.
    pub(super) low: f64,
    /// Upper end of the interval.
    pub(super) high: f64,
    /// Chance that such an interval holds the true median, 0 to 1. Below 0.95 there were too few measurements for more.
    pub(super) confidence: f64,
    /// How many measurements there are.
    pub(super) of: usize,
}

/// The interval is made of two measurements, as far inside as the confidence allows (the sign test's). `None` without any.
pub(super) fn estimate(values: &[f64]) -> Option<Estimate> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let of = sorted.len();
    let last = of.checked_sub(1)?;
    // Leaving out k values on both sides is wrong if at most k lie on one side of the true median: two tails of coin throws.
    let confidence = |left_out: usize| 1.0 - 2.0 * tail(of, left_out);
    let left_out = (0..of.div_ceil(2))
        .take_while(|&left_out| confidence(left_out) >= CONFIDENCE)
        .last()
        .unwrap_or(0);
    Some(Estimate {
        median: f64::midpoint(*sorted.get(last / 2)?, *sorted.get(of / 2)?),
        low: *sorted.get(left_out)?,
        high: *sorted.get(last - left_out)?,
        confidence: confidence(left_out).max(0.0),
        of,
    })
}

/// Chance of at most `most` heads in `throws` throws of a coin.
fn tail(throws: usize, most: usize) -> f64 {
    let mut ways = 1.0;
    let mut sum = 0.0;
    for heads in 0..=most {
        sum += ways;
        ways *= (throws - heads) as f64 / (heads + 1) as f64;
    }
    sum / 2_f64.powi(i32::try_from(throws).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_values_give_the_second_and_the_ninth() {
        let values: Vec<f64> = (1..=10).rev().map(f64::from).collect();
        let estimate = estimate(&values).expect("values");
        assert_eq!((estimate.median, estimate.low, estimate.high), (5.5, 2.0, 9.0));
        assert!((estimate.confidence - 0.979).abs() < 0.001, "{estimate:?}");
    }

    #[test]
    fn few_values_give_all_they_have_and_say_how_little_that_is() {
        let three = estimate(&[3.0, 1.0, 2.0]).expect("values");
        assert_eq!((three.median, three.low, three.high), (2.0, 1.0, 3.0));
        assert!((three.confidence - 0.75).abs() < 1e-9);
        let one = estimate(&[7.0]).expect("a value");
        assert_eq!((one.low, one.high, one.confidence), (7.0, 7.0, 0.0));
        assert_eq!(estimate(&[]), None);
    }
}
