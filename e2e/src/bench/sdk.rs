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

/// All pairs.
pub(super) async fn measure(args: &Args) -> Result<Vec<Row>> {
    let mut pairs = Vec::new();
    for index in 0..args.pairs {
        // Whoever comes second may meet a warmer machine: they take turns.
        let (fleet, bare) = if index % 2 == 0 {
            let fleet = side("fleet", args).await?;
            (fleet, side("bare", args).await?)
        } else {
            let bare = side("bare", args).await?;
            (side("fleet", args).await?, bare)
        };
        eprintln!(
            "pair {} of {}: {:.0} and {:.0} µs of CPU per task, p99 {:.1} and {:.1} ms",
            index + 1,
            args.pairs,
            fleet.cpu_per_task(),
            bare.cpu_per_task(),
            fleet.p99_ms,
            bare.p99_ms
        );
        pairs.push((fleet, bare));
    }
    let of = |value: fn(&Measured, &Measured) -> f64| {
        pairs
            .iter()
            .map(|(fleet, bare)| value(fleet, bare))
            .collect::<Vec<f64>>()
    };
    let threads = pairs.last().map(|(fleet, bare)| {
        json!({
            "cpu_ms_of_threads": {"fleet": fleet.cpu_ms_of_threads, "bare": bare.cpu_ms_of_threads}
        })
    });
    Ok(vec![
        Row::new(
            "CPU per task, this runtime / bare SDK",
            "x",
            of(|fleet, bare| fleet.cpu_per_task() / bare.cpu_per_task()),
        )?
        .with_bar(Bar::AtMost(1.05))
        .with_detail(threads.unwrap_or_default()),
        Row::new(
            "p99 of a workflow (3 tasks), this runtime − bare SDK",
            "ms",
            of(|fleet, bare| fleet.p99_ms - bare.p99_ms),
        )?
        .with_bar(Bar::AtMost(5.0)),
        Row::new(
            "CPU per task, this runtime with the frontend",
            "µs",
            of(|fleet, _| fleet.cpu_per_task()),
        )?,
        Row::new(
            "CPU per task, bare SDK with the frontend",
            "µs",
            of(|_, bare| bare.cpu_per_task()),
        )?,
        Row::new("p50 of a workflow, this runtime", "ms", of(|fleet, _| fleet.p50_ms))?,
        Row::new("p50 of a workflow, bare SDK", "ms", of(|_, bare| bare.p50_ms))?,
        Row::new("p99 of a workflow, this runtime", "ms", of(|fleet, _| fleet.p99_ms))?,
        Row::new("p99 of a workflow, bare SDK", "ms", of(|_, bare| bare.p99_ms))?,
    ])
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
