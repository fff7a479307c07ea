//! Workflows on real SDK Workers. No run is cached, so that each task replays the whole history: what is not deterministic would show.

use std::{sync::Arc, time::Duration};

use fleet_worker::{Dynamic, DynamicWorkflow, Ended, FleetWorker, WorkerHandle};
use temporalio_common::{
    data_converters::{PayloadConverter, RawValue},
    protos::temporal::api::{command::v1::command::Attributes, update::v1::outcome},
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ChildWorkflowOptions, ContinueAsNewOptions, LocalActivityOptions, SyncWorkflowContext,
    WorkflowContext, WorkflowContextView, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};

use crate::{
    fake::Frontend,
    history::{json, text},
    support::{eventually, get, settings},
};

pub(crate) struct Parts;

#[activities]
impl Parts {
    #[activity(name = "shout")]
    async fn shout(_: ActivityContext, word: String) -> Result<String, ActivityError> {
        Ok(word.to_uppercase())
    }
}

/// Everything that a conversation with a workflow needs.
#[workflow]
pub(crate) struct Conversation {
    said: Vec<String>,
    done: bool,
}

#[workflow_methods]
impl Conversation {
    #[init]
    pub(crate) fn new(_: &WorkflowContextView, first: String) -> Self {
        Self {
            said: vec![first],
            done: false,
        }
    }

    #[run(name = "Conversation")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Vec<String>> {
        ctx.wait_condition(|state| state.done).await?;
        Ok(ctx.state(|state| state.said.clone()))
    }

    #[signal(name = "say")]
    pub(crate) fn say(&mut self, _: &mut SyncWorkflowContext<Self>, word: String) {
        self.said.push(word);
    }

    #[query(name = "said")]
    pub(crate) fn said(&self, _: &WorkflowContextView) -> usize {
        self.said.len()
    }

    #[update(name = "finish")]
    pub(crate) fn finish(&mut self, _: &mut SyncWorkflowContext<Self>, word: String) -> usize {
        self.said.push(word);
        self.done = true;
        self.said.len()
    }

    #[update_validator(finish)]
    pub(crate) fn validate_finish(
        &self,
        _: &WorkflowContextView,
        word: &String,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if word.is_empty() {
            Err("say something".into())
        } else {
            Ok(())
        }
    }
}

/// One step after the other: a timer, an activity, a local one, a patch, a child.
#[workflow]
#[derive(Default)]
pub(crate) struct Steps;

#[workflow_methods]
impl Steps {
    #[run(name = "Steps")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, word: String) -> WorkflowResult<Vec<String>> {
        let mut said = Vec::new();
        ctx.timer(Duration::from_secs(1)).await;
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(5));
        said.push(ctx.execute_activity(Parts::shout, word.clone(), options).await?);
        let local = LocalActivityOptions::default();
        said.push(ctx.execute_local_activity(Parts::shout, word.clone(), local).await?);
        if ctx.patched("with-child") {
            let child = ctx
                .start_child_workflow(Echo, word, ChildWorkflowOptions::default())
                .await?;
            said.push(child.result().await?);
        }
        Ok(said)
    }
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

/// Goes on anew until the number is 0.
#[workflow]
#[derive(Default)]
pub(crate) struct Countdown;

#[workflow_methods]
impl Countdown {
    #[run(name = "Countdown")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, number: u32) -> WorkflowResult<String> {
        if number > 0 {
            ctx.continue_as_new(number - 1, ContinueAsNewOptions::default())?;
        }
        Ok("lift off".to_owned())
    }
}

/// Waits for a day, or until it is cancelled.
#[workflow]
#[derive(Default)]
pub(crate) struct Patient;

#[workflow_methods]
impl Patient {
    #[run(name = "Patient")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        temporalio_sdk::workflows::select! {
            // First: the timer is cancelled with the workflow, and ends too.
            _ = ctx.cancelled() => Ok("cleaned up".to_owned()),
            _ = ctx.timer(Duration::from_hours(24)) => Ok("slept".to_owned()),
        }
    }
}

#[derive(Default)]
struct Anything(Vec<String>);

