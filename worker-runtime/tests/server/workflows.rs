//! What workflows are made of, each part run by the server's own rules.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use fleet_worker::FleetWorker;
use temporalio_client::{
    WorkflowCancelOptions, WorkflowExecuteUpdateOptions, WorkflowGetResultOptions, WorkflowQueryOptions,
    WorkflowStartOptions, errors::WorkflowGetResultError,
};
use temporalio_common::{data_converters::MultiArgs2, protos::temporal::api::history::v1::history_event::Attributes};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ApplicationFailure, ChildWorkflowOptions, ContinueAsNewOptions, LocalActivityOptions,
    SignalWorkflowOptions, WorkflowCancellationToken, WorkflowContext, WorkflowContextView, WorkflowResult,
    activities::{ActivityContext, ActivityError},
    workflows::{join_all, select},
};

use crate::bed::{Bed, end, ending, events, eventually, result};

/// Activities for workflows.
#[derive(Default)]
pub(crate) struct Parts {
    failed: AtomicU32,
}

#[activities]
impl Parts {
    #[activity(name = "shout")]
    pub(crate) async fn shout(_: ActivityContext, word: String) -> Result<String, ActivityError> {
        Ok(word.to_uppercase())
    }

    /// Fails twice, whoever asks.
    #[activity(name = "third_time")]
    pub(crate) async fn third_time(self: Arc<Self>, ctx: ActivityContext) -> Result<bool, ActivityError> {
        if self.failed.fetch_add(1, Ordering::SeqCst) < 2 {
            return Err(anyhow::anyhow!("not yet").into());
        }
        Ok(ctx.info().is_local)
    }
}

pub(crate) fn activity() -> ActivityOptions {
    ActivityOptions::start_to_close_timeout(Duration::from_mins(1))
}

fn child() -> ChildWorkflowOptions {
    ChildWorkflowOptions::default()
}

/// Has children: two at once, one that it asks, one that fails, one that it cancels.
#[workflow]
#[derive(Default)]
pub(crate) struct Parent;

#[workflow_methods]
impl Parent {
    #[run(name = "Parent")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, word: String) -> WorkflowResult<Vec<String>> {
        let mut said = Vec::new();
        for started in
            join_all(["a", "b"].map(|name| ctx.start_child_workflow(Echo::run, name.to_owned(), child()))).await
        {
            said.push(started?.result().await?);
        }
        let asked = ctx.start_child_workflow(Asked::run, (), child()).await?;
        let options = SignalWorkflowOptions::default();
        asked.signal(Asked::answer, word, options).await?;
        said.push(asked.result().await?);

        let failing = ctx.start_child_workflow(Fails::run, (), child()).await?;
        said.push(match failing.result().await {
            Ok(()) => "no failure".to_owned(),
            Err(error) => cause(&error),
        });

        let unwanted = ctx.start_child_workflow(Patient::run, (), child()).await?;
        unwanted.cancel("no longer wanted".to_owned());
        said.push(unwanted.result().await?);
        Ok(said)
    }
}

/// The innermost message of an error.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[workflow]
#[derive(Default)]
pub(crate) struct Echo;

#[workflow_methods]
impl Echo {
    #[run(name = "Echo")]
    pub(crate) async fn run(_: &mut WorkflowContext<Self>, word: String) -> WorkflowResult<String> {
        Ok(format!("child {word}"))
    }
}

/// Ends with the answer that it is given, by signal or by update.
#[workflow]
#[derive(Default)]
pub(crate) struct Asked {
    answer: Option<String>,
    heard: Vec<String>,
}

#[workflow_methods]
impl Asked {
    #[run(name = "Asked")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        ctx.wait_condition(|state| state.answer.is_some()).await?;
        // Handlers that have begun end first.
        ctx.wait_condition(|state| !state.heard.is_empty()).await?;
        Ok(ctx.state(|state| state.heard.join(" ")))
    }

    /// Asynchronous: it runs an activity.
    #[signal(name = "answer")]
    pub(crate) async fn answer(ctx: &mut WorkflowContext<Self>, word: String) {
        ctx.state_mut(|state| state.answer = Some(word.clone()));
        if let Ok(loud) = ctx.execute_activity(Parts::shout, word, activity()).await {
            ctx.state_mut(|state| state.heard.push(loud));
        }
    }

    /// Asynchronous: its result is that of an activity.
    #[update(name = "ask")]
    pub(crate) async fn ask(
        ctx: &mut WorkflowContext<Self>,
        words: MultiArgs2<String, String>,
    ) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        let word = format!("{} {}", words.0, words.1);
        let loud = ctx.execute_activity(Parts::shout, word, activity()).await?;
        ctx.state_mut(|state| state.heard.push(loud.clone()));
        Ok(loud)
    }

    #[query(name = "heard")]
    pub(crate) fn heard(&self, _: &WorkflowContextView, index: usize) -> Option<String> {
        self.heard.get(index).cloned()
    }
}

