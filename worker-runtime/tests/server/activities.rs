//! What activities can do, and what becomes of them, by the server's own rules.

use std::{
    collections::HashSet,
    sync::{Arc, Barrier, Mutex, PoisonError},
    time::Duration,
};

use fleet_worker::{BlockingHeartbeat, FleetWorker};
use temporalio_client::{ActivityIdentifier, WorkflowCancelOptions};
use temporalio_common::{
    RetryPolicy,
    protos::{TaskToken, temporal::api::history::v1::history_event::Attributes},
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityCancellationType, ActivityOptions, ApplicationFailure, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
    workflows::join_all,
};

use crate::{
    bed::{Bed, Together, attempts, end, ending, events, eventually, get, pending, result},
    ending::{Together_, Work},
};

/// As many threads as `meets` needs.
const THREADS: u32 = 40;

struct Acts {
    meeting: Barrier,
    running: Together,
    tokens: Arc<Mutex<HashSet<Vec<u8>>>>,
}

impl Acts {
    fn new() -> Self {
        Self {
            meeting: Barrier::new(THREADS as usize),
            running: Together::default(),
            tokens: Arc::default(),
        }
    }
}

#[activities]
impl Acts {
    /// Ends when as many others run.
    #[activity(name = "meets")]
    fn meets(self: Arc<Self>, _: ActivityContext) -> Result<String, ActivityError> {
        self.meeting.wait();
        Ok("met".to_owned())
    }

    /// A plain function that fails after half of its work, once.
    #[activity(name = "resumes")]
    fn resumes(ctx: ActivityContext) -> Result<String, ActivityError> {
        match ctx.heartbeat_details().deserialize::<u32>()? {
            Some(half) => Ok(format!("goes on at {half}")),
            None => {
                ctx.heartbeat_blocking(1_u32)?;
                ctx.heartbeat_blocking(50_u32)?;
                Err(anyhow::anyhow!("lost power").into())
            }
        }
    }

    #[activity(name = "panics_once")]
    fn panics_once(ctx: ActivityContext) -> Result<String, ActivityError> {
        assert!(ctx.info().attempt > 1, "no such luck");
        Ok("calm again".to_owned())
    }

    #[activity(name = "refuses")]
    async fn refuses(_: ActivityContext) -> Result<String, ActivityError> {
        Err(ApplicationFailure::non_retryable(anyhow::anyhow!("the card is stolen")).into())
    }

    #[activity(name = "always_fails")]
    async fn always_fails(_: ActivityContext) -> Result<String, ActivityError> {
        Err(anyhow::anyhow!("no").into())
    }

    /// Too slow, once.
    #[activity(name = "dawdles")]
    async fn dawdles(ctx: ActivityContext) -> Result<String, ActivityError> {
        if ctx.info().attempt == 1 {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        Ok("in time".to_owned())
    }

    /// A plain function that looks whether it is still wanted.
    #[activity(name = "looks")]
    fn looks(self: Arc<Self>, ctx: ActivityContext) -> Result<String, ActivityError> {
        self.running.enter();
        while !ctx.is_cancelled() {
            ctx.heartbeat_blocking(())?;
            std::thread::sleep(Duration::from_millis(50));
        }
        self.running.leave();
        // Cancelled by its workflow, and not because the process ends.
        Err(ActivityError::cancelled_with_details("put the tools away".to_owned()))
    }

    /// Ended by somebody else.
    #[activity(name = "entrusts")]
    async fn entrusts(self: Arc<Self>, ctx: ActivityContext) -> Result<String, ActivityError> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(ctx.info().task_token.clone());
        Err(ActivityError::WillCompleteAsync)
    }

    /// Reaches Temporal with the worker's own client.
    #[activity(name = "asks")]
    async fn asks(ctx: ActivityContext) -> Result<String, ActivityError> {
        let handle = ctx
            .workflow_handle::<Runs>()
            .ok_or_else(|| anyhow::anyhow!("no workflow"))?;
        let described = handle.describe(Default::default()).await?;
        Ok(described.workflow_type().to_owned())
    }
}

/// How a test wants an activity to be run.
#[derive(serde::Serialize, serde::Deserialize, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) times: u32,
    pub(crate) attempts: u32,
    /// Longest time of an attempt; two minutes if absent.
    pub(crate) milliseconds: Option<u64>,
    /// Seconds between heartbeats; a minute if absent.
    pub(crate) heartbeat: Option<u64>,
}

