//! A fleet that serves several task queues.

use std::time::Duration;

use anyhow::Result;
use fleet_e2e::{
    bed::{self, Bed},
    clock,
    demo::scenario::DATA,
    fleet::operator,
    load::Stream,
};
use serde_json::json;

const PATIENCE: Duration = Duration::from_mins(2);

/// Each pod polls every queue for both kinds of tasks, the status has a row for each, load on either queue is served, and the rate limit of
/// the queues is the operator's to set.
#[tokio::test]
async fn a_fleet_serves_all_its_queues() -> Result<()> {
    let access = bed::cluster().await?;
    let run = clock::now().as_second();
    let queues = [format!("queues-light-{run}"), format!("queues-heavy-{run}")];
    let change = json!({"spec": {
        "taskQueues": [{"name": queues[0]}, {"name": queues[1]}],
        "workerOptions": {"maxTaskQueueActivitiesPerSecond": 50},
        "autoscaling": {"minReplicas": 1, "maxReplicas": 4},
    }});
    let mut bed = Bed::new(access, "queues", &change).await?;
    let mut started = Vec::new();
    for queue in &queues {
        bed.queue.clone_from(queue);
        let load = bed.load(PATIENCE);
        load.burst(queue, Stream::new(DATA, 0.0), 5);
        started.extend(load.finish().await);
    }
    bed.all_completed(&started, PATIENCE).await;

    let polled = bed
        .fleet
        .wait_view("pollers of every queue and kind", PATIENCE, |view| {
            let rows = &view.status.task_queues;
            rows.len() == 4 && rows.iter().all(|row| row.pollers >= Some(1))
        })
        .await?;
    assert!(polled.status.is_true("PollersReady", None), "{}", polled.conditions());

    // The rate limit is set at the server for each of the two; a pass that comes before the next reading repeats it.
    let scrape = operator::scrape(&bed.access).await?;
    let set = [
        ("connection", "queues"),
        ("method", "UpdateTaskQueueConfig"),
        ("code", "OK"),
    ];
    let calls = scrape.sum("temporal_fleet_temporal_requests_total", &set);
    assert!(calls >= Some(2.0), "{calls:?}");
    bed.end().await
}
