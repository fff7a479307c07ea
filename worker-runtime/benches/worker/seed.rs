//! The guide's workflow for a comparison of workers: names and payloads of `examples/python`, with an activity that does nothing,
//! and with one that computes.

use std::{process::ExitCode, time::Duration};

use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, SyncWorkflowContext, WorkflowContext, WorkflowContextView, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};

/// No limit is part of the measurement; the Python side has the same.
const LONG: Duration = Duration::from_mins(30);

pub(crate) struct Data;

#[activities]
impl Data {
    /// As in the guide a plain function, on a thread that may block.
    #[activity(name = "process_data_activity")]
    fn process_data(_: ActivityContext, data: String) -> Result<String, ActivityError> {
        Ok(format!("{}-PROCESSED", data.to_uppercase()))
    }

    /// How many primes are below a number, by trial division.
    #[activity(name = "count_primes_activity")]
    fn count_primes(_: ActivityContext, below: u64) -> Result<u64, ActivityError> {
        Ok(primes(below))
    }
}

fn primes(below: u64) -> u64 {
    let mut count = 0;
    for number in 2..below {
        let mut divisor = 2;
        while divisor * divisor <= number && number % divisor != 0 {
            divisor += 1;
        }
        if divisor * divisor > number {
            count += 1;
        }
    }
    count
}

#[workflow]
pub(crate) struct DataProcessingWorkflow {
    input: String,
    current_data: String,
}

#[workflow_methods]
impl DataProcessingWorkflow {
    #[init]
    pub(crate) fn new(_: &WorkflowContextView, input: String) -> Self {
        Self {
            current_data: input.clone(),
            input,
        }
    }

    #[run(name = "DataProcessingWorkflow")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        let input = ctx.state(|state| state.input.clone());
        let options = ActivityOptions::schedule_to_close_timeout(LONG);
        let processed = ctx.execute_activity(Data::process_data, input, options).await?;
        ctx.state_mut(|state| state.current_data.clone_from(&processed));
        Ok(processed)
    }

    #[signal]
    pub(crate) fn update_data(&mut self, _: &mut SyncWorkflowContext<Self>, new_data: String) {
        self.current_data = new_data;
    }

    #[query]
    pub(crate) fn get_current_data(&self, _: &WorkflowContextView) -> String {
        self.current_data.clone()
    }
}

#[workflow]
#[derive(Default)]
pub(crate) struct ComputeWorkflow;

#[workflow_methods]
impl ComputeWorkflow {
    #[run(name = "ComputeWorkflow")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, below: u64) -> WorkflowResult<u64> {
        let options = ActivityOptions::schedule_to_close_timeout(LONG);
        Ok(ctx.execute_activity(Data::count_primes, below, options).await?)
    }
}

/// Holds its text and waits for ever: what a cached workflow costs in memory.
#[workflow]
pub(crate) struct IdleWorkflow {
    text: String,
    done: bool,
}

#[workflow_methods]
impl IdleWorkflow {
    #[init]
    pub(crate) fn new(_: &WorkflowContextView, text: String) -> Self {
        Self { text, done: false }
    }

    #[run(name = "IdleWorkflow")]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        ctx.wait_condition(|state| state.done).await?;
        Ok(ctx.state(|state| state.text.clone()))
    }

    #[signal]
    pub(crate) fn end(&mut self, _: &mut SyncWorkflowContext<Self>) {
        self.done = true;
    }
}

/// Serves until it is told to end.
pub(crate) fn run() -> ExitCode {
    fleet_worker::FleetWorker::from_env()
        .default_queue("bench")
        .workflow::<DataProcessingWorkflow>()
        .workflow::<ComputeWorkflow>()
        .workflow::<IdleWorkflow>()
        .activities(Data)
        .run()
}
