//! `load` as a command of its own: a steady load by hand, and what became of it.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    audit::{Outcome, WorkflowRecord},
    client::TemporalClient,
    collect::collect,
    generator::{Generator, OnQueue},
    plan::Stream,
    stats::quantile,
};

/// A steady load for a while.
#[derive(Debug, clap::Args)]
pub struct LoadArgs {
    /// Temporal's address as seen from here, host:port; else the local cluster's
    #[arg(long, default_value_t = crate::cluster::temporal::address())]
    pub address: String,
    /// Temporal namespace
    #[arg(long, default_value = "default")]
    pub temporal_namespace: String,
    /// Task queue
    #[arg(long, default_value = "my-data-processing-task-queue")]
    pub task_queue: String,
    /// Workflow type; its argument is its own ID
    #[arg(long, default_value = "DataProcessingWorkflow")]
    pub workflow: String,
    /// Give each workflow this number as its argument instead (`BurnCpuWorkflow`: milliseconds of CPU)
    #[arg(long)]
    pub number: Option<u64>,
    /// Mean arrivals per second
    #[arg(long, default_value_t = 5.0)]
    pub rate: f64,
    /// How long, in seconds
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// How long to wait afterwards for all workflows to close, in seconds
    #[arg(long, default_value_t = 120)]
    pub settle_seconds: u64,
}

/// Makes the load, waits for its workflows, prints one line; an error unless all completed.
pub async fn run(args: LoadArgs) -> anyhow::Result<()> {
    let LoadArgs {
        address,
        temporal_namespace,
        task_queue,
        workflow,
        number,
        rate,
        seconds,
        settle_seconds,
    } = args;
    let client = TemporalClient::connect(&address, &temporal_namespace, Duration::from_secs(10)).await?;
    let mut stream = Stream::new(&workflow, rate);
    if let Some(number) = number {
        stream = stream.with_number(number);
    }
    let prefix = format!("load-{}", std::process::id());
    let queue = OnQueue {
        client: client.clone(),
        task_queue,
    };
    let load = Generator::new(queue, &prefix, u64::from(std::process::id()), Duration::from_secs(30));
    load.set("load", vec![stream]);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let started = load.finish().await;
    let records = collect(&client, &started, Instant::now() + Duration::from_secs(settle_seconds)).await;
    println!("{}", summary(&records));
    anyhow::ensure!(!records.is_empty(), "nothing was due in {seconds} s at {rate}/s");
    let completed = records.iter().filter(|each| each.outcome == Outcome::Completed).count();
    anyhow::ensure!(
        completed == records.len(),
        "{} of {} workflows did not complete",
        records.len() - completed,
        records.len()
    );
    Ok(())
}

/// One line about what became of a load.
pub fn summary(records: &[WorkflowRecord]) -> String {
    let completed = records.iter().filter(|each| each.outcome == Outcome::Completed).count();
    let activities = || records.iter().flat_map(|each| &each.activities);
    let cut = activities().filter(|each| each.was_cut_off()).count();
    let wait = |q| {
        let seconds = quantile(
            activities().filter_map(super::audit::ActivityRecord::schedule_to_start_seconds),
            q,
        );
        seconds.map_or_else(|| "?".to_owned(), |seconds| format!("{seconds:.2} s"))
    };
    format!(
        "{completed} of {} workflows completed, {cut} activities cut off, schedule-to-start p50 {} p99 {}",
        records.len(),
        wait(0.5),
        wait(0.99)
    )
}
