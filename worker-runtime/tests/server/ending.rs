//! The end of a worker while tasks run: none is lost, none runs twice that could have finished.

use std::{sync::Arc, time::Duration};

use fleet_worker::{Ended, FleetWorker};
use temporalio_common::protos::temporal::api::failure::v1::failure::FailureInfo;
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
    workflows::join_all,
};
use tokio::sync::Semaphore;

use crate::{
    bed::{Bed, Together, attempts, end, ended, eventually, get, last_failure, ready, result},
    process::Process,
    temporal::{self, KEEPS_POLLS, NAMESPACE},
};

/// Activities that end when the test lets them.
pub(crate) struct Work {
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) running: Together,
}

impl Work {
    /// The gate is open.
    pub(crate) fn open() -> Self {
        Self {
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            running: Together::default(),
        }
    }

    /// The gate, and how many wait at it.
    pub(crate) fn closed() -> (Self, Arc<Semaphore>, Together) {
        let (gate, running) = (Arc::new(Semaphore::new(0)), Together::default());
        let work = Self {
            gate: Arc::clone(&gate),
            running: running.clone(),
        };
        (work, gate, running)
    }
}

#[activities]
impl Work {
    #[activity(name = "work")]
    pub(crate) async fn work(self: Arc<Self>, _: ActivityContext, number: u32) -> Result<u32, ActivityError> {
        self.running.enter();
        let passed = self.gate.acquire().await?;
        self.running.leave();
        drop(passed);
        Ok(number)
    }

    /// The same without a number; tells which attempt it was.
    #[activity(name = "attempt")]
    pub(crate) async fn attempt(self: Arc<Self>, ctx: ActivityContext) -> Result<String, ActivityError> {
        self.running.enter();
        let passed = self.gate.acquire().await?;
        self.running.leave();
        drop(passed);
        Ok(format!("attempt {}", ctx.info().attempt))
    }

    /// Blocks its thread for a moment.
    #[activity(name = "step")]
    pub(crate) fn step(_: ActivityContext, number: u32) -> Result<u32, ActivityError> {
        std::thread::sleep(Duration::from_millis(20));
        println!("\nSTEP");
        Ok(number)
    }

    /// Needs longer than the worker lives. Its next attempt goes on where it was.
    #[activity(name = "saves")]
    pub(crate) async fn saves(ctx: ActivityContext) -> Result<String, ActivityError> {
        if let Some(saved) = ctx.heartbeat_details().deserialize::<u32>()? {
            return Ok(format!("goes on at {saved}"));
        }
        ctx.record_heartbeat(7_u32).await?;
        println!("\nSTARTED");
        fleet_worker::shutdown_token().cancelled().await;
        println!("\nTOLD cancelled={}", ctx.is_cancelled());
        ctx.cancelled().await;
        println!("\nCANCELLED");
        Err(ActivityError::cancelled())
    }
}

/// Runs so many activities at the same time and adds their results.
#[workflow]
#[derive(Default)]
pub(crate) struct Together_;

#[workflow_methods]
impl Together_ {
    #[run(name = "Together")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, count: u32) -> WorkflowResult<u32> {
        // Longer than any outage of the tests.
        let options = ActivityOptions::start_to_close_timeout(Duration::from_hours(1));
        let all = (1..=count).map(|number| ctx.execute_activity(Work::work, number, options.clone()));
        let mut sum = 0;
        for number in join_all(all).await {
            sum += number?;
        }
        Ok(sum)
    }
}

/// Runs so many activities one after the other.
#[workflow]
#[derive(Default)]
pub(crate) struct Steps;

#[workflow_methods]
impl Steps {
    #[run(name = "Steps")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, count: u32) -> WorkflowResult<u32> {
        let options = ActivityOptions::start_to_close_timeout(Duration::from_mins(5));
        let mut sum = 0;
        for number in 1..=count {
            sum += ctx.execute_activity(Work::step, number, options.clone()).await?;
        }
        Ok(sum)
    }
}

#[workflow]
#[derive(Default)]
pub(crate) struct Saves;

#[workflow_methods]
impl Saves {
    #[run(name = "Saves")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        let options = ActivityOptions::start_to_close_timeout(Duration::from_mins(5));
        Ok(ctx.execute_activity(Work::saves, (), options).await?)
    }
}

