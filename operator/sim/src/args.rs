//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Simulate fleets of Temporal workers under several scalers.
#[derive(Debug, Parser)]
#[command(name = "fleet-sim", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one scenario and print a table
    Run(Run),
    /// Run all built-in workloads under all scalers
    Bench(Bench),
    /// Decide again what was recorded, and compare bit by bit
    Replay(Replay),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// A YAML file, or the name of a built-in workload such as `io-step`
    #[arg(long, value_name = "FILE|NAME")]
    pub(crate) scenario: String,
    /// Scalers, comma-separated
    #[arg(long, value_delimiter = ',', default_value = "ours")]
    pub(crate) scaler: Vec<String>,
    /// Number of seeds [default: those of the scenario]
    #[arg(long)]
    pub(crate) seeds: Option<NonZeroUsize>,
    /// Write a picture of the first seed
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// Write the results as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the decisions of our scaler on the first seed, one JSON object per line, as `replay` reads them
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Print every decision of the first seed
    #[arg(long)]
    pub(crate) decisions: bool,
    /// Threads [default: one per core]
    #[arg(long)]
    pub(crate) threads: Option<NonZeroUsize>,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Workloads, comma-separated [default: all]
    #[arg(long, value_delimiter = ',')]
    pub(crate) workload: Vec<String>,
    /// Scalers, comma-separated [default: all]
    #[arg(long, value_delimiter = ',')]
    pub(crate) scaler: Vec<String>,
    /// Number of seeds
    #[arg(long, default_value = "10")]
    pub(crate) seeds: NonZeroUsize,
    /// Write the results as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the tables as Markdown
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Write the Pareto plot
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// Threads [default: one per core]
    #[arg(long)]
    pub(crate) threads: Option<NonZeroUsize>,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// A recording: one JSON object per line
    pub(crate) file: PathBuf,
}
