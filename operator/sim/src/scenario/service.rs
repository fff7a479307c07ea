//! Service times: how long a task runs if nothing else needs the CPU.

use rand_distr::{Distribution, LogNormal, Pareto};
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

/// A family of distributions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Family {
    /// Lognormal, by mean and `variation`.
    #[default]
    Lognormal,
    /// Pareto, by mean and `tail`.
    Pareto,
    /// Exponential, by mean.
    Exponential,
    /// Always the mean.
    Fixed,
}

/// The distribution of service times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// Family.
    #[serde(default)]
    pub distribution: Family,
    /// Mean [s], > 0.
    pub mean_seconds: f64,
    /// Standard deviation as a multiple of the mean (lognormal only), 0.01 to 10; default 1.
    #[serde(default = "one")]
    pub variation: f64,
    /// Index of the tail (Pareto only), 1.1 to 10: the smaller the heavier; default 2.2.
    #[serde(default = "tail")]
    pub tail: f64,
    /// No task runs longer, as a multiple of the mean, ≥ 1; default 100. It cuts the mean of heavy tails a little.
    #[serde(default = "hundred")]
    pub longest: f64,
}

fn one() -> f64 {
    1.0
}

fn tail() -> f64 {
    2.2
}

fn hundred() -> f64 {
    100.0
}

impl Service {
    /// Draws one service time [s], > 0.
    pub(crate) fn draw(&self, random: &mut Pcg64) -> f64 {
        let mean = self.mean_seconds;
        let drawn = match self.distribution {
            Family::Lognormal => {
                let square = libm::log(1.0 + self.variation * self.variation);
                LogNormal::new(libm::log(mean) - square / 2.0, libm::sqrt(square))
                    .map_or(mean, |law| law.sample(random))
            }
            Family::Pareto => {
                let scale = mean * (self.tail - 1.0) / self.tail;
                Pareto::new(scale, self.tail).map_or(mean, |law| law.sample(random))
            }
            Family::Exponential => {
                let unit: f64 = rand_distr::Exp1.sample(random);
                mean * unit
            }
            Family::Fixed => mean,
        };
        drawn.clamp(1e-6, mean * self.longest)
    }

    /// The first field out of bounds, with what it must be.
    pub(crate) fn wrong(&self) -> Option<(&'static str, &'static str)> {
        let Self {
            distribution: _,
            mean_seconds,
            variation,
            tail,
            longest,
        } = *self;
        if !(mean_seconds > 0.0 && mean_seconds <= 864_000.0) {
            Some(("meanSeconds", "more than 0, at most 864000 (ten days)"))
        } else if !(0.01..=10.0).contains(&variation) {
            Some(("variation", "0.01 to 10; for no variation use `distribution: fixed`"))
        } else if !(1.1..=10.0).contains(&tail) {
            Some(("tail", "1.1 to 10"))
        } else if !(1.0..=1e6).contains(&longest) {
            Some(("longest", "1 to 1000000"))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, generator};

    #[test]
    fn each_family_has_the_mean_it_is_given() {
        for distribution in [Family::Lognormal, Family::Pareto, Family::Exponential, Family::Fixed] {
            let service = Service {
                distribution,
                mean_seconds: 2.0,
                variation: 1.5,
                tail: 3.0,
                longest: 1000.0,
            };
            let mut random = generator(1, Purpose::Service(0));
            let count = 200_000;
            let mean = (0..count).map(|_| service.draw(&mut random)).sum::<f64>() / f64::from(count);
            assert!((mean - 2.0).abs() < 0.04, "{distribution:?}: {mean}");
        }
    }
}