impl DynamicWorkflow for Anything {
    async fn run(ctx: WorkflowContext<Dynamic<Self>>, input: RawValue) -> WorkflowResult<RawValue> {
        let _ = ctx.wait_condition(|state| !state.0.is_empty()).await;
        let kind = ctx.info().workflow_type().to_owned();
        let word: String = input.to_value(&PayloadConverter::default());
        let said = ctx.state(|state| state.0.join(" "));
        Ok(RawValue::from_value(
            &format!("{kind} {word} {said}"),
            &PayloadConverter::default(),
        ))
    }

    fn signal(&mut self, name: &str, _: RawValue) {
        self.0.push(name.to_owned());
    }

    fn query(&self, name: &str, _: RawValue) -> Result<RawValue, String> {
        let answer = format!("{name} {}", self.0.len());
        Ok(RawValue::from_value(&answer, &PayloadConverter::default()))
    }
}

fn spawn(frontend: &Arc<Frontend>) -> WorkerHandle {
    frontend.state().completes_polls = true;
    FleetWorker::from_settings(settings(&[("TEMPORAL_FLEET_MAX_CACHED_WORKFLOWS", "0")]))
        .default_queue("q")
        .workflow::<Conversation>()
        .workflow::<Steps>()
        .workflow::<Echo>()
        .workflow::<Countdown>()
        .workflow::<Patient>()
        .dynamic_workflows::<Anything>(["red", "blue"])
        .activities(Parts)
        .dynamic_activities(["upper", "lower"], |ctx: ActivityContext, input: RawValue| async move {
            let kind = ctx.info().activity_type.clone();
            let word: String = input.to_value(&PayloadConverter::default());
            Ok(RawValue::from_value(
                &format!("{kind} {word}"),
                &PayloadConverter::default(),
            ))
        })
        .customise_connection(frontend.customise())
        .spawn()
        .expect("started")
}

fn end(worker: WorkerHandle) {
    worker.stop();
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
}

/// Result of a run, once it has one.
fn result(frontend: &Frontend, run: usize) -> String {
    eventually("the run ends", || {
        let state = frontend.state();
        assert!(state.runs.failures.is_empty(), "{:?}", state.runs.failures);
        state.runs.all.get(run).is_some_and(|run| run.ending.is_some())
    });
    frontend.state().runs.all[run].result().expect("a result")
}

