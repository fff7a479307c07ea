//! One SDK Worker a queue against two, on a real server: what decides the default.

use anyhow::Result;

use super::{
    Args,
    python::{Bench, Measured, Side},
    report::Row,
};
use crate::dev_server::DevServer;

/// All pairs.
pub(super) async fn measure(args: &Args, server: &DevServer) -> Result<Vec<Row>> {
    let mut bench = Bench::new(args, server, "shapes").await?;
    let pairs = bench
        .empty((Side::Rust, Side::OtherShape), args.python_workflows)
        .await?;
    let of = |value: fn(&Measured, &Measured) -> f64| pairs.iter().map(|(two, one)| value(two, one)).collect();
    Ok(vec![
        Row::new(
            "CPU per task on a real server, two SDK Workers a queue / one",
            "x",
            of(|two, one| one.tasks_per_cpu_second / two.tasks_per_cpu_second),
        )?,
        Row::new(
            "time of a workflow on a real server, two SDK Workers a queue / one",
            "x",
            of(|two, one| two.workflow_ms / one.workflow_ms),
        )?,
        Row::new(
            "time of a workflow on a real server, 20 open, two SDK Workers a queue",
            "ms",
            of(|two, _| two.workflow_ms),
        )?,
        Row::new(
            "time of a workflow on a real server, 20 open, one SDK Worker a queue",
            "ms",
            of(|_, one| one.workflow_ms),
        )?,
        Row::new(
            "resident memory, two SDK Workers a queue / one",
            "x",
            of(|two, one| two.resident_mib / one.resident_mib),
        )?,
    ])
}