/// What the processes of these tests register.
pub(crate) fn registered(worker: FleetWorker) -> FleetWorker {
    with(worker, Work::open())
}

fn with(worker: FleetWorker, work: Work) -> FleetWorker {
    worker
        .workflow::<Together_>()
        .workflow::<Steps>()
        .workflow::<Saves>()
        .activities(work)
}

/// Stops a worker while its activities run. What is running ends; what comes then is for the next worker; nothing runs twice.
async fn stopped_while_tasks_run(namespace: &'static str) {
    let bed = Bed::on(temporal::shared().await, namespace, &format!("stop-{namespace}")).await;
    let (work, gate, running) = Work::closed();
    let worker = with(bed.worker(), work).spawn().expect("started");
    ready(&worker).await;
    let mut handles = vec![bed.start(Together_::run, 5).await];
    eventually("five activities run", async || running.now() == 5).await;

    worker.stop();
    let health = worker.ports().health;
    eventually("it says that it takes no new task", async || {
        let (status, reason) = get(health, "/readyz").await;
        status == 503 && reason.contains("draining")
    })
    .await;
    for _ in 0..3 {
        handles.push(bed.start(Together_::run, 2).await);
    }
    gate.add_permits(100);
    assert_eq!(ended(worker).await, Ended::Clean);

    let next = registered(bed.worker()).spawn().expect("started");
    assert_eq!(result(&handles[0]).await, 15);
    assert_eq!(attempts(&handles[0]).await, [1; 5]);
    for handle in &handles[1..] {
        assert_eq!(result(handle).await, 3);
        assert_eq!(attempts(handle).await, [1; 2]);
    }
    end(next).await;
}

#[tokio::test]
async fn a_worker_that_is_stopped_finishes_what_runs() {
    stopped_while_tasks_run(NAMESPACE).await;
}

#[tokio::test]
async fn so_it_does_on_a_server_that_keeps_its_polls_open() {
    stopped_while_tasks_run(KEEPS_POLLS).await;
}

/// Sends SIGTERM to a process that is in the middle of many short tasks.
async fn terminated_under_load(namespace: &'static str) {
    let bed = Bed::on(temporal::shared().await, namespace, &format!("sigterm-{namespace}")).await;
    let mut process = Process::start("ending", &bed, &[]);
    let mut handles = Vec::new();
    for _ in 0..10 {
        handles.push(bed.start(Steps::run, 20).await);
    }
    process.said("STEP", 50).await;
    process.terminate();
    assert_eq!(process.code().await, Some(0));
    assert!(process.lines("STEP") < 200, "it ended after its work");

    let next = registered(bed.worker()).spawn().expect("started");
    for handle in &handles {
        assert_eq!(result(handle).await, 210);
        assert_eq!(attempts(handle).await, [1; 20], "nothing was lost or ran twice");
    }
    end(next).await;
}

#[tokio::test]
async fn sigterm_under_load_costs_no_task() {
    terminated_under_load(NAMESPACE).await;
}

#[tokio::test]
async fn nor_does_it_on_a_server_that_keeps_its_polls_open() {
    terminated_under_load(KEEPS_POLLS).await;
}

#[tokio::test]
async fn what_outlives_the_grace_period_is_told_first_then_cancelled_and_goes_on_elsewhere() {
    let bed = Bed::new("grace").await;
    let mut process = Process::start("ending", &bed, &[("TEMPORAL_FLEET_GRACEFUL_SHUTDOWN_SECONDS", "1")]);
    let handle = bed.start(Saves::run, ()).await;
    process.said("STARTED", 1).await;
    process.terminate();
    assert_eq!(process.code().await, Some(0));
    assert_eq!(process.lines("TOLD cancelled=false"), 1);
    assert_eq!(process.lines("CANCELLED"), 1);

    let next = registered(bed.worker()).spawn().expect("started");
    assert_eq!(result(&handle).await, "goes on at 7");
    assert_eq!(attempts(&handle).await, [2]);
    let failure = last_failure(&handle).await;
    let Some(FailureInfo::ApplicationFailureInfo(info)) = failure.failure_info else {
        panic!("{failure:?}");
    };
    assert_eq!(info.r#type, "WorkerShutdown");
    assert!(!info.non_retryable);
    end(next).await;
}