/// Once, until it succeeds.
pub(crate) fn wanted(name: &str) -> Wanted {
    Wanted {
        name: name.to_owned(),
        times: 1,
        ..Wanted::default()
    }
}

/// An activity without input that gives text, by its name.
struct Named(String);

impl temporalio_common::ActivityDefinition for Named {
    type Input = ();
    type Output = String;

    fn name(&self) -> &str {
        &self.0
    }
}

/// Runs an activity so many times at once.
#[workflow]
#[derive(Default)]
pub(crate) struct Runs;

#[workflow_methods]
impl Runs {
    #[run(name = "Runs")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, wanted: Wanted) -> WorkflowResult<Vec<String>> {
        let retries = RetryPolicy::builder()
            .initial_interval(Duration::from_millis(200))
            .maximum_attempts(wanted.attempts)
            .build();
        let timeout = wanted
            .milliseconds
            .map_or(Duration::from_mins(2), Duration::from_millis);
        let options = ActivityOptions::with_start_to_close_timeout(timeout)
            .heartbeat_timeout(Duration::from_secs(wanted.heartbeat.unwrap_or(60)))
            .cancellation_type(ActivityCancellationType::WaitCancellationCompleted)
            .retry_policy(retries)
            .build();
        let all = (0..wanted.times).map(|_| ctx.execute_activity(Named(wanted.name.clone()), (), options.clone()));
        let mut said = Vec::new();
        for one in join_all(all).await {
            said.push(one?);
        }
        Ok(said)
    }
}

fn registered(worker: FleetWorker) -> FleetWorker {
    worker.workflow::<Runs>().activities(Acts::new())
}