#[workflow]
#[derive(Default)]
pub(crate) struct Fails;

#[workflow_methods]
impl Fails {
    #[run(name = "Fails")]
    pub(crate) async fn run(_: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        Err(ApplicationFailure::non_retryable(anyhow::anyhow!("out of paper")).into())
    }
}

/// Waits for a day, or until it is cancelled; then it cleans up.
#[workflow]
#[derive(Default)]
pub(crate) struct Patient;

#[workflow_methods]
impl Patient {
    #[run(name = "Patient")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        select! {
            _ = ctx.cancelled() => {}
            _ = ctx.timer(Duration::from_hours(24)) => return Ok("slept".to_owned()),
        }
        // An activity of a cancelled workflow needs a token of its own.
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_mins(1))
            .cancellation_token(WorkflowCancellationToken::new())
            .build();
        Ok(ctx.execute_activity(Parts::shout, "cleaned up", options).await?)
    }
}

/// Sends its word to another workflow.
#[workflow]
#[derive(Default)]
pub(crate) struct Tells;

#[workflow_methods]
impl Tells {
    #[run(name = "Tells")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, to: MultiArgs2<String, String>) -> WorkflowResult<()> {
        let other = ctx.external_workflow(to.0, None);
        other
            .signal(Asked::answer, to.1, SignalWorkflowOptions::default())
            .await?;
        Ok(())
    }
}

/// Goes on anew until the number is 0, and takes along what it has seen.
#[workflow]
#[derive(Default)]
pub(crate) struct Countdown;

#[workflow_methods]
impl Countdown {
    #[run(name = "Countdown")]
    pub(crate) async fn run(
        ctx: &mut WorkflowContext<Self>,
        input: MultiArgs2<u32, Vec<u32>>,
    ) -> WorkflowResult<Vec<u32>> {
        let MultiArgs2(number, mut seen) = input;
        seen.push(number);
        if number > 0 {
            ctx.continue_as_new(MultiArgs2(number - 1, seen.clone()), ContinueAsNewOptions::default())?;
        }
        Ok(seen)
    }
}

/// Timers in every order: two at once, one against a signal that does not come, one that is dropped.
#[workflow]
#[derive(Default)]
pub(crate) struct Timers {
    called: bool,
}

#[workflow_methods]
impl Timers {
    #[run(name = "Timers")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Vec<String>> {
        let mut said = Vec::new();
        let began = ctx.workflow_time();
        join_all([2, 1].map(|seconds| ctx.timer(Duration::from_secs(seconds)))).await;
        let took = ctx
            .workflow_time()
            .zip(began)
            .and_then(|(now, began)| now.duration_since(began).ok());
        said.push(format!(
            "at least two seconds: {}",
            took >= Some(Duration::from_secs(2))
        ));
        said.push(
            select! {
                _ = ctx.wait_condition(|state| state.called) => "called",
                _ = ctx.timer(Duration::from_secs(1)) => "nobody called",
            }
            .to_owned(),
        );
        said.push(
            select! {
                _ = ctx.timer(Duration::from_hours(24)) => "a day went by",
                _ = ctx.timer(Duration::from_millis(100)) => "a moment went by",
            }
            .to_owned(),
        );
        Ok(said)
    }
}

/// A local activity that needs three attempts, and what a remote one says of itself.
#[workflow]
#[derive(Default)]
pub(crate) struct Local;

#[workflow_methods]
impl Local {
    #[run(name = "Local")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<bool> {
        let options = LocalActivityOptions::default();
        Ok(ctx.execute_local_activity(Parts::third_time, (), options).await?)
    }
}

pub(crate) fn registered(worker: FleetWorker) -> FleetWorker {
    worker
        .workflow::<Parent>()
        .workflow::<Echo>()
        .workflow::<Asked>()
        .workflow::<Fails>()
        .workflow::<Patient>()
        .workflow::<Tells>()
        .workflow::<Countdown>()
        .workflow::<Timers>()
        .workflow::<Local>()
        .activities(Parts::default())
}

#[tokio::test]
async fn a_workflow_has_children_that_it_starts_signals_and_cancels_and_whose_failures_it_learns() {
    let bed = Bed::new("children").await;
    let worker = registered(bed.worker()).spawn().expect("started");
    let said = bed.run(Parent::run, "hello".to_owned()).await;
    assert_eq!(said, ["child a", "child b", "HELLO", "out of paper", "CLEANED UP"]);
    end(worker).await;
}

