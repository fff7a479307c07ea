//! This runtime against the guide's Python worker, on one real Temporal server: CPU time of the worker process per task, and memory.
//!
//! Both run the same workflow with the same activities: one that does nothing, so that all CPU time is the worker's own, and one that
//! computes in the worker's language. They take turns; a queue of its own for each, so that none gets what another left.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use super::{
    Args, load,
    report::{Bar, Row},
    subject::{Subject, WorkerPorts, get},
};
use crate::{dev_server::DevServer, fleet::metrics::Scrape, image::catalog, load::TemporalClient};

/// Tasks of each workflow: its start, an activity, its end.
const TASKS: f64 = 3.0;
/// Primes are counted below this number: some tens of milliseconds of Python.
const BELOW: u64 = 40_000;
/// Before anything is measured.
const WARM_UP: usize = 30;

/// A worker that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// This runtime in its default shape.
    Rust,
    /// This runtime with the number of SDK Workers a queue that is not the default.
    OtherShape,
    Python,
}

/// What one worker process showed.
pub(super) struct Measured {
    pub(super) tasks_per_cpu_second: f64,
    pub(super) resident_mib: f64,
    /// Milliseconds from a workflow's start to its end as the client saw them, as many open at once as [`load::OPEN`] says.
    pub(super) workflow_ms: f64,
}

/// A worker on a queue of its own.
struct Worker {
    subject: Subject,
    queue: String,
    metrics: u16,
}

/// All pairs.
pub(super) async fn measure(args: &Args, server: &DevServer) -> Result<Vec<Row>> {
    let mut bench = Bench::new(args, server, "python").await?;
    let sides = (Side::Rust, Side::Python);
    let empty = bench.empty(sides, args.python_workflows).await?;
    let few = (args.python_workflows / 5).max(1);
    let compute = bench.pairs(sides, "ComputeWorkflow", &json!(BELOW), few).await?;
    let cached = [bench.cached(Side::Rust).await?, bench.cached(Side::Python).await?];

    let of = |pairs: &[(Measured, Measured)], value: fn(&Measured, &Measured) -> f64| {
        pairs
            .iter()
            .map(|(rust, python)| value(rust, python))
            .collect::<Vec<_>>()
    };
    let tasks: fn(&Measured, &Measured) -> f64 = |rust, python| rust.tasks_per_cpu_second / python.tasks_per_cpu_second;
    let [rust_cached, python_cached] = cached;
    Ok(vec![
        Row::new(
            "tasks per CPU second, empty activity, Rust / Python",
            "x",
            of(&empty, tasks),
        )?
        .with_bar(Bar::AtLeast(3.5)),
        Row::new(
            "tasks per CPU second, computing activity, Rust / Python",
            "x",
            of(&compute, tasks),
        )?
        .with_bar(Bar::AtLeast(10.0)),
        Row::new(
            "resident memory after that load, Rust / Python",
            "x",
            of(&empty, |rust, python| rust.resident_mib / python.resident_mib),
        )?
        .with_bar(Bar::AtMost(2.0 / 3.0)),
        Row::new(
            "memory per 1,000 cached workflows, Rust / Python",
            "x",
            vec![rust_cached / python_cached],
        )?
        .with_bar(Bar::AtMost(2.0 / 3.0)),
        Row::new(
            "tasks per CPU second, empty activity, Rust",
            "per CPU s",
            of(&empty, |rust, _| rust.tasks_per_cpu_second),
        )?,
        Row::new(
            "tasks per CPU second, empty activity, Python",
            "per CPU s",
            of(&empty, |_, python| python.tasks_per_cpu_second),
        )?,
        Row::new(
            "tasks per CPU second, computing activity, Rust",
            "per CPU s",
            of(&compute, |rust, _| rust.tasks_per_cpu_second),
        )?,
        Row::new(
            "tasks per CPU second, computing activity, Python",
            "per CPU s",
            of(&compute, |_, python| python.tasks_per_cpu_second),
        )?,
        Row::new(
            "resident memory after the empty activities, Rust",
            "MiB",
            of(&empty, |rust, _| rust.resident_mib),
        )?,
        Row::new(
            "resident memory after the empty activities, Python",
            "MiB",
            of(&empty, |_, python| python.resident_mib),
        )?,
        Row::new("memory per 1,000 cached workflows, Rust", "MiB", vec![rust_cached])?,
        Row::new("memory per 1,000 cached workflows, Python", "MiB", vec![python_cached])?,
    ])
}

/// Workers in turns, each on a queue of its own.
pub(super) struct Bench<'a> {
    args: &'a Args,
    server: &'a DevServer,
    client: TemporalClient,
    /// Begins the names of the queues.
    name: &'static str,
    number: usize,
}

impl<'a> Bench<'a> {
    pub(super) async fn new(args: &'a Args, server: &'a DevServer, name: &'static str) -> Result<Self> {
        Ok(Self {
            args,
            server,
            client: TemporalClient::connect(server.address(), "default", load::PATIENCE).await?,
            name,
            number: 0,
        })
    }

    /// The guide's workflow with an activity that does nothing.
    pub(super) async fn empty(&mut self, sides: (Side, Side), count: usize) -> Result<Vec<(Measured, Measured)>> {
        self.pairs(sides, "DataProcessingWorkflow", &json!("some data"), count)
            .await
    }