fn text(error: &(dyn std::error::Error + 'static)) -> String {
    let (mut text, mut error) = (error.to_string(), error);
    while let Some(source) = error.source() {
        error = source;
        text = format!("{text}: {error}");
    }
    text
}

#[tokio::test]
async fn plain_functions_block_as_many_threads_as_there_are_slots() {
    let bed = Bed::new("threads").await;
    let slots = THREADS.to_string();
    let worker = registered(bed.worker_with(&[("TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES", &slots)]));
    let worker = worker.spawn().expect("started");
    let all = Wanted {
        times: THREADS,
        ..wanted("meets")
    };
    // With one thread fewer they would wait for each other for ever.
    assert_eq!(bed.run(Runs::run, all).await.len(), THREADS as usize);
    end(worker).await;
}

#[tokio::test]
async fn a_retry_finds_the_details_of_the_last_heartbeat() {
    let bed = Bed::new("resumes").await;
    let worker = registered(bed.worker()).spawn().expect("started");
    let handle = bed.start(Runs::run, wanted("resumes")).await;
    // The second heartbeat was throttled; it went out with the failure.
    assert_eq!(result(&handle).await, ["goes on at 50"]);
    assert_eq!(attempts(&handle).await, [2]);
    end(worker).await;
}

#[tokio::test]
async fn panics_errors_and_timeouts_are_retried_as_far_as_the_policy_goes() {
    let bed = Bed::new("retries").await;
    let worker = registered(bed.worker()).spawn().expect("started");
    let handle = bed.start(Runs::run, wanted("panics_once")).await;
    assert_eq!(result(&handle).await, ["calm again"]);
    assert_eq!(attempts(&handle).await, [2]);

    let slow = Wanted {
        milliseconds: Some(500),
        ..wanted("dawdles")
    };
    let handle = bed.start(Runs::run, slow).await;
    assert_eq!(result(&handle).await, ["in time"]);
    assert_eq!(attempts(&handle).await, [2]);

    let thrice = Wanted {
        attempts: 3,
        ..wanted("always_fails")
    };
    let handle = bed.start(Runs::run, thrice).await;
    assert!(ending(&handle).await.is_err());
    assert_eq!(attempts(&handle).await, [3]);

    let handle = bed.start(Runs::run, wanted("refuses")).await;
    let error = ending(&handle).await.expect_err("failed");
    assert!(text(&error).contains("the card is stolen"), "{error:?}");
    assert_eq!(attempts(&handle).await, [1]);
    end(worker).await;
}

#[tokio::test]
async fn a_plain_function_learns_of_its_cancellation_and_says_how_it_left_things() {
    let bed = Bed::new("looks").await;
    let acts = Acts::new();
    let running = acts.running.clone();
    let worker = bed
        .worker()
        .workflow::<Runs>()
        .activities(acts)
        .spawn()
        .expect("started");
    // Heartbeats ask the server, as often as 0.8 times this.
    let often = Wanted {
        heartbeat: Some(3),
        ..wanted("looks")
    };
    let handle = bed.start(Runs::run, often).await;
    eventually("it runs", async || running.now() == 1).await;
    handle.cancel(WorkflowCancelOptions::default()).await.expect("taken");
    assert!(ending(&handle).await.is_err());
    assert_eq!(running.now(), 0);
    let details = events(&handle).await.into_iter().find_map(|event| match event {
        Attributes::ActivityTaskCanceledEventAttributes(cancelled) => cancelled.details,
        _ => None,
    });
    let details = details.expect("details").payloads;
    assert_eq!(String::from_utf8_lossy(&details[0].data), "\"put the tools away\"");
    end(worker).await;
}

#[tokio::test]
async fn an_activity_that_ignores_its_cancellation_keeps_its_slot_until_it_ends_and_harms_no_other() {
    let bed = Bed::new("deaf").await;
    let (work, gate, running) = Work::closed();
    let one = bed.worker_with(&[("TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES", "1")]);
    let worker = one.workflow::<Together_>().activities(work).spawn().expect("started");
    let unwanted = bed.start(Together_::run, 1).await;
    eventually("it runs", async || running.now() == 1).await;
    unwanted.cancel(WorkflowCancelOptions::default()).await.expect("taken");
    // The workflow does not wait for it.
    assert!(ending(&unwanted).await.is_err());
    assert_eq!(running.now(), 1);
    assert_eq!(get(worker.ports().health, "/livez").await.0, 200);
    // The server has forgotten its result by the time it is told.
    let next = bed.start(Together_::run, 3).await;
    gate.add_permits(100);
    assert_eq!(result(&next).await, 6);
    assert_eq!(running.most(), 1, "it kept its slot");
    end(worker).await;
}

#[tokio::test]
async fn an_activity_is_completed_by_somebody_else_by_token_and_by_id() {
    let bed = Bed::new("entrusts").await;
    let acts = Acts::new();
    let tokens = Arc::clone(&acts.tokens);
    let worker = bed
        .worker()
        .workflow::<Runs>()
        .activities(acts)
        .spawn()
        .expect("started");

    let handle = bed.start(Runs::run, wanted("entrusts")).await;
    let mut token = None;
    eventually("a token is handed over", async || {
        token = tokens.lock().unwrap_or_else(PoisonError::into_inner).drain().next();
        token.is_some()
    })
    .await;
    let identifier = ActivityIdentifier::from_task_token(TaskToken::from(token.expect("a token")));
    let activity = bed.client.get_async_activity_handle(identifier);
    activity
        .heartbeat(Some("half".to_owned()), Default::default())
        .await
        .expect("taken");
    activity
        .complete(Some("by token".to_owned()), Default::default())
        .await
        .expect("taken");
    assert_eq!(result(&handle).await, ["by token"]);

    let handle = bed.start(Runs::run, wanted("entrusts")).await;
    eventually("it runs", async || {
        !tokens.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    })
    .await;
    let id = pending(&handle).await.expect("described")[0].activity_id.clone();
    let workflow = handle.info().workflow_id.clone();
    let identifier = ActivityIdentifier::by_id_workflow(workflow, "", id);
    let activity = bed.client.get_async_activity_handle(identifier);
    activity
        .complete(Some("by id".to_owned()), Default::default())
        .await
        .expect("taken");
    assert_eq!(result(&handle).await, ["by id"]);
    // The slot was free all the time: nothing is left to wait for.
    end(worker).await;
}

#[tokio::test]
async fn an_activity_has_a_client() {
    let bed = Bed::new("asks").await;
    let worker = registered(bed.worker()).spawn().expect("started");
    assert_eq!(bed.run(Runs::run, wanted("asks")).await, ["Runs"]);
    end(worker).await;
}
