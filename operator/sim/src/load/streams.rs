//! The tasks of one run, drawn before it begins: when each arrives, how long it takes alone, and how it reaches a worker.
//! They hang on the scenario and the seed and on nothing else, so that every scaler meets the same tasks.

use rand::RngExt;
use rand_pcg::Pcg64;

use super::{Curve, Trace};
use crate::clock::At;
use crate::random::{Purpose, generator};
use crate::scenario::{Kind, Scenario};

/// One task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// When it is scheduled.
    pub at: At,
    /// How long it runs if nothing else needs the CPU [s].
    pub service: f64,
    /// Index of its kind, which is that of its queue.
    pub kind: u8,
    /// It goes to a worker past the server's matching, if a slot is free (eager activities, sticky workflow tasks).
    pub eager: bool,
    /// A number that chooses its partition.
    pub partition: u8,
}

/// All tasks of a run, in the order of arrival.
#[derive(Clone, Debug, PartialEq)]
pub struct Streams {
    /// The tasks.
    pub arrivals: Vec<Arrival>,
}

impl Streams {
    /// Draws the tasks of a run.
    pub fn draw(scenario: &Scenario, seed: u64) -> Self {
        let duration = scenario.duration_seconds;
        let total: f64 = scenario.kinds.iter().map(|kind| kind.share).sum();
        let mut arrivals = Vec::new();
        let curve = match &scenario.trace {
            Some(Trace::Arrivals(moments)) => {
                replayed(scenario, moments, seed, &mut arrivals);
                None
            }
            Some(Trace::Rate(curve)) => Some(curve.clone()),
            None => Some(scenario.load.shape.curve(&scenario.load, duration, seed)),
        };
        for (index, kind) in scenario.kinds.iter().enumerate() {
            let Some(curve) = &curve else { break };
            let mut random = generator(seed, Purpose::Arrivals(index));
            let mut tasks = Tasks::new(index, kind, seed);
            thinned(curve, kind.share / total, duration, &mut random, |time| {
                arrivals.push(tasks.at(time));
            });
        }
        // Stable: kinds that arrive in the same nanosecond stay in their order.
        arrivals.sort_by_key(|arrival| arrival.at);
        Self { arrivals }
    }
}

/// Draws the properties of the tasks of one kind.
struct Tasks<'a> {
    index: usize,
    kind: &'a Kind,
    random: Pcg64,
}

impl<'a> Tasks<'a> {
    fn new(index: usize, kind: &'a Kind, seed: u64) -> Self {
        Self {
            index,
            kind,
            random: generator(seed, Purpose::Service(index)),
        }
    }

    fn at(&mut self, time: f64) -> Arrival {
        Arrival {
            at: At::seconds(time),
            service: self.kind.service.draw(&mut self.random),
            kind: self.index as u8,
            eager: self.random.random::<f64>() < self.kind.eager,
            partition: self.random.random(),
        }
    }
}

/// Poisson arrivals of a rate that changes, by thinning: line by line, so that a peak costs nothing elsewhere.
fn thinned(curve: &Curve, share: f64, duration: f64, random: &mut Pcg64, mut arrive: impl FnMut(f64)) {
    for (from, to, low, high) in curve.lines(duration) {
        let most = low.max(high) * share;
        if most <= 0.0 {
            continue;
        }
        let mut time = from;
        loop {
            time -= libm::log(1.0 - random.random::<f64>()) / most;
            if time >= to {
                break;
            }
            let rate = (low + (high - low) * (time - from) / (to - from)) * share;
            if random.random::<f64>() * most < rate {
                arrive(time);
            }
        }
    }
}

/// Arrivals at given moments; each is of the kind that has had least of its share so far.
fn replayed(scenario: &Scenario, moments: &[f64], seed: u64, arrivals: &mut Vec<Arrival>) {
    let mut kinds: Vec<(Tasks<'_>, f64)> = scenario
        .kinds
        .iter()
        .enumerate()
        .map(|(index, kind)| (Tasks::new(index, kind, seed), 0.0))
        .collect();
    for time in moments.iter().filter(|time| **time < scenario.duration_seconds) {
        let next = kinds.iter_mut().min_by(|a, b| {
            let due = |(tasks, had): &(Tasks<'_>, f64)| (had + 1.0) / tasks.kind.share.max(1e-9);
            due(a).total_cmp(&due(b))
        });
        if let Some((tasks, had)) = next {
            *had += 1.0;
            arrivals.push(tasks.at(*time));
        }
    }
}
