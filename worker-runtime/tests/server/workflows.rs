//! What workflows are made of, each part run by the server's own rules.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use fleet_worker::{Dynamic, DynamicWorkflow, FleetWorker};
use futures::FutureExt as _;
use temporalio_client::{
    Client, WorkflowCancelOptions, WorkflowExecuteUpdateOptions, WorkflowFetchHistoryOptions, WorkflowGetResultOptions,
    WorkflowHandle, WorkflowQueryOptions, WorkflowSignalOptions, WorkflowStartOptions, errors::WorkflowGetResultError,
};
use temporalio_common::{
    UntypedWorkflow,
    data_converters::{MultiArgs2, PayloadConverter, RawValue},
    protos::temporal::api::history::v1::history_event::Attributes,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ApplicationFailure, ChildWorkflowOptions, ContinueAsNewOptions, LocalActivityOptions,
    SignalWorkflowOptions, SyncWorkflowContext, WorkflowCancellationToken, WorkflowContext, WorkflowContextView,
    WorkflowResult,
    activities::{ActivityContext, ActivityError},
    workflows::{join_all, select},
};

use crate::bed::{Bed, end, ending, events, eventually, history, result};

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

fn activity() -> ActivityOptions {
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

/// Time, chance and names, before and after a pause.
#[workflow]
#[derive(Default)]
pub(crate) struct Chance;

#[workflow_methods]
impl Chance {
    #[run(name = "Chance")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Vec<String>> {
        let mut said = Vec::new();
        for _ in 0..3 {
            let since = ctx
                .workflow_time()
                .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
            let word = format!("{since:?} {} {}", ctx.random::<u64>(), ctx.uuid4());
            // The word becomes part of the history: were it another one in a replay, the task would fail.
            said.push(ctx.execute_activity(Parts::shout, word, activity()).await?);
        }
        Ok(said)
    }
}

/// Waits for something that Temporal knows nothing of.
#[workflow]
#[derive(Default)]
pub(crate) struct Impatient;

#[workflow_methods]
impl Impatient {
    #[run(name = "Impatient")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        // Found with the next task, which is the timer's: alone, it would wait unseen for ever.
        select! {
            _ = ctx.timer(Duration::from_millis(500)) => {}
            () = tokio::time::sleep(Duration::from_millis(10)).boxed_local().fuse() => {}
        }
        Ok(())
    }
}

/// The first version of a workflow.
#[workflow]
#[derive(Default)]
pub(crate) struct Before {
    go: bool,
}

#[workflow_methods]
impl Before {
    #[run(name = "Changes")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        let word = ctx.execute_activity(Parts::shout, "old", activity()).await?;
        ctx.wait_condition(|state| state.go).await?;
        Ok(ctx
            .execute_activity(Parts::shout, format!("{word} way"), activity())
            .await?)
    }

    #[signal(name = "go")]
    pub(crate) fn go(&mut self, _: &mut SyncWorkflowContext<Self>) {
        self.go = true;
    }
}

/// The second one, which knows of the first.
#[workflow]
#[derive(Default)]
pub(crate) struct After {
    go: bool,
}

#[workflow_methods]
impl After {
    #[run(name = "Changes")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        let word = if ctx.patched("new-way") {
            ctx.timer(Duration::from_millis(10)).await;
            "NEW".to_owned()
        } else {
            ctx.execute_activity(Parts::shout, "old", activity()).await?
        };
        ctx.wait_condition(|state| state.go).await?;
        Ok(ctx
            .execute_activity(Parts::shout, format!("{word} way"), activity())
            .await?)
    }

    #[signal(name = "go")]
    pub(crate) fn go(&mut self, _: &mut SyncWorkflowContext<Self>) {
        self.go = true;
    }
}

/// Whatever it is called.
#[derive(Default)]
struct Anything(Vec<String>);

impl DynamicWorkflow for Anything {
    async fn run(ctx: WorkflowContext<Dynamic<Self>>, input: RawValue) -> WorkflowResult<RawValue> {
        ctx.wait_condition(|state| !state.0.is_empty()).await?;
        let kind = ctx.info().workflow_type().to_owned();
        let word: String = input.to_value(&PayloadConverter::default());
        let said = format!("{kind} {word} {}", ctx.state(|state| state.0.join(" ")));
        let loud = ctx.execute_activity(Kind("lower"), raw(&said), activity()).await?;
        Ok(loud)
    }

