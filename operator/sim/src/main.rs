//! `fleet-sim`: reads arguments and files, calls the library, writes results.

mod args;

use std::fs;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use fleet_sim::compare::{Runs, compare, courses};
use fleet_sim::scenario::{self, Scenario};
use fleet_sim::{plot, recording, report, scalers};

fn main() -> ExitCode {
    let args::Cli { command } = args::Cli::parse();
    let done = match command {
        args::Command::Run(run_args) => run(&run_args),
        args::Command::Bench(bench_args) => bench(&bench_args),
        args::Command::Replay(replay_args) => replay(&replay_args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("fleet-sim: {error:#}");
        ExitCode::from(2)
    })
}

fn threads(wanted: Option<NonZeroUsize>) -> NonZeroUsize {
    wanted
        .or_else(|| std::thread::available_parallelism().ok())
        .unwrap_or(NonZeroUsize::MIN)
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

fn json(path: &Path, value: &serde_json::Value) -> Result<()> {
    write(path, &(serde_json::to_string_pretty(value)? + "\n"))
}

/// A file if there is one of that name, else a built-in workload.
fn scenario(name: &str) -> Result<Scenario> {
    let path = Path::new(name);
    let found = if path.is_file() || path.extension().is_some() {
        scenario::open(path)
    } else {
        scenario::builtin(name)
    };
    found.with_context(|| format!("failed to read the scenario {name}"))
}

fn run(args: &args::Run) -> Result<ExitCode> {
    let args::Run {
        scenario: name,
        scaler,
        seeds,
        svg,
        json: json_file,
        record,
        decisions,
        threads: wanted,
    } = args;
    let mut scenario = scenario(name)?;
    if let Some(seeds) = seeds {
        scenario = scenario.with_seeds(seeds.get());
    }
    let runs = compare(std::slice::from_ref(&scenario), scaler, threads(*wanted), |_, _| {})?;
    print!("{}", report::text(&runs));
    if svg.is_some() || *decisions {
        let seed = scenario.seeds.first().copied().unwrap_or(1);
        let courses = courses(&scenario, scaler, plot::POINTS)?;
        for (name, series) in courses.iter().filter(|_| *decisions) {
            println!("decisions of {name}, seed {seed}");
            for change in &series.changes {
                let because = change.because.as_deref().unwrap_or("");
                println!("{:8.1} s  {:>4} -> {:<4} {because}", change.at, change.from, change.to);
            }
        }
        if let Some(path) = svg {
            write(path, &plot::course(&scenario, &courses))?;
        }
    }
    if let Some(path) = json_file {
        json(path, &report::json(&runs))?;
    }
    if let Some(path) = record {
        write(path, &recording::record(&scenario)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn bench(args: &args::Bench) -> Result<ExitCode> {
    let args::Bench {
        workload,
        scaler,
        seeds,
        json: json_file,
        markdown,
        svg,
        threads: wanted,
    } = args;
    let names = if workload.is_empty() {
        scenario::names()
    } else {
        workload.clone()
    };
    let scenarios = names.iter().map(|name| Ok(scenario(name)?.with_seeds(seeds.get())));
    let scenarios = scenarios.collect::<Result<Vec<Scenario>>>()?;
    let scalers: Vec<String> = if scaler.is_empty() {
        scalers::names().into_iter().map(str::to_owned).collect()
    } else {
        scaler.clone()
    };
    let runs: Vec<Runs> = compare(&scenarios, &scalers, threads(*wanted), |done, all| {
        eprint!("\r{done}/{all} runs");
        let _ = std::io::stderr().flush();
    })?;
    eprintln!();
    print!("{}", report::text(&runs));
    if let Some(path) = json_file {
        json(path, &report::json(&runs))?;
    }
    if let Some(path) = markdown {
        write(path, &report::markdown(&runs))?;
    }
    if let Some(path) = svg {
        write(path, &plot::pareto(&runs))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Exit code 0: every decision is the same; 1: one is not; 2: the file cannot be read.
fn replay(args: &args::Replay) -> Result<ExitCode> {
    let args::Replay { file } = args;
    let text = fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
    let replayed = recording::replay(&text).with_context(|| format!("failed to replay {}", file.display()))?;
    for difference in &replayed.differences {
        println!("{difference}");
    }
    println!(
        "{} decisions, {} of them differ",
        replayed.decisions,
        replayed.differences.len()
    );
    Ok(if replayed.differences.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}
