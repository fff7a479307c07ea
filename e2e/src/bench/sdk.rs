//! This runtime against the bare Rust SDK: the same workflows, on the frontend that the runtime's own tests use, each side in a
//! process of its own, in turns.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;

use super::{
    Args,
    report::{Bar, Row},
};
use crate::image::catalog;

/// Workflows per second when latency is measured.
const PACE: &str = "100";

/// What one process found.
#[derive(Debug, Deserialize)]
struct Measured {
    tasks: f64,
    cpu_ms: f64,
    cpu_ms_of_threads: serde_json::Value,
    p50_ms: f64,
    p99_ms: f64,
}

impl Measured {
    fn cpu_per_task(&self) -> f64 {
        self.cpu_ms * 1_000.0 / self.tasks
    }
}

/// The sides: both shapes of this runtime, the SDK alone, and the SDK alone with its own exporter of metrics.
const SIDES: [&str; 4] = ["split", "combined", "bare", "exporting"];

/// All rounds.
pub(super) async fn measure(args: &Args) -> Result<Vec<Row>> {
    let mut rounds: Vec<Round> = Vec::new();
    for index in 0..args.pairs {
        // Whoever comes later may meet a warmer machine: they take turns.
        let mut round = [None, None, None, None];
        for turn in 0..SIDES.len() {
            let which = (index + turn) % SIDES.len();
            round[which] = Some(side(SIDES[which], args).await?);
        }
        let [Some(split), Some(combined), Some(bare), Some(exporting)] = round else {
            continue;
        };
        eprintln!(
            "round {} of {}: {:.0}, {:.0}, {:.0} and {:.0} µs of CPU per task, p99 {:.1}, {:.1}, {:.1} and {:.1} ms",
            index + 1,
            args.pairs,
            split.cpu_per_task(),
            combined.cpu_per_task(),
            bare.cpu_per_task(),
            exporting.cpu_per_task(),
            split.p99_ms,
            combined.p99_ms,
            bare.p99_ms,
            exporting.p99_ms
        );
        rounds.push([split, combined, bare, exporting]);
    }
    let mut rows = ratios(&rounds)?;
    rows.extend(figures(&rounds)?);
    Ok(rows)
}

/// One measurement of each side.
type Round = [Measured; 4];

/// One side against another, round by round.
fn ratios(rounds: &[Round]) -> Result<Vec<Row>> {
    let cpu = |one: usize, other: usize| {
        let ratio = |round: &Round| round[one].cpu_per_task() / round[other].cpu_per_task();
        rounds.iter().map(ratio).collect()
    };
    let slower = |one: usize, other: usize| {
        let difference = |round: &Round| round[one].p99_ms - round[other].p99_ms;
        rounds.iter().map(difference).collect()
    };
    let threads = rounds.last().map(|sides| {
        let used = sides.iter().map(|side| side.cpu_ms_of_threads.clone());
        let by_side: serde_json::Map<_, _> = SIDES.into_iter().map(str::to_owned).zip(used).collect();
        json!({"cpu_ms_of_threads": by_side})
    });
    let [two, one, bare, exporting] = [0, 1, 2, 3];
    Ok(vec![
        Row::new("CPU per task, two SDK Workers a queue / bare SDK", "x", cpu(two, bare))?
            .with_bar(Bar::AtMost(1.05))
            .with_detail(threads.unwrap_or_default()),
        Row::new("CPU per task, combined / bare SDK", "x", cpu(one, bare))?.with_bar(Bar::AtMost(1.05)),
        Row::new(
            "CPU per task, two SDK Workers a queue / bare SDK that exports its metrics",
            "x",
            cpu(two, exporting),
        )?,
        Row::new(
            "CPU per task, combined / bare SDK that exports its metrics",
            "x",
            cpu(one, exporting),
        )?,
        Row::new(
            "p99 of a workflow (3 tasks), two SDK Workers − bare SDK",
            "ms",
            slower(two, bare),
        )?
        .with_bar(Bar::AtMost(5.0)),
        Row::new(
            "p99 of a workflow (3 tasks), combined − bare SDK",
            "ms",
            slower(one, bare),
        )?
        .with_bar(Bar::AtMost(5.0)),
    ])
}

/// What each side showed by itself.
fn figures(rounds: &[Round]) -> Result<Vec<Row>> {
    let names = [
        "two SDK Workers",
        "combined",
        "bare SDK",
        "bare SDK that exports its metrics",
    ];
    let mut rows = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        let of = |value: fn(&Measured) -> f64| rounds.iter().map(|round| value(&round[index])).collect();
        rows.extend([
            Row::new(
                format!("CPU per task, {name}, with the frontend"),
                "µs",
                of(Measured::cpu_per_task),
            )?,
            Row::new(format!("p50 of a workflow, {name}"), "ms", of(|side| side.p50_ms))?,
            Row::new(format!("p99 of a workflow, {name}"), "ms", of(|side| side.p99_ms))?,
        ]);
    }
    Ok(rows)
}

async fn side(name: &str, args: &Args) -> Result<Measured> {
    let output = Command::new(catalog::bench_worker()?)
        .args([name, &args.workflows.to_string(), &args.paced.to_string(), PACE])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await?;
    ensure!(
        output.status.success(),
        "the measurement of {name} failed ({})",
        output.status
    );
    serde_json::from_slice(&output.stdout).with_context(|| format!("{name}: not a measurement"))
}