    fn signal(&mut self, name: &str, _: RawValue) {
        self.0.push(name.to_owned());
    }

    fn query(&self, name: &str, _: RawValue) -> Result<RawValue, String> {
        Ok(raw(&format!("{name} {}", self.0.len())))
    }
}

/// An activity known by its name alone.
struct Kind(&'static str);

impl temporalio_common::ActivityDefinition for Kind {
    type Input = RawValue;
    type Output = RawValue;

    fn name(&self) -> &str {
        self.0
    }
}

fn raw(text: &str) -> RawValue {
    RawValue::from_value(&text.to_owned(), &PayloadConverter::default())
}

fn text(value: RawValue) -> String {
    value.to_value(&PayloadConverter::default())
}

fn registered(worker: FleetWorker) -> FleetWorker {
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
        .workflow::<Chance>()
        .workflow::<Impatient>()
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

#[tokio::test]
async fn time_chance_and_names_are_the_same_in_every_replay() {
    let bed = Bed::new("chance").await;
    let worker = registered(bed.worker_with(&[("TEMPORAL_FLEET_MAX_CACHED_WORKFLOWS", "0")]));
    let worker = worker.spawn().expect("started");
    let handle = bed.start(Chance::run, ()).await;
    let mut said = result(&handle).await;
    let events = events(&handle).await;
    let failed = |event: &Attributes| matches!(event, Attributes::WorkflowTaskFailedEventAttributes(_));
    assert!(!events.iter().any(failed), "{events:?}");
    said.dedup();
    assert_eq!(said.len(), 3, "{said:?}");
    end(worker).await;
}

#[tokio::test]
async fn a_workflow_that_waits_for_anything_but_temporal_fails_its_task_and_harms_no_other() {
    let bed = Bed::new("impatient").await;
    let worker = registered(bed.worker()).spawn().expect("started");
    let handle = bed.start(Impatient::run, ()).await;
    let mut why = String::new();
    eventually("its task fails", async || {
        let failure = events(&handle).await.into_iter().find_map(|event| match event {
            Attributes::WorkflowTaskFailedEventAttributes(failed) => failed.failure,
            _ => None,
        });
        why = failure.map_or_else(String::new, |failure| failure.message);
        !why.is_empty()
    })
    .await;
    assert!(why.contains("TMPRL1100") && why.contains("ctx.timer()"), "{why}");
    assert_eq!(bed.run(Echo::run, "well".to_owned()).await, "child well");
    end(worker).await;
}

async fn go(handle: &WorkflowHandle<Client, impl temporalio_common::HasWorkflowDefinition>, bed: &Bed) -> String {
    // Either version's own signal would do; by name it is one for both.
    let handle: WorkflowHandle<Client, UntypedWorkflow> =
        bed.client.get_workflow_handle(handle.info().workflow_id.clone());
    let signal = temporalio_client::UntypedSignal::<UntypedWorkflow>::new("go");
    let input = RawValue::new(Vec::new());
    handle
        .signal(signal, input, WorkflowSignalOptions::default())
        .await
        .expect("taken");
    text(result(&handle).await)
}

#[tokio::test]
async fn a_change_behind_a_patch_lets_open_runs_end_on_the_old_way() {
    let bed = Bed::new("patch").await;
    let first = bed.worker().workflow::<Before>().activities(Parts::default());
    let first = first.spawn().expect("started");
    let old = bed.start(Before::run, ()).await;
    eventually("its first activity is done", async || {
        let events = events(&old).await;
        events
            .iter()
            .any(|event| matches!(event, Attributes::ActivityTaskCompletedEventAttributes(_)))
    })
    .await;
    end(first).await;

    let second = bed.worker().workflow::<After>().activities(Parts::default());
    let second = second.spawn().expect("started");
    let new = bed.start(After::run, ()).await;
    assert_eq!(go(&old, &bed).await, "OLD WAY");
    assert_eq!(go(&new, &bed).await, "NEW WAY");
    let failed = |event: &Attributes| matches!(event, Attributes::WorkflowTaskFailedEventAttributes(_));
    assert!(!events(&old).await.iter().any(failed));
    end(second).await;
}

#[tokio::test]
async fn histories_of_the_server_are_replayed_and_changed_code_is_found() {
    let bed = Bed::new("replay").await;
    let worker = registered(bed.worker()).spawn().expect("started");
    let directory = crate::temporal::Directory::new("replay");
    let handle = bed.start(Chance::run, ()).await;
    result(&handle).await;
    let parent = bed.start(Parent::run, "hello".to_owned()).await;
    result(&parent).await;
    end(worker).await;
    for (name, history) in [
        ("chance", handle.fetch_history(WorkflowFetchHistoryOptions::default())),
        ("parent", parent.fetch_history(WorkflowFetchHistoryOptions::default())),
    ] {
        let json = history.to_json().await.expect("a history");
        std::fs::write(directory.join(format!("{name}.json")), json).expect("written");
    }
    let path = directory.to_owned();
    let (fits, changed) = tokio::task::spawn_blocking(move || {
        let fits = fleet_worker::testing::replay(&path)
            .workflow::<Chance>()
            .workflow::<Parent>()
            .run();
        let changed = fleet_worker::testing::replay(&path)
            .workflow::<Changed>()
            .workflow::<Parent>()
            .run();
        (fits, changed)
    })
    .await
    .expect("no panic");
    assert_eq!(fits.expect("it fits"), 2);
    let changed = changed.expect_err("found").to_string();
    assert!(
        changed.contains("1 of 2") && changed.contains("chance.json"),
        "{changed}"
    );
}

/// As `Chance`, but without its activities.
#[workflow]
#[derive(Default)]
pub(crate) struct Changed;

#[workflow_methods]
impl Changed {
    #[run(name = "Chance")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Vec<String>> {
        ctx.timer(Duration::from_secs(1)).await;
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn one_handler_serves_workflows_and_activities_whose_names_are_known_at_the_start() {
    let bed = Bed::new("dynamic").await;
    let worker = bed
        .worker()
        .dynamic_workflows::<Anything>(["red", "blue"])
        .dynamic_activities(["upper", "lower"], |ctx: ActivityContext, input: RawValue| async move {
            Ok(raw(&format!("{} {}", ctx.info().activity_type, text(input))))
        })
        .spawn()
        .expect("started");
    for kind in ["red", "blue"] {
        let handle = bed.start(UntypedWorkflow::new(kind), raw("apple")).await;
        let handle: WorkflowHandle<Client, UntypedWorkflow> =
            bed.client.get_workflow_handle(handle.info().workflow_id.clone());
        let query = temporalio_client::UntypedQuery::<UntypedWorkflow>::new("count");
        let answer = handle.query(query, raw(""), WorkflowQueryOptions::default()).await;
        assert_eq!(text(answer.expect("an answer")), "count 0");
        let signal = temporalio_client::UntypedSignal::<UntypedWorkflow>::new("shine");
        let options = WorkflowSignalOptions::default();
        handle.signal(signal, raw(""), options).await.expect("taken");
        assert_eq!(text(result(&handle).await), format!("lower {kind} apple shine"));
    }
    end(worker).await;
}

#[tokio::test]
async fn a_workflow_of_an_unknown_type_waits_for_a_worker_that_knows_it() {
    let bed = Bed::new("unknown").await;
    let first = bed.worker().workflow::<Fails>().spawn().expect("started");
    let handle = bed.start(Echo::run, "later".to_owned()).await;
    eventually("its task fails", async || {
        let failed = |event: &Attributes| matches!(event, Attributes::WorkflowTaskFailedEventAttributes(_));
        history(&handle)
            .await
            .into_iter()
            .filter_map(|event| event.attributes)
            .any(|event| failed(&event))
    })
    .await;
    let metrics = crate::bed::get(first.ports().metrics, "/metrics").await.1;
    assert!(
        metrics.contains("temporal_fleet_runtime_unregistered_tasks_total"),
        "{metrics}"
    );
    assert!(
        !metrics.contains("temporal_fleet_runtime_unregistered_tasks_total 0\n"),
        "{metrics}"
    );
    end(first).await;
    let second = registered(bed.worker()).spawn().expect("started");
    assert_eq!(result(&handle).await, "child later");
    end(second).await;
}
