//! Workflows on a real server: so many, a fixed number of them open at any time, until all have ended.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;
use tokio::time::Instant;

use crate::load::{TemporalClient, client::closed};

/// For each workflow.
pub(super) const PATIENCE: Duration = Duration::from_mins(5);
/// Open at once.
pub(super) const OPEN: usize = 20;

/// Starts workflows of one type and waits for the end of each.
pub(super) async fn complete(
    client: &TemporalClient,
    queue: &str,
    workflow: &str,
    argument: &Value,
    name: &str,
    count: usize,
) -> Result<()> {
    each(count, async |index: usize| {
        let id = format!("{queue}-{name}-{index}");
        let deadline = Instant::now() + PATIENCE;
        let run = client.start(queue, workflow, &id, argument, deadline).await?;
        let events = client.history(&id, &run, true, deadline).await?;
        ensure!(closed(&events), "workflow {id} did not end in {PATIENCE:?}");
        Ok(())
    })
    .await
}

/// Starts workflows that will stay open.
pub(super) async fn open(
    client: &TemporalClient,
    queue: &str,
    workflow: &str,
    argument: &Value,
    count: usize,
) -> Result<()> {
    each(count, async |index: usize| {
        let id = format!("{queue}-open-{index}");
        client
            .start(queue, workflow, &id, argument, Instant::now() + PATIENCE)
            .await?;
        Ok(())
    })
    .await
}

async fn each(count: usize, work: impl AsyncFn(usize) -> Result<()>) -> Result<()> {
    stream::iter(0..count)
        .map(|index| work(index))
        .buffer_unordered(OPEN)
        .try_collect::<()>()
        .await
}
