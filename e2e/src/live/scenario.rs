//! The scenarios: which load when, on which fleet. Pure.
//!
//! Sized for two cores that also carry Kubernetes and Temporal: at most 10 workflows/s and 0.6 cores of CPU on purpose, on pods of
//! 100m CPU and four activity slots. One workflow type each, so that the simulator can be given the same load.

use std::fmt;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::{
    demo::scenario::{BURN, DATA, LONG},
    load::{Stream, plan::Gaps},
};

/// CPU limit and request of a pod, in thousandths of a core: equal, as an HPA measures against the request and we against the limit.
pub const POD_MILLICORES: u32 = 100;
/// CPU that Temporal (500m), DNS, the metrics API and a scaler request for themselves, in thousandths of a core.
const OTHERS_MILLICORES: u32 = 590;
/// Activity slots of a pod.
pub const SLOTS: u32 = 4;
/// The objective: longest acceptable wait for a worker, in seconds. The default of our API.
pub const OBJECTIVE_SECONDS: f64 = 5.0;
/// Percent of the tasks that must meet it. The default of our API.
pub const OBJECTIVE_PERCENTILE: f64 = 99.0;

/// A scenario by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    /// Ten times the load at once, and back.
    Step,
    /// The same load all the time.
    Steady,
    /// A workflow now and then; the fleet may go to zero.
    Trickle,
    /// Many workflows at once for a fleet at zero, twice.
    Burst,
    /// Few tasks that compute.
    Cpu,
    /// Activities that outlast the graceful shutdown, under a load that comes and goes.
    Long,
}

impl Name {
    /// All, in the order of runs and tables.
    pub const ALL: [Self; 6] = [
        Self::Step,
        Self::Steady,
        Self::Trickle,
        Self::Burst,
        Self::Cpu,
        Self::Long,
    ];

    /// Name in files, tables and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Steady => "steady",
            Self::Trickle => "trickle",
            Self::Burst => "burst",
            Self::Cpu => "cpu",
            Self::Long => "long",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the activities of a scenario do, as far as the simulator must know it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// Seconds that one takes when nothing else needs the CPU.
    pub seconds: f64,
    /// Standard deviation / mean of that; 0 for none.
    pub variation: f64,
    /// Cores that a running one uses if it gets them.
    pub cores: f64,
}

/// One scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Its name.
    pub name: Name,
    /// What it is, in one line.
    pub about: &'static str,
    /// Workflow type and argument; its rate means nothing.
    pub stream: Stream,
    /// What its activities do.
    pub work: Work,
    /// Length of a run in minutes.
    pub minutes: u64,
    /// Smallest size; 0 allows zero to those who can.
    pub min_replicas: u32,
    /// Largest size, for every scaler. Scenarios that run side by side need room for all their pods on the node.
    pub max_replicas: u32,
    /// Size at the beginning.
    pub start_replicas: u32,
    /// What running activities get after SIGTERM, in seconds.
    pub graceful_seconds: u32,
    /// Workflows per second from each share of the run (0..1) on; ascending, the first is 0.
    rates: Vec<(f64, f64)>,
    /// So many workflows at once at a share of the run.
    bursts: Vec<(f64, u32)>,
}

impl Scenario {
    /// The scenario of this name.
    pub fn named(name: Name) -> Self {
        // One to three seconds, evenly.
        let data = Work {
            seconds: 2.0,
            variation: 0.29,
            cores: 0.003,
        };
        let base = Self {
            name,
            about: "",
            stream: Stream::new(DATA, 0.0),
            work: data,
            minutes: 20,
            min_replicas: 1,
            max_replicas: 12,
            start_replicas: 1,
            graceful_seconds: 40,
            rates: Vec::new(),
            bursts: Vec::new(),
        };
        match name {
            Name::Step => Self {
                about: "1 workflow/s, 10/s from a fifth of the run to three fifths, 1/s; activities of 1 to 3 s that wait",
                rates: vec![(0.0, 1.0), (0.2, 10.0), (0.6, 1.0)],
                ..base
            },
            Name::Steady => Self {
                about: "5 workflows/s all the time; activities of 1 to 3 s that wait",
                rates: vec![(0.0, 5.0)],
                ..base
            },
            Name::Trickle => Self {
                about: "one workflow in 4 min in the mean; activities of 1 to 3 s that wait; zero allowed",
                minutes: 30,
                min_replicas: 0,
                // One is what it takes; what it never takes is room for a neighbour.
                max_replicas: 2,
                rates: vec![(0.0, 1.0 / 240.0)],
                ..base
            },
            Name::Burst => Self {
                about: "80 workflows at once at a tenth of the run and at six tenths, nothing else; activities of 1 to 3 s that wait; begins at zero",
                min_replicas: 0,
                max_replicas: 8,
                start_replicas: 0,
                rates: vec![(0.0, 0.0)],
                bursts: vec![(0.1, 80), (0.6, 80)],
                ..base
            },
            Name::Cpu => Self {
                about: "1.2 workflows/s all the time; activities of 0.5 s of CPU on pods of 100m",
                stream: Stream::new(BURN, 0.0).with_number(500),
                work: Work {
                    seconds: 0.5,
                    variation: 0.0,
                    cores: 1.0,
                },
                rates: vec![(0.0, 1.2)],
                ..base
            },
            Name::Long => Self {
                about: "0.8 workflows/s for a fifth of the run, 0.1/s for three tenths, twice; activities of 20 s with heartbeats, and a graceful shutdown of 8 s",
                stream: Stream::new(LONG, 0.0),
                work: Work {
                    seconds: 20.0,
                    variation: 0.0,
                    cores: 0.003,
                },
                minutes: 26,
                max_replicas: 8,
                graceful_seconds: 8,
                rates: vec![(0.0, 0.8), (0.2, 0.1), (0.5, 0.8), (0.7, 0.1)],
                ..base
            },
        }
    }

