//! The sample worker: the data processing workflow with its three activities, and two workflows to make load with.
//!
//! Serves `my-data-processing-task-queue` unless the environment names other queues. Runs as it is against a development server on
//! this machine, and as the image of the quick start in a fleet. Names and payloads are those of the Python worker it goes back to.
//!
//! Every activity has a start-to-close or heartbeat timeout, so that a worker that is killed shows as a second attempt, and a long
//! schedule-to-close timeout, so that waiting in a backlog fails nothing.

// The SDK's macros want inputs by value (validators by reference to the owned type), and add undocumented constants named after the methods.
#![allow(missing_docs, clippy::needless_pass_by_value, clippy::ptr_arg)]

use std::{
    process::ExitCode,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityCloseTimeouts, ActivityOptions, SyncWorkflowContext, WorkflowContext, WorkflowContextView, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use tokio::runtime::Handle;

/// musl's own allocator costs a worker 1.7 times the CPU.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const STEPS: u32 = 10;
const STEP: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    fleet_worker::FleetWorker::from_env()
        .default_queue("my-data-processing-task-queue")
        .workflow::<DataProcessingWorkflow>()
        .workflow::<LongRunningWorkflow>()
        .workflow::<BurnCpuWorkflow>()
        .activities(DataActivities)
        .run()
}

/// The activities.
pub struct DataActivities;

#[activities]
impl DataActivities {
    /// Blocks a thread for one to three seconds, as work with a slow disk would.
    #[activity(name = "process_data_activity")]
    pub fn process_data(_ctx: ActivityContext, data: String) -> Result<String, ActivityError> {
        #[expect(clippy::disallowed_methods, reason = "a source of chance")]
        let nanos = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.subsec_nanos());
        std::thread::sleep(Duration::from_millis(1_000 + u64::from(nanos / 1_000 % 2_000)));
        Ok(format!("{}-PROCESSED", data.to_uppercase()))
    }

    /// Waits for a second without blocking a thread, as a network call would.
    #[activity(name = "fetch_external_resource")]
    pub async fn fetch_external_resource(_ctx: ActivityContext, url: String) -> Result<String, ActivityError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(format!("Content from {url}"))
    }

    /// Ten steps of two seconds with a heartbeat after each. Ends when cancelled; a retry goes on where the last attempt was.
    #[activity(name = "long_running_activity")]
    pub fn long_running(ctx: ActivityContext, task_id: String) -> Result<String, ActivityError> {
        let done = ctx
            .heartbeat_details()
            .deserialize::<String>()?
            .as_deref()
            .and_then(step)
            .unwrap_or(0);
        for step in done + 1..=STEPS {
            if ctx.is_cancelled() {
                tracing::warn!(
                    task_id,
                    step,
                    ending = fleet_worker::shutdown_token().is_cancelled(),
                    "cancelled"
                );
                return Err(ActivityError::cancelled());
            }
            std::thread::sleep(STEP);
            Handle::current().block_on(ctx.record_heartbeat(format!("Progress: {step}/{STEPS}")))?;
        }
        Ok(format!("Long-running task {task_id} completed."))
    }

    /// Computes until this thread has used so many milliseconds of CPU time. Returns the wall-clock milliseconds it took.
    #[activity(name = "burn_cpu_activity")]
    pub fn burn_cpu(ctx: ActivityContext, cpu_millis: u64) -> Result<u64, ActivityError> {
        let clock = CpuClock::start();
        let began = Instant::now();
        let mut told = began;
        let mut number = cpu_millis;
        while clock.used() < Duration::from_millis(cpu_millis) {
            for _ in 0..200_000 {
                number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
            }
            if told.elapsed() > Duration::from_secs(1) {
                if ctx.is_cancelled() {
                    return Err(ActivityError::cancelled());
                }
                Handle::current().block_on(ctx.record_heartbeat(u64::try_from(clock.used().as_millis())?))?;
                told = Instant::now();
            }
        }
        Ok(u64::try_from(began.elapsed().as_millis())?)
    }
}

/// The step of a heartbeat such as `Progress: 3/10`.
fn step(progress: &str) -> Option<u32> {
    progress.strip_prefix("Progress: ")?.split_once('/')?.0.parse().ok()
}

