//! The guide's own worker: its workflow, its three activities, and what a client does with them.

use std::time::Duration;

use fleet_worker::FleetWorker;
use temporalio_client::{
    WorkflowCancelOptions, WorkflowExecuteUpdateOptions, WorkflowQueryOptions, WorkflowSignalOptions,
    errors::{WorkflowGetResultError, WorkflowUpdateError},
};
use temporalio_common::protos::temporal::api::history::v1::history_event::Attributes;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};
use temporalio_workflow::ActivityCancellationType;

use crate::{
    bed::{Bed, end, ending, events, eventually, heartbeat, history, pending, result},
    process::Process,
    sample::{DataActivities, DataProcessingWorkflow, LongRunningWorkflow},
};

/// What the guide's worker registers.
pub(crate) fn registered(worker: FleetWorker) -> FleetWorker {
    worker
        .workflow::<DataProcessingWorkflow>()
        .workflow::<LongRunningWorkflow>()
        .workflow::<Closely>()
        .workflow::<Fetches>()
        .activities(DataActivities)
}

/// Runs the long activity with heartbeats that are sent soon, and waits for its own ending when it is cancelled.
#[workflow]
#[derive(Default)]
pub(crate) struct Closely;

#[workflow_methods]
impl Closely {
    #[run(name = "Closely")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, task: String) -> WorkflowResult<String> {
        // The SDK sends a heartbeat every 0.8 times this.
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_mins(2))
            .heartbeat_timeout(Duration::from_secs(3))
            .cancellation_type(ActivityCancellationType::WaitCancellationCompleted)
            .build();
        Ok(ctx
            .execute_activity(DataActivities::long_running, task, options)
            .await?)
    }
}

#[workflow]
#[derive(Default)]
pub(crate) struct Fetches;

#[workflow_methods]
impl Fetches {
    #[run(name = "Fetches")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, url: String) -> WorkflowResult<String> {
        let options = ActivityOptions::schedule_to_close_timeout(Duration::from_mins(1));
        Ok(ctx
            .execute_activity(DataActivities::fetch_external_resource, url, options)
            .await?)
    }
}

/// The step of a heartbeat such as `"Progress: 3/10"`.
fn step(heartbeat: &str) -> u32 {
    let digits = heartbeat.trim_start_matches("\"Progress: ").split('/').next();
    digits.and_then(|digits| digits.parse().ok()).expect("a step")
}

#[tokio::test]
async fn it_takes_signals_queries_and_updates_and_gives_its_result() {
    let bed = Bed::new("seed").await;
    // Workflow tasks alone: the activity, and with it the result, waits until the conversation is over.
    let (name, value) = bed.only("Workflow");
    let workflows = registered(bed.worker_with(&[(name, &value)])).spawn().expect("started");
    let handle = bed.start(DataProcessingWorkflow::run, "some data".to_owned()).await;
    let query = async || {
        let options = WorkflowQueryOptions::default();
        handle
            .query(DataProcessingWorkflow::get_current_data, (), options)
            .await
    };
    assert_eq!(query().await.expect("an answer"), "some data");
    let options = WorkflowSignalOptions::default();
    handle
        .signal(DataProcessingWorkflow::update_data, "replaced".to_owned(), options)
        .await
        .expect("taken");
    assert_eq!(query().await.expect("an answer"), "replaced");
    let append = async |suffix: &str| {
        let options = WorkflowExecuteUpdateOptions::default();
        handle
            .execute_update(DataProcessingWorkflow::append_to_data, suffix.to_owned(), options)
            .await
    };
    assert_eq!(append(", extended").await.expect("accepted"), "replaced, extended");

    let before = history(&handle).await.len();
    let WorkflowUpdateError::Failed(refusal) = append("").await.expect_err("refused") else {
        panic!("not by the validator");
    };
    assert!(refusal.message.contains("Suffix cannot be empty"), "{refusal:?}");
    assert_eq!(history(&handle).await.len(), before, "a refusal leaves no trace");
    assert_eq!(query().await.expect("an answer"), "replaced, extended");

    let (name, value) = bed.only("Activity");
    let activities = registered(bed.worker_with(&[(name, &value)])).spawn().expect("started");
    assert_eq!(result(&handle).await, "SOME DATA-PROCESSED");
    // A workflow that has ended is replayed for its queries.
    assert_eq!(query().await.expect("an answer"), "SOME DATA-PROCESSED");
    end(activities).await;
    end(workflows).await;
}

#[tokio::test]
async fn its_async_activity_waits_without_a_thread() {
    let bed = Bed::new("seed-async").await;
    let worker = registered(bed.worker()).spawn().expect("started");
    let content = bed.run(Fetches::run, "http://example.com".to_owned()).await;
    assert_eq!(content, "Content from http://example.com");
    end(worker).await;
}

#[tokio::test]
async fn its_long_activity_ends_when_it_is_cancelled_at_its_third_step() {
    let bed = Bed::new("seed-cancel").await;
    let worker = registered(bed.worker()).spawn().expect("started");
    let handle = bed.start(Closely::run, "7".to_owned()).await;
    eventually("the third step is near", async || {
        heartbeat(&handle).await.is_some_and(|progress| step(&progress) >= 2)
    })
    .await;
    handle.cancel(WorkflowCancelOptions::default()).await.expect("taken");
    let ended = ending(&handle).await;
    assert!(
        matches!(ended, Err(WorkflowGetResultError::Cancelled { .. })),
        "{ended:?}"
    );
    // By itself, in its first attempt: it neither timed out nor ran to its end.
    let events = events(&handle).await;
    let cancelled = events
        .iter()
        .any(|event| matches!(event, Attributes::ActivityTaskCanceledEventAttributes(_)));
    assert!(cancelled, "{events:?}");
    end(worker).await;
}

#[tokio::test]
async fn its_long_activity_goes_on_where_it_was_after_its_process_was_killed() {
    let bed = Bed::new("seed-killed").await;
    let mut first = Process::start("seed", &bed, &[]);
    let handle = bed.start(Closely::run, "7".to_owned()).await;
    eventually("the third step is done", async || {
        heartbeat(&handle).await.is_some_and(|progress| step(&progress) >= 3)
    })
    .await;
    first.kill();

    let worker = registered(bed.worker()).spawn().expect("started");
    // Every heartbeat that the server sees from now on goes further; one of an attempt that began anew would not.
    let (mut steps, mut attempt) = (vec![3], 1);
    eventually("it ends", async || {
        let pending = pending(&handle).await.expect("described");
        attempt = pending.first().map_or(attempt, |activity| activity.attempt);
        steps.extend(heartbeat(&handle).await.as_deref().map(step));
        pending.is_empty()
    })
    .await;
    assert_eq!(result(&handle).await, "Long-running task 7 completed.");
    assert!(steps.is_sorted(), "{steps:?}");
    assert_eq!(attempt, 2);
    end(worker).await;
}
