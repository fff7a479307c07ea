//! Reads the histories of a whole load and audits each.

use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::time::Instant;

use super::{
    audit::{Outcome, WorkflowRecord, audit},
    client::TemporalClient,
    generator::Started,
};

/// Histories read at the same time: enough to be quick, few enough to leave a small server its work.
const CONCURRENT_READS: usize = 12;

/// Waits for every workflow of the list to close, until `deadline` for all of them together, and audits each history.
/// A workflow whose history could not be read, or whose start was never confirmed, is [`Outcome::Unknown`]: it is not
/// left out. The order is the list's.
pub async fn collect(client: &TemporalClient, started: &[Started], deadline: Instant) -> Vec<WorkflowRecord> {
    stream::iter(started)
        .map(|each| read(client, each, deadline))
        .buffered(CONCURRENT_READS)
        .collect()
        .await
}

async fn read(client: &TemporalClient, each: &Started, deadline: Instant) -> WorkflowRecord {
    let unknown = || WorkflowRecord {
        outcome: Outcome::Unknown,
        ..audit(&each.workflow_id, &each.workflow, &each.phase, &[])
    };
    let Some(run_id) = &each.run_id else { return unknown() };
    // Reading has a grace of its own, so that one late workflow does not hide what the others did.
    let reading = deadline.max(Instant::now() + Duration::from_secs(15));
    let history = if Instant::now() < deadline {
        client.history(&each.workflow_id, run_id, true, deadline).await
    } else {
        client.history(&each.workflow_id, run_id, false, reading).await
    };
    match history {
        Ok(events) => audit(&each.workflow_id, &each.workflow, &each.phase, &events),
        Err(error) => {
            tracing::warn!(workflow_id = %each.workflow_id, %error, "a history could not be read");
            unknown()
        }
    }
}

/// Terminates what is still open, so that the next load begins with an empty queue. Errors are logged: a workflow left
/// behind does no harm but to the next measurement.
pub async fn terminate_open(client: &TemporalClient, started: &[Started], records: &[WorkflowRecord]) -> usize {
    let open = started
        .iter()
        .zip(records)
        .filter(|(_, record)| record.outcome == Outcome::Open);
    stream::iter(open)
        .map(|(each, _)| async move {
            let Some(run_id) = &each.run_id else { return 0 };
            match client
                .terminate(&each.workflow_id, run_id, "the load that started it has ended")
                .await
            {
                Ok(()) => 1,
                Err(error) => {
                    tracing::warn!(workflow_id = %each.workflow_id, %error, "an open workflow could not be terminated");
                    0
                }
            }
        })
        .buffer_unordered(CONCURRENT_READS)
        .fold(0, |sum, one| async move { sum + one })
        .await
}
