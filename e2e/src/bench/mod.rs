//! `make bench-runtime`: what the worker runtime costs, against the bare Rust SDK and against the guide's Python worker.
//!
//! Ratios within one run only: both sides are measured one after the other, in turns, on the same machine in the same minutes. What is
//! measured are processes of the image profile (static, mimalloc), seen from outside.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    cluster::Layout,
    dev_server::{DevServer, Ports},
    image::catalog,
};

mod footprint;
mod load;
pub(crate) mod machine;
mod python;
mod report;
mod sdk;
mod shapes;
mod stats;
mod subject;

use report::{Report, Row};

/// How much is measured, and what.
#[derive(Debug, Clone, clap::Parser)]
#[command(version, about = "Measure the worker runtime; prints a table and writes JSON")]
pub struct Args {
    /// Rounds of measurements against the bare SDK
    #[arg(long, default_value_t = 10)]
    pub pairs: usize,
    /// Workflows of each measurement of CPU time against the bare SDK
    #[arg(long, default_value_t = 4_000)]
    pub workflows: usize,
    /// Workflows of each measurement of latency against the bare SDK, a hundred per second
    #[arg(long, default_value_t = 1_000)]
    pub paced: usize,
    /// Pairs of measurements on a real server: of both shapes, and against the Python worker
    #[arg(long, default_value_t = 5)]
    pub python_pairs: usize,
    /// Workflows of each measurement with the empty activity
    #[arg(long, default_value_t = 500)]
    pub python_workflows: usize,
    /// Workflows that are open at once when memory is measured; both sides cache up to 1000
    #[arg(long, default_value_t = 1_000)]
    pub cached: usize,
    /// Seconds of each measurement of an idle worker
    #[arg(long, default_value_t = 60)]
    pub idle_seconds: u32,
    /// What to measure
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Part::Sdk, Part::Shapes, Part::Python, Part::Footprint])]
    pub parts: Vec<Part>,
    /// Where the packages of examples/python are installed
    #[arg(long, default_value = "target/python")]
    pub python_site: PathBuf,
    /// The file to write
    #[arg(long, default_value = "target/bench/runtime.json")]
    pub out: PathBuf,
}

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Against the bare SDK, on a frontend within the process.
    Sdk,
    /// One SDK Worker a queue against two, on a real server.
    Shapes,
    /// Against the Python worker, on a real server.
    Python,
    /// Start, memory, image, reports.
    Footprint,
}

/// Measures, prints, writes.
pub async fn run(args: Args) -> Result<()> {
    catalog::build_bench_worker()?;
    let machine = machine::Machine::read()?;
    let mut rows: Vec<Row> = Vec::new();
    if args.parts.contains(&Part::Sdk) {
        rows.extend(sdk::measure(&args).await?);
    }
    if args.parts.iter().any(|part| *part != Part::Sdk) {
        let program = Layout::of_user()?.program("temporal-server")?;
        let dir = tempfile::tempdir()?;
        let server = DevServer::start(&program, dir.path(), Ports::free()?).await?;
        let measured = on_server(&args, &server).await;
        server.stop().await;
        rows.extend(measured?);
    }
    let report = Report {
        machine: machine.with_load_at_the_end()?,
        rows,
    };
    print!("{report}");
    report.write(&args.out)?;
    println!("\n{}", args.out.display());
    Ok(())
}

async fn on_server(args: &Args, server: &DevServer) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if args.parts.contains(&Part::Shapes) {
        rows.extend(shapes::measure(args, server).await?);
    }
    if args.parts.contains(&Part::Python) {
        rows.extend(python::measure(args, server).await?);
    }
    if args.parts.contains(&Part::Footprint) {
        rows.extend(footprint::measure(args, server).await?);
    }
    Ok(rows)
}
