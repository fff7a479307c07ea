//! Means over seeds, with 95 % confidence intervals by Student's t.

use serde::Serialize;

/// Two-sided 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom.
const T: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// A mean with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// Mean.
    pub mean: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Estimate {
    /// The estimate from one value per seed; of a single one the interval is that value.
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        if values.is_empty() {
            return Self::default();
        }
        let mean = values.iter().sum::<f64>() / count;
        let half = if values.len() < 2 {
            0.0
        } else {
            let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / (count - 1.0);
            let t = T.get(values.len() - 2).copied().unwrap_or(1.96);
            t * libm::sqrt(variance / count)
        };
        Self {
            mean,
            low: mean - half,
            high: mean + half,
        }
    }

    /// The estimate of a ratio of two means from one pair of values per seed, by the jackknife; `None` if the lower mean is 0, or
    /// is 0 without one of the seeds.
    pub fn ratio(upper: &[f64], lower: &[f64]) -> Option<Self> {
        let pairs = || upper.iter().zip(lower);
        let count = pairs().count();
        let (over, under) = pairs().fold((0.0, 0.0), |(over, under), (a, b)| (over + a, under + b));
        let without: Vec<f64> = pairs().map(|(a, b)| (over - a) / (under - b)).collect();
        let mean = over / under;
        if !mean.is_finite() {
            return None;
        }
        if count < 2 {
            return Some(Self {
                mean,
                low: mean,
                high: mean,
            });
        }
        let centre = without.iter().sum::<f64>() / count as f64;
        let squares: f64 = without.iter().map(|ratio| (ratio - centre) * (ratio - centre)).sum();
        let t = T.get(count - 2).copied().unwrap_or(1.96);
        let half = t * libm::sqrt(squares * (count as f64 - 1.0) / count as f64);
        half.is_finite().then_some(Self {
            mean,
            low: mean - half,
            high: mean + half,
        })
    }

    /// Half the width of the interval.
    pub fn half(&self) -> f64 {
        (self.high - self.low) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_of_means_has_the_interval_of_the_jackknife() {
        let ratio = Estimate::ratio(&[10.0, 12.0, 8.0], &[5.0, 6.0, 4.0]).expect("a ratio");
        assert!((ratio.mean - 2.0).abs() < 1e-12 && ratio.half() < 1e-9, "{ratio:?}");
        // For equal denominators it is the interval of the mean.
        let ratio = Estimate::ratio(&[1.0, 2.0, 3.0, 4.0], &[1.0; 4]).expect("a ratio");
        assert!(
            (ratio.half() - Estimate::of(&[1.0, 2.0, 3.0, 4.0]).half()).abs() < 1e-9,
            "{ratio:?}"
        );
        assert_eq!(Estimate::ratio(&[1.0, 2.0], &[0.0, 0.0]), None);
    }

    #[test]
    fn the_interval_is_that_of_the_textbook() {
        let estimate = Estimate::of(&[1.0, 2.0, 3.0, 4.0]);
        assert!((estimate.mean - 2.5).abs() < 1e-12);
        // s = 1.290994, 3.182 * s / 2.
        assert!((estimate.half() - 2.053_972).abs() < 1e-5, "{estimate:?}");
        assert!(Estimate::of(&[7.0]).half().abs() < 1e-12);
    }
}