    /// When each workflow is due, in seconds after the begin of a run of `seconds`, ascending. The same seed gives the same moments.
    pub fn arrivals(&self, seed: u64, seconds: f64) -> Vec<f64> {
        let mut gaps = Gaps::new(seed);
        let mut due = Vec::new();
        for (index, (share, rate)) in self.rates.iter().enumerate() {
            let until = self.rates.get(index + 1).map_or(1.0, |(next, _)| *next) * seconds;
            let mut at = share * seconds;
            while let Some(gap) = gaps.next_gap(*rate) {
                at += gap.as_secs_f64();
                if at >= until {
                    break;
                }
                due.push(at);
            }
        }
        for (share, count) in &self.bursts {
            due.extend((0..*count).map(|_| share * seconds));
        }
        due.sort_by(f64::total_cmp);
        due
    }
}

/// Refuses scenarios whose largest sizes do not fit a node of so many cores together: pods that wait for room distort what each
/// scaler learns of pod starts, and so what it does.
pub fn check_room(together: &[Scenario], cores: u32) -> Result<()> {
    let room = (1000 * cores).saturating_sub(OTHERS_MILLICORES) / POD_MILLICORES;
    let asked: u32 = together.iter().map(|scenario| scenario.max_replicas).sum();
    let names: Vec<&str> = together.iter().map(|scenario| scenario.name.as_str()).collect();
    ensure!(
        asked <= room,
        "{} may ask for {asked} pods at once, and {cores} cores have room for {room}: run fewer scenarios side by side",
        names.join(", ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(due: &[f64], from: f64, to: f64) -> usize {
        due.iter().filter(|at| (from..to).contains(*at)).count()
    }

    #[test]
    fn a_seed_gives_the_same_moments_to_every_scaler() {
        for name in Name::ALL {
            let scenario = Scenario::named(name);
            let due = scenario.arrivals(1, 1200.0);
            assert_eq!(due, scenario.arrivals(1, 1200.0), "{name}");
            assert!(due.is_sorted(), "{name}");
            assert!(due.iter().all(|at| (0.0..1200.0).contains(at)), "{name}");
            assert!(!due.is_empty(), "{name}");
        }
        let steady = Scenario::named(Name::Steady);
        assert_ne!(steady.arrivals(1, 1200.0), steady.arrivals(2, 1200.0));
    }

    #[test]
    fn the_step_is_ten_times_the_base() {
        let due = Scenario::named(Name::Step).arrivals(3, 1000.0);
        let (base, step) = (count(&due, 0.0, 200.0), count(&due, 200.0, 600.0));
        assert!((140..=260).contains(&base), "{base}");
        assert!((3_750..=4_250).contains(&step), "{step}");
    }

    #[test]
    fn bursts_come_at_once() {
        let due = Scenario::named(Name::Burst).arrivals(1, 1000.0);
        assert_eq!(due.len(), 160);
        assert_eq!(count(&due, 99.9, 100.1), 80);
        assert_eq!(count(&due, 599.9, 600.1), 80);
    }

    #[test]
    fn no_run_is_shorter_than_a_scale_in_takes_and_the_machine_carries_all() {
        for name in Name::ALL {
            let scenario = Scenario::named(name);
            assert!(scenario.minutes >= 15, "{name}");
            assert_eq!(scenario.rates.first().map(|(share, _)| *share), Some(0.0), "{name}");
            for (_, rate) in &scenario.rates {
                assert!(*rate <= 20.0, "{name}");
                if name == Name::Cpu {
                    assert!(rate * scenario.work.seconds * scenario.work.cores <= 0.7, "{name}");
                }
            }
        }
    }

    #[test]
    fn neighbours_must_find_room() {
        let of = |names: &[Name]| names.iter().map(|name| Scenario::named(*name)).collect::<Vec<_>>();
        for name in Name::ALL {
            check_room(&of(&[name]), 2).expect("one scenario alone fits two cores");
        }
        for pair in [
            [Name::Step, Name::Trickle],
            [Name::Burst, Name::Trickle],
            [Name::Long, Name::Trickle],
        ] {
            check_room(&of(&pair), 2).expect("a trickle fits beside another");
        }
        let full = check_room(&of(&[Name::Long, Name::Burst]), 2).expect_err("too many");
        assert_eq!(
            full.to_string(),
            "long, burst may ask for 16 pods at once, and 2 cores have room for 14: run fewer scenarios side by side"
        );
        check_room(&of(&[Name::Long, Name::Burst]), 4).expect("four cores have room");
    }

    #[test]
    fn long_activities_outlast_their_grace() {
        let long = Scenario::named(Name::Long);
        assert!(long.work.seconds > 2.0 * f64::from(long.graceful_seconds));
    }
}
