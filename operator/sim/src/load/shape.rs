//! Shapes of load. Every time that is not given is a share of the run's duration, so that one shape serves runs of an hour and
//! of a day.

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::Curve;
use crate::random::{Purpose, generator};
use crate::scenario::Load;

/// The course of the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// The same rate all the time.
    Steady,
    /// `peak` times the rate from `atSeconds` (a quarter of the run) for `lastingSeconds` (a third of it), and back.
    Step,
    /// A third of the rate, and `peak` times the rate each `everySeconds` (an eighth of the run) for `lastingSeconds` (60).
    Spikes,
    /// A wave between the rate and `peak` times the rate, one in `everySeconds` (half the run), with `noise` (0.2).
    Diurnal,
    /// At `atSeconds` (a quarter of the run) up to `peak` times the rate within `rampSeconds` (a 30th of the run), so for
    /// `lastingSeconds` (a tenth of it), then down within five times the ramp.
    Flash,
    /// Nothing or the full rate, for random times: `lastingSeconds` (a 15th of the run) on and `everySeconds` (a tenth of it)
    /// off in the mean.
    OnOff,
    /// One task each `everySeconds` (a 60th of the run) in the mean, whatever the rate.
    Trickle,
}

impl Shape {
    /// All shapes.
    pub const ALL: [Self; 7] = [
        Self::Steady,
        Self::Step,
        Self::Spikes,
        Self::Diurnal,
        Self::Flash,
        Self::OnOff,
        Self::Trickle,
    ];

    /// The name as scenarios write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Step => "step",
            Self::Spikes => "spikes",
            Self::Diurnal => "diurnal",
            Self::Flash => "flash",
            Self::OnOff => "on-off",
            Self::Trickle => "trickle",
        }
    }

    /// The rate over a run of `duration` seconds. Only noise and on-off times hang on the seed.
    pub fn curve(self, load: &Load, duration: f64, seed: u64) -> Curve {
        let rate = load.rate;
        let peak = rate * load.peak;
        let at = load.at_seconds.unwrap_or(duration / 4.0);
        let lasting = |default: f64| load.lasting_seconds.unwrap_or(default);
        let every = |default: f64| load.every_seconds.unwrap_or(default).max(1.0);
        match self {
            Self::Steady => Curve::new(vec![(0.0, rate)]),
            Self::Step => {
                let until = at + lasting(duration / 3.0);
                Curve::new(vec![(0.0, rate), (at, rate), (at, peak), (until, peak), (until, rate)])
            }
            Self::Spikes => {
                let (every, lasting, low) = (every(duration / 8.0), lasting(60.0), rate / 3.0);
                let count = libm::floor(duration / every) as u32;
                let mut knots = vec![(0.0, low)];
                for spike in 0..=count {
                    let from = every * (f64::from(spike) + 0.5);
                    let until = from + lasting;
                    knots.extend([(from, low), (from, peak), (until, peak), (until, low)]);
                }
                Curve::new(knots)
            }
            Self::Diurnal => diurnal(load, duration, every(duration / 2.0), seed),
            Self::Flash => {
                let ramp = load.ramp_seconds.unwrap_or(duration / 30.0);
                let (top, fall) = (at + ramp, at + ramp + lasting(duration / 10.0));
                Curve::new(vec![
                    (0.0, rate),
                    (at, rate),
                    (top, peak),
                    (fall, peak),
                    (fall + 5.0 * ramp, rate),
                ])
            }
            Self::OnOff => on_off(rate, duration, lasting(duration / 15.0), every(duration / 10.0), seed),
            Self::Trickle => Curve::new(vec![(0.0, 1.0 / every(duration / 60.0))]),
        }
    }
}

fn diurnal(load: &Load, duration: f64, period: f64, seed: u64) -> Curve {
    let mut random = generator(seed, Purpose::Rate);
    let step = (duration / 120.0).max(1.0);
    let count = libm::ceil(duration / step) as u32;
    let knots = (0..=count).map(|number| {
        let time = f64::from(number) * step;
        // It begins at the low of the wave.
        let wave = 0.5 - 0.5 * libm::cos(2.0 * std::f64::consts::PI * time / period);
        let normal: f64 = StandardNormal.sample(&mut random);
        let noise = libm::exp(load.noise * normal - load.noise * load.noise / 2.0);
        (time, load.rate * (1.0 + (load.peak - 1.0) * wave) * noise)
    });
    Curve::new(knots.collect())
}

fn on_off(rate: f64, duration: f64, on: f64, off: f64, seed: u64) -> Curve {
    let mut random = generator(seed, Purpose::Rate);
    let mut draw = |mean: f64| {
        let uniform: f64 = random.random();
        // At least a tenth of the mean, so that a run has a bounded number of changes.
        mean * (0.1 - 0.9 * libm::log(1.0 - uniform))
    };
    let mut knots = vec![(0.0, 0.0)];
    let mut time = 0.0;
    while time < duration {
        let from = time + draw(off);
        let until = from + draw(on);
        knots.extend([(from, 0.0), (from, rate), (until, rate), (until, 0.0)]);
        time = until;
    }
    Curve::new(knots)
}
