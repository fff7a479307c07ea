//! `lint arrows` and `lint chart HELM CHART`: prints what is wrong, one line each, and exits 1 if anything is.

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context, ensure};
use clap::Parser;
use fleet_e2e::lint::{arrows, chart};

/// Checks of the repository itself.
#[derive(Parser)]
enum Lint {
    /// Dependency arrows between the crates, and what the pure ones pull in.
    Arrows,
    /// Helm's own lint, then the chart's rules on every rendering.
    Chart {
        /// The helm binary.
        helm: PathBuf,
        /// The folder of the chart.
        chart: PathBuf,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let found = match Lint::parse() {
        Lint::Arrows => arrows::findings(&metadata()?),
        Lint::Chart { helm, chart } => chart::findings(&chart::Helm { helm, chart })?,
    };
    for finding in &found {
        println!("{finding}");
    }
    Ok(if found.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn metadata() -> anyhow::Result<arrows::Metadata> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-musl"])
        .output()
        .context("run cargo metadata")?;
    ensure!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("read cargo metadata")
}
