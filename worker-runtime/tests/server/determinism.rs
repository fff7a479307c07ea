//! What keeps workflows the same in every replay, and what finds those that are not.

use std::time::{Duration, SystemTime};

use fleet_worker::FleetWorker;
use futures::FutureExt as _;
use temporalio_client::{Client, WorkflowFetchHistoryOptions, WorkflowHandle, WorkflowSignalOptions};
use temporalio_common::{
    UntypedWorkflow, data_converters::RawValue, protos::temporal::api::history::v1::history_event::Attributes,
};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{SyncWorkflowContext, WorkflowContext, WorkflowResult, workflows::select};

use crate::{
    bed::{Bed, end, events, eventually, result},
    dynamic::text,
    process::Process,
    workflows::{self, Echo, Parent, Parts, activity},
};

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

/// Speaks before and after a pause.
#[workflow]
#[derive(Default)]
pub(crate) struct Speaks;

#[workflow_methods]
impl Speaks {
    #[run(name = "Speaks")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        for word in ["first", "second", "third"] {
            tracing::info!(word, "the workflow speaks");
            ctx.execute_activity(Parts::shout, word, activity()).await?;
        }
        Ok(())
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

/// What these tests register, also in a process of its own.
pub(crate) fn registered(worker: FleetWorker) -> FleetWorker {
    workflows::registered(worker)
        .workflow::<Chance>()
        .workflow::<Speaks>()
        .workflow::<Impatient>()
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
async fn what_a_workflow_logs_is_written_once_with_whose_it_is() {
    let bed = Bed::new("speaks").await;
    // Each task replays all that was before.
    let variables = [("TEMPORAL_FLEET_MAX_CACHED_WORKFLOWS", "0"), ("RUST_LOG", "info")];
    let mut process = Process::start("determinism", &bed, &variables);
    let handle = bed.start(Speaks::run, ()).await;
    result(&handle).await;
    process.terminate();
    assert_eq!(process.code().await, Some(0));
    let whose = format!("workflow_id=\"{}\"", handle.info().workflow_id);
    for word in ["first", "second", "third"] {
        let said = process.with(&format!("word=\"{word}\""));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].contains("the workflow speaks") && said[0].contains(&whose),
            "{said:?}"
        );
        assert!(said[0].contains("workflow_type=\"Speaks\""), "{said:?}");
    }
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
