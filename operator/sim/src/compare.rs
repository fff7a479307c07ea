//! Many runs: every seed of every workload under every scaler. Tasks are drawn once per workload and seed; threads share the
//! work and nothing else, so that their number changes no result.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::load::Streams;
use crate::scalers::{self, UnknownScaler};
use crate::scenario::Scenario;
use crate::score::Score;
use crate::series::Series;

/// All runs of one workload under one scaler.
#[derive(Clone, Debug, PartialEq)]
pub struct Runs {
    /// The workload.
    pub workload: String,
    /// The scaler.
    pub scaler: String,
    /// One score per seed, in the order of the seeds.
    pub scores: Vec<Score>,
}

/// Runs every scenario under every scaler, on `threads` threads. `progress` hears of each workload and seed that is done.
///
/// # Errors
/// If there is no such scaler.
pub fn compare(
    scenarios: &[Scenario],
    scalers: &[String],
    threads: NonZeroUsize,
    progress: impl Fn(usize, usize) + Sync,
) -> Result<Vec<Runs>, UnknownScaler> {
    if let Some(unknown) = scalers.iter().find(|name| !scalers::names().contains(&name.as_str())) {
        return Err(UnknownScaler { name: unknown.clone() });
    }
    let seeds = |(workload, scenario): (usize, &Scenario)| {
        let seeds = scenario.seeds.clone();
        seeds
            .into_iter()
            .enumerate()
            .map(move |(place, seed)| (workload, place, seed))
    };
    let jobs: Vec<(usize, usize, u64)> = scenarios.iter().enumerate().flat_map(seeds).collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(jobs.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.get() {
            scope.spawn(|| {
                while let Some((workload, place, seed)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
                    let Some(scenario) = scenarios.get(workload) else { break };
                    let scores = all(scenario, seed, scalers);
                    let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    done.push((workload, place, scores));
                    progress(done.len(), jobs.len());
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(workload, place, _)| (*workload, *place));
    let mut runs = Vec::with_capacity(scenarios.len() * scalers.len());
    for (workload, scenario) in scenarios.iter().enumerate() {
        for (number, scaler) in scalers.iter().enumerate() {
            let of_this = done.iter().filter(|(of, ..)| *of == workload);
            runs.push(Runs {
                workload: scenario.name.clone(),
                scaler: scaler.clone(),
                scores: of_this.filter_map(|(.., scores)| scores.get(number).copied()).collect(),
            });
        }
    }
    Ok(runs)
}

/// The course of the first seed under every scaler, with `points` points each: for pictures and for reading decisions.
///
/// # Errors
/// If there is no such scaler.
pub fn courses(scenario: &Scenario, scalers: &[String], points: u32) -> Result<Vec<(String, Series)>, UnknownScaler> {
    let seed = scenario.seeds.first().copied().unwrap_or(1);
    let streams = Streams::draw(scenario, seed);
    let course = |name: &String| {
        let outcome = scalers::run(scenario, &streams, seed, name, points)?;
        Ok((name.clone(), outcome.series))
    };
    scalers.iter().map(course).collect()
}

/// The scores of one seed under all scalers.
fn all(scenario: &Scenario, seed: u64, names: &[String]) -> Vec<Score> {
    let streams = Streams::draw(scenario, seed);
    let run = |name: &String| scalers::run(scenario, &streams, seed, name, 0);
    names
        .iter()
        .filter_map(|name| run(name).ok())
        .map(|outcome| outcome.score)
        .collect()
}
