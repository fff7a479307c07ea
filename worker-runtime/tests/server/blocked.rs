//! Workflow code that blocks its thread: it is named, activities of the queue go on, and its task is dispatched again.

use std::{
    sync::{Condvar, Mutex},
    time::Duration,
};

use fleet_worker::FleetWorker;
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};

use crate::{
    bed::{Bed, end, events, eventually, get, ready, result},
    ending::Work,
};

/// Whether the workflow may go on.
static GO_ON: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

#[workflow]
#[derive(Default)]
struct Blocks;

#[workflow_methods]
impl Blocks {
    /// What no workflow should do: waits for something else than Temporal, and holds its thread.
    #[run(name = "Blocks")]
    async fn run(_: &mut WorkflowContext<Self>, word: String) -> WorkflowResult<String> {
        let (may, changed) = &GO_ON;
        let guard = may.lock().expect("no panic");
        drop(changed.wait_while(guard, |may| !*may).expect("no panic"));
        Ok(word)
    }
}

/// Has an activity run on another queue.
#[workflow]
#[derive(Default)]
struct Elsewhere;

#[workflow_methods]
impl Elsewhere {
    #[run(name = "Elsewhere")]
    async fn run(ctx: &mut WorkflowContext<Self>, queue: String) -> WorkflowResult<u32> {
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_mins(1))
            .task_queue(queue)
            .build();
        Ok(ctx.execute_activity(Work::work, 7_u32, options).await?)
    }
}

#[tokio::test]
async fn a_workflow_that_blocks_its_thread_is_named_and_its_task_is_handed_out_again() {
    let bed = Bed::new("blocks").await;
    let mut settings = bed.settings(&[]);
    settings.watchdog.tell_after = Duration::from_millis(300);
    settings.watchdog.stuck_after = Duration::from_secs(2);
    let worker = FleetWorker::from_settings(settings)
        .workflow::<Blocks>()
        .activities(Work::open())
        .spawn()
        .expect("started");
    ready(&worker).await;
    let free = bed.worker_with(&[("TEMPORAL_TASK_QUEUE", "blocks-free")]);
    let free = free.workflow::<Elsewhere>().spawn().expect("started");

    let handle = bed.start(Blocks::run, "done".to_owned()).await;
    let health = worker.ports().health;
    eventually("it is named", async || {
        let (status, reason) = get(health, "/livez").await;
        status == 503
            && reason.starts_with("worker thread Workflow:blocks has not moved")
            && reason.contains("in code of workflow \"Blocks\"")
    })
    .await;
    let beside = bed.start_on("blocks-free", Elsewhere::run, "blocks".to_owned()).await;
    assert_eq!(result(&beside).await, 7, "activities of the queue run beside it");
    eventually("the server gives its task up", async || {
        let timed_out = |event: &Attributes| matches!(event, Attributes::WorkflowTaskTimedOutEventAttributes(_));
        events(&handle).await.iter().any(timed_out)
    })
    .await;

    *GO_ON.0.lock().expect("no panic") = true;
    GO_ON.1.notify_all();
    // Its first answer comes too late for the server; that of the next task counts.
    assert_eq!(result(&handle).await, "done");
    eventually("it is live again", async || get(health, "/livez").await.0 == 200).await;
    end(free).await;
    end(worker).await;
}