    async fn pairs(
        &mut self,
        (one, other): (Side, Side),
        workflow: &str,
        argument: &Value,
        count: usize,
    ) -> Result<Vec<(Measured, Measured)>> {
        let mut pairs = Vec::new();
        for index in 0..self.args.python_pairs {
            let pair = if index % 2 == 0 {
                let first = self.side(one, workflow, argument, count).await?;
                (first, self.side(other, workflow, argument, count).await?)
            } else {
                let first = self.side(other, workflow, argument, count).await?;
                (self.side(one, workflow, argument, count).await?, first)
            };
            eprintln!(
                "{workflow}, pair {} of {}: {:.0} and {:.0} tasks per CPU second, {:.0} and {:.0} MiB, {:.1} and {:.1} ms",
                index + 1,
                self.args.python_pairs,
                pair.0.tasks_per_cpu_second,
                pair.1.tasks_per_cpu_second,
                pair.0.resident_mib,
                pair.1.resident_mib,
                pair.0.workflow_ms,
                pair.1.workflow_ms,
            );
            pairs.push(pair);
        }
        Ok(pairs)
    }

    async fn side(&mut self, side: Side, workflow: &str, argument: &Value, count: usize) -> Result<Measured> {
        let worker = self.start(side).await?;
        let Worker { subject, queue, .. } = &worker;
        load::complete(&self.client, queue, workflow, argument, "warm-up", WARM_UP.min(count)).await?;
        let (before, began) = (subject.usage()?, Instant::now());
        load::complete(&self.client, queue, workflow, argument, "measured", count).await?;
        let (after, took) = (subject.usage()?, began.elapsed());
        worker.subject.stop().await?;
        let used = after.cpu_seconds - before.cpu_seconds;
        ensure!(
            used > 0.0,
            "{count} workflows used no CPU time that can be measured: take more"
        );
        Ok(Measured {
            tasks_per_cpu_second: count as f64 * TASKS / used,
            resident_mib: after.resident_mib,
            workflow_ms: took.as_secs_f64() * 1_000.0 * load::OPEN.min(count) as f64 / count as f64,
        })
    }

    /// MiB by which a worker grows per thousand workflows in its cache.
    async fn cached(&mut self, side: Side) -> Result<f64> {
        let worker = self.start(side).await?;
        let Worker {
            subject,
            queue,
            metrics,
        } = &worker;
        load::complete(
            &self.client,
            queue,
            "DataProcessingWorkflow",
            &json!("some data"),
            "warm-up",
            WARM_UP,
        )
        .await?;
        let before = subject.usage()?;
        let count = self.args.cached;
        load::open(&self.client, queue, "IdleWorkflow", &json!("some data"), count).await?;
        let mut cached = 0.0;
        let patience = Instant::now() + load::PATIENCE;
        while cached < count as f64 {
            ensure!(
                Instant::now() < patience,
                "{cached} of {count} workflows are in the cache of {side:?}"
            );
            sleep(Duration::from_millis(200)).await;
            let page = get(*metrics, "/metrics").await.unwrap_or_default();
            cached = Scrape::parse(&page)
                .sum("temporal_sticky_cache_size", &[])
                .unwrap_or_default();
        }
        let after = subject.usage()?;
        worker.subject.stop().await?;
        let grown = (after.resident_mib - before.resident_mib) * 1_000.0 / count as f64;
        eprintln!("{side:?}: {grown:.1} MiB per 1,000 cached workflows");
        Ok(grown)
    }

    async fn start(&mut self, side: Side) -> Result<Worker> {
        self.number += 1;
        let queue = format!("bench-{}-{}", self.name, self.number);
        let ports = WorkerPorts::free().await?;
        let mut command = match side {
            Side::Rust | Side::OtherShape => {
                let mut command = Command::new(catalog::bench_worker()?);
                command.arg("seed");
                if side == Side::OtherShape {
                    command.env("TEMPORAL_FLEET_COMBINED", "true");
                }
                command
            }
            Side::Python => python(&self.args.python_site)?,
        };
        environment(&mut command, self.server.address(), &queue, ports);
        // Both sides serve their SDK's metrics; the warm-up tells that the worker behind them polls.
        let (subject, _) = Subject::start(command, ports.metrics, "/metrics").await?;
        Ok(Worker {
            subject,
            queue,
            metrics: ports.metrics,
        })
    }
}

/// What a pod of a fleet gets, as far as it matters here.
pub(super) fn environment(command: &mut Command, address: &str, queue: &str, ports: WorkerPorts) {
    command.env("TEMPORAL_ADDRESS", address);
    command.env("TEMPORAL_TASK_QUEUE", queue);
    command.env("TEMPORAL_FLEET_METRICS_PORT", ports.metrics.to_string());
    command.env("TEMPORAL_FLEET_CONTROL_PORT", ports.control.to_string());
    command.env("TEMPORAL_FLEET_HEALTH_PORT", ports.health.to_string());
    command.env("TEMPORAL_FLEET_GRACEFUL_SHUTDOWN_SECONDS", "2");
    command.env("RUST_LOG", "warn");
}

fn python(site: &Path) -> Result<Command> {
    let site = std::fs::canonicalize(site).with_context(|| {
        format!(
            "{} is missing: run `make bench-runtime`, which installs it",
            site.display()
        )
    })?;
    let tree = catalog::source_tree();
    let folders = [tree.join("examples/python"), tree.join("worker-runtime/benches"), site];
    let mut command = Command::new("python3");
    command
        .args(["-c", "import bench_python; bench_python.main()"])
        .env("PYTHONPATH", std::env::join_paths(folders)?)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}