#[test]
fn signals_queries_and_updates_reach_the_workflow_and_a_validator_refuses() {
    let frontend = Arc::new(Frontend::default());
    let worker = spawn(&frontend);
    let run = frontend.runs(|runs| runs.start("Conversation", Some(json(&"hello"))));
    frontend.runs(|runs| runs.signal(run, "say", json(&"nice weather")));
    frontend.runs(|runs| runs.update(run, "empty", "finish", json(&"")));
    eventually("the update is refused", || {
        frontend.runs(|runs| !runs.all[run].rejected.is_empty())
    });
    let refusal = frontend.runs(|runs| runs.all[run].rejected["empty"].message.clone());
    assert!(refusal.contains("say something"), "{refusal}");
    frontend.runs(|runs| runs.query(run, "said"));
    eventually("the query is answered", || {
        frontend.runs(|runs| runs.answers.len() == 1)
    });
    assert_eq!(frontend.runs(|runs| text(runs.answers[0].as_ref().ok())), "2");
    frontend.runs(|runs| runs.update(run, "bye", "finish", json(&"bye")));
    assert_eq!(result(&frontend, run), r#"["hello","nice weather","bye"]"#);
    let outcome = frontend.runs(|runs| runs.all[run].outcomes["bye"].clone()).value;
    let Some(outcome::Value::Success(value)) = outcome else {
        panic!("no success: {outcome:?}");
    };
    assert_eq!(text(Some(&value)), "3");
    end(worker);
}

#[test]
fn timers_activities_local_activities_patches_and_children_run_in_their_order() {
    let frontend = Arc::new(Frontend::default());
    let worker = spawn(&frontend);
    let run = frontend.runs(|runs| runs.start("Steps", Some(json(&"word"))));
    assert_eq!(result(&frontend, run), r#"["WORD","WORD","child word"]"#);
    let scrape = get(worker.ports().metrics, "/metrics").1;
    assert!(
        scrape.contains("temporal_fleet_runtime_unregistered_tasks_total 0"),
        "{scrape}"
    );
    end(worker);
}

#[test]
fn a_workflow_goes_on_as_a_new_one() {
    let frontend = Arc::new(Frontend::default());
    let worker = spawn(&frontend);
    let run = frontend.runs(|runs| runs.start("Countdown", Some(json(&2_u32))));
    assert_eq!(result(&frontend, run + 2), r#""lift off""#);
    assert!(frontend.runs(|runs| matches!(
        runs.all[run].ending,
        Some(Attributes::ContinueAsNewWorkflowExecutionCommandAttributes(_))
    )));
    end(worker);
}

#[test]
fn a_workflow_that_is_cancelled_can_clean_up() {
    let frontend = Arc::new(Frontend::default());
    let worker = spawn(&frontend);
    let run = frontend.runs(|runs| runs.start("Patient", None));
    frontend.runs(|runs| runs.cancel(run));
    assert_eq!(result(&frontend, run), r#""cleaned up""#);
    end(worker);
}

#[test]
fn one_workflow_serves_names_and_signals_that_are_known_at_the_start() {
    let frontend = Arc::new(Frontend::default());
    let worker = spawn(&frontend);
    let run = frontend.runs(|runs| runs.start("blue", Some(json(&"word"))));
    frontend.runs(|runs| runs.signal(run, "whatever", json(&1)));
    assert_eq!(result(&frontend, run), r#""blue word whatever""#);
    frontend.runs(|runs| runs.query(run, "how many"));
    eventually("the query is answered", || {
        frontend.runs(|runs| runs.answers.len() == 1)
    });
    assert_eq!(
        frontend.runs(|runs| text(runs.answers[0].as_ref().ok())),
        r#""how many 1""#
    );
    end(worker);
}

#[test]
fn one_handler_serves_several_activity_types() {
    let frontend = Arc::new(Frontend::default());
    let worker = spawn(&frontend);
    for kind in ["upper", "lower"] {
        let task = crate::fake::Task {
            activity: kind.to_owned(),
            input: json(&"x").payloads,
            ..crate::fake::Task::default()
        };
        frontend.schedule_task(task);
        eventually("it completes", || frontend.state().results.len() == 1);
        let results = std::mem::take(&mut frontend.state().results);
        assert_eq!(text(results.first()), format!("\"{kind} x\""));
    }
    end(worker);
}

#[test]
fn recorded_histories_are_replayed_and_changed_code_is_found() {
    let frontend = Arc::new(Frontend::default());
    let worker = spawn(&frontend);
    let run = frontend.runs(|runs| runs.start("Steps", Some(json(&"word"))));
    result(&frontend, run);
    let history = frontend.runs(|runs| temporalio_common::protos::temporal::api::history::v1::History {
        events: runs.all[run].events.clone(),
    });
    end(worker);
    let directory = std::env::temp_dir().join(format!("fleet-worker-histories-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    assert!(
        fleet_worker::testing::replay(&directory)
            .workflow::<Steps>()
            .run()
            .is_err(),
        "nothing is no proof"
    );
    let file = directory.join("steps.json");
    std::fs::write(&file, serde_json::to_vec(&history).expect("JSON")).expect("written");
    assert_eq!(
        fleet_worker::testing::replay(&directory)
            .workflow::<Steps>()
            .run()
            .expect("it fits"),
        1
    );
    let error = fleet_worker::testing::replay(&directory)
        .workflow::<changed::Steps>()
        .run()
        .expect_err("other code")
        .to_string();
    assert!(error.contains("1 of 1") && error.contains("steps.json"), "{error}");
    let _ = std::fs::remove_dir_all(directory);
}

mod changed {
    use temporalio_macros::{workflow, workflow_methods};
    use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};

    use super::{Duration, Parts};

    /// Begins with the activity instead of the timer.
    #[workflow]
    #[derive(Default)]
    pub(crate) struct Steps;

    #[workflow_methods]
    impl Steps {
        #[run(name = "Steps")]
        pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, word: String) -> WorkflowResult<Vec<String>> {
            let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(5));
            Ok(vec![ctx.execute_activity(Parts::shout, word, options).await?])
        }
    }
}