#[tokio::test]
async fn handlers_run_activities_and_take_several_arguments() {
    let bed = Bed::new("handlers").await;
    let worker = registered(bed.worker()).spawn().expect("started");
    let handle = bed.start(Asked::run, ()).await;
    let options = WorkflowExecuteUpdateOptions::default();
    let words = MultiArgs2("nice".to_owned(), "weather".to_owned());
    let loud = handle
        .execute_update(Asked::ask, words, options)
        .await
        .expect("accepted");
    assert_eq!(loud, "NICE WEATHER");
    let query = async |index| handle.query(Asked::heard, index, WorkflowQueryOptions::default()).await;
    assert_eq!(query(0).await.expect("an answer").as_deref(), Some("NICE WEATHER"));
    assert_eq!(query(1).await.expect("an answer"), None);
    // Another workflow has the last word.
    let to = MultiArgs2(handle.info().workflow_id.clone(), "indeed".to_owned());
    bed.run(Tells::run, to).await;
    let said = result(&handle).await;
    assert!(said.starts_with("NICE WEATHER"), "{said}");

    // A signal that starts its workflow.
    let options = WorkflowStartOptions::new(&bed.queue, "handlers-started").build();
    let handle = bed
        .client
        .signal_with_start_workflow(Asked::run, (), Asked::answer, "hello".to_owned(), options)
        .await
        .expect("started");
    assert_eq!(result(&handle).await, "HELLO");
    end(worker).await;
}

#[tokio::test]
async fn a_workflow_continues_as_new_and_takes_its_state_along() {
    let bed = Bed::new("anew").await;
    let worker = registered(bed.worker()).spawn().expect("started");
    let handle = bed.start(Countdown::run, MultiArgs2(3, Vec::new())).await;
    assert_eq!(result(&handle).await, [3, 2, 1, 0]);
    let options = WorkflowGetResultOptions::builder().follow_runs(false).build();
    let first = handle.get_result(options).await;
    assert!(
        matches!(first, Err(WorkflowGetResultError::ContinuedAsNew)),
        "{first:?}"
    );
    end(worker).await;
}

#[tokio::test]
async fn timers_fire_in_time_lose_to_others_and_are_dropped() {
    let bed = Bed::new("timers").await;
    // Nothing is cached: each task replays all that was before.
    let worker = registered(bed.worker_with(&[("TEMPORAL_FLEET_MAX_CACHED_WORKFLOWS", "0")]));
    let worker = worker.spawn().expect("started");
    let handle = bed.start(Timers::run, ()).await;
    assert_eq!(
        result(&handle).await,
        ["at least two seconds: true", "nobody called", "a moment went by"]
    );
    let events = events(&handle).await;
    let count = |is: fn(&Attributes) -> bool| events.iter().filter(|event| is(event)).count();
    assert_eq!(
        count(|event| matches!(event, Attributes::TimerStartedEventAttributes(_))),
        5
    );
    assert_eq!(
        count(|event| matches!(event, Attributes::TimerFiredEventAttributes(_))),
        4
    );
    end(worker).await;
}

#[tokio::test]
async fn a_cancelled_workflow_cleans_up_with_an_activity() {
    let bed = Bed::new("cleanup").await;
    let worker = registered(bed.worker()).spawn().expect("started");
    let handle = bed.start(Patient::run, ()).await;
    eventually("its timer runs", async || {
        let events = events(&handle).await;
        events
            .iter()
            .any(|event| matches!(event, Attributes::TimerStartedEventAttributes(_)))
    })
    .await;
    handle.cancel(WorkflowCancelOptions::default()).await.expect("taken");
    assert_eq!(result(&handle).await, "CLEANED UP");
    end(worker).await;
}

#[tokio::test]
async fn a_workflow_that_fails_says_why() {
    let bed = Bed::new("fails").await;
    let worker = registered(bed.worker()).spawn().expect("started");
    let handle = bed.start(Fails::run, ()).await;
    let error = ending(&handle).await.expect_err("failed");
    assert!(matches!(error, WorkflowGetResultError::Failed(_)), "{error:?}");
    assert_eq!(cause(&error), "out of paper");
    end(worker).await;
}

#[tokio::test]
async fn a_local_activity_is_retried_within_its_worker() {
    let bed = Bed::new("local").await;
    let worker = registered(bed.worker()).spawn().expect("started");
    let handle = bed.start(Local::run, ()).await;
    assert!(result(&handle).await, "it was local");
    let events = events(&handle).await;
    let remote = |event: &Attributes| matches!(event, Attributes::ActivityTaskScheduledEventAttributes(_));
    assert!(!events.iter().any(remote), "{events:?}");
    let marker = |event: &Attributes| matches!(event, Attributes::MarkerRecordedEventAttributes(_));
    assert_eq!(events.iter().filter(|event| marker(event)).count(), 1);
    end(worker).await;
}