/// CPU time of the present thread; where the system does not tell it, the time that passes.
struct CpuClock {
    at_start: Option<Duration>,
    began: Instant,
}

impl CpuClock {
    fn start() -> Self {
        Self {
            at_start: Self::read(),
            began: Instant::now(),
        }
    }

    fn used(&self) -> Duration {
        match (self.at_start, Self::read()) {
            (Some(before), Some(now)) => now.saturating_sub(before),
            _ => self.began.elapsed(),
        }
    }

    fn read() -> Option<Duration> {
        let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        let nanos: u64 = schedule.split_ascii_whitespace().next()?.parse().ok()?;
        // A system that does not count reports 0 for ever.
        (nanos > 0).then(|| Duration::from_nanos(nanos))
    }
}

/// One attempt may take `attempt`, heartbeats must not be further apart than `heartbeat`; waiting for a worker may take ten minutes.
fn options(attempt: Duration, heartbeat: Option<Duration>) -> ActivityOptions {
    ActivityOptions::with_close_timeouts(ActivityCloseTimeouts::ScheduleAndStartToClose {
        start_to_close: attempt,
        schedule_to_close: attempt + Duration::from_mins(10),
    })
    .maybe_heartbeat_timeout(heartbeat)
    .build()
}

/// Processes one text; while it runs its data can be read, replaced and extended.
#[workflow]
pub struct DataProcessingWorkflow {
    input: String,
    current_data: String,
}

#[workflow_methods]
impl DataProcessingWorkflow {
    /// Takes the input; `run` reads it from the state.
    #[init]
    pub fn new(_ctx: &WorkflowContextView, input: String) -> Self {
        Self {
            current_data: input.clone(),
            input,
        }
    }

    /// Returns the processed text.
    #[run(name = "DataProcessingWorkflow")]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        let input = ctx.state(|state| state.input.clone());
        let processed = ctx
            .execute_activity(
                DataActivities::process_data,
                input,
                options(Duration::from_secs(30), None),
            )
            .await?;
        ctx.state_mut(|state| state.current_data.clone_from(&processed));
        Ok(processed)
    }

    /// Replaces the data.
    #[signal]
    pub fn update_data(&mut self, _ctx: &mut SyncWorkflowContext<Self>, new_data: String) {
        self.current_data = new_data;
    }

    /// The data as it is.
    #[query]
    pub fn get_current_data(&self, _ctx: &WorkflowContextView) -> String {
        self.current_data.clone()
    }

    /// Appends to the data and returns it.
    #[update]
    pub fn append_to_data(&mut self, _ctx: &mut SyncWorkflowContext<Self>, suffix: String) -> String {
        self.current_data.push_str(&suffix);
        self.current_data.clone()
    }

    /// Rejects an empty suffix before it becomes part of the history.
    #[update_validator(append_to_data)]
    pub fn validate_append(
        &self,
        _ctx: &WorkflowContextView,
        suffix: &String,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if suffix.is_empty() {
            Err("Suffix cannot be empty".into())
        } else {
            Ok(())
        }
    }
}

/// Runs `long_running_activity`.
#[workflow]
#[derive(Default)]
pub struct LongRunningWorkflow;

#[workflow_methods]
impl LongRunningWorkflow {
    /// Returns the text of the activity.
    #[run(name = "LongRunningWorkflow")]
    pub async fn run(ctx: &mut WorkflowContext<Self>, task_id: String) -> WorkflowResult<String> {
        let options = options(Duration::from_mins(5), Some(Duration::from_secs(10)));
        Ok(ctx
            .execute_activity(DataActivities::long_running, task_id, options)
            .await?)
    }
}

/// Runs `burn_cpu_activity`.
#[workflow]
#[derive(Default)]
pub struct BurnCpuWorkflow;

#[workflow_methods]
impl BurnCpuWorkflow {
    /// Returns the wall-clock milliseconds that the activity took.
    #[run(name = "BurnCpuWorkflow")]
    pub async fn run(ctx: &mut WorkflowContext<Self>, cpu_millis: u64) -> WorkflowResult<u64> {
        let options = options(Duration::from_mins(10), Some(Duration::from_secs(30)));
        Ok(ctx
            .execute_activity(DataActivities::burn_cpu, cpu_millis, options)
            .await?)
    }
}
