//! Queues, slots and versions on a real server.

use std::time::{Duration, SystemTime};

use fleet_worker::Versioning;
use temporalio_client::{Client, WorkflowHandle, WorkflowSignalOptions};
use temporalio_common::{
    HasWorkflowDefinition, UntypedWorkflow,
    data_converters::RawValue,
    protos::temporal::api::{
        enums::v1::RoutingConfigUpdateState,
        history::v1::history_event::Attributes,
        workflowservice::v1::{DescribeWorkerDeploymentRequest, SetWorkerDeploymentCurrentVersionRequest},
    },
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, SyncWorkflowContext, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};
use tonic::Request;

use crate::{
    bed::{Bed, end, eventually, history, result},
    ending::{Together_, Work},
    temporal::NAMESPACE,
};

struct Heavy;

#[activities]
impl Heavy {
    #[activity(name = "lift")]
    async fn lift(ctx: ActivityContext) -> Result<String, ActivityError> {
        Ok(ctx.info().task_queue.clone())
    }
}

/// Has an activity run on another queue.
#[workflow]
#[derive(Default)]
struct Lifts;

#[workflow_methods]
impl Lifts {
    #[run(name = "Lifts")]
    async fn run(ctx: &mut WorkflowContext<Self>, queue: String) -> WorkflowResult<String> {
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_mins(1))
            .task_queue(queue)
            .build();
        Ok(ctx.execute_activity(Heavy::lift, (), options).await?)
    }
}

#[tokio::test]
async fn one_process_serves_several_queues_each_with_its_own_types() {
    let bed = Bed::new("several").await;
    let queues = r#"[{"name":"several"},{"name":"several-2"},{"name":"several-heavy","types":["Activity"]}]"#;
    let (work, ..) = Work::closed();
    let worker = bed
        .worker_with(&[("TEMPORAL_FLEET_TASK_QUEUES", queues)])
        .workflow::<Lifts>()
        .activities(work)
        .on_queue("several-heavy", |queue| queue.activities(Heavy))
        .spawn()
        .expect("started");
    for queue in ["several", "several-2"] {
        let handle = bed.start_on(queue, Lifts::run, "several-heavy".to_owned()).await;
        assert_eq!(result(&handle).await, "several-heavy");
    }
    end(worker).await;
}

#[tokio::test]
async fn no_more_tasks_run_at_once_than_there_are_slots() {
    let bed = Bed::new("slots").await;
    let (work, gate, running) = Work::closed();
    let worker = bed
        .worker_with(&[("TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES", "3")])
        .workflow::<Together_>()
        .activities(work)
        .spawn()
        .expect("started");
    let handle = bed.start(Together_::run, 12).await;
    eventually("all slots are used", async || running.now() == 3).await;
    gate.add_permits(100);
    assert_eq!(result(&handle).await, 78);
    assert_eq!(running.most(), 3);
    end(worker).await;
}

#[tokio::test]
async fn no_more_tasks_start_in_a_second_than_the_worker_may() {
    let bed = Bed::new("rate").await;
    let worker = bed
        .worker_with(&[
            ("TEMPORAL_FLEET_MAX_ACTIVITIES_PER_SECOND", "1"),
            ("TEMPORAL_FLEET_ACTIVITY_TASK_POLLERS", r#"{"simpleMaximum":1}"#),
        ])
        .workflow::<Together_>()
        .activities(Work::open())
        .spawn()
        .expect("started");
    let handle = bed.start(Together_::run, 6).await;
    assert_eq!(result(&handle).await, 21);
    let mut started: Vec<SystemTime> = history(&handle)
        .await
        .into_iter()
        .filter(|event| {
            matches!(
                event.attributes,
                Some(Attributes::ActivityTaskStartedEventAttributes(_))
            )
        })
        .filter_map(|event| SystemTime::try_from(event.event_time?).ok())
        .collect();
    started.sort();
    assert_eq!(started.len(), 6);
    let took = started[5].duration_since(started[0]).expect("in order");
    // A poll was open before, and the server may be late with its first answer.
    assert!(took >= Duration::from_secs(2), "{took:?}");
    end(worker).await;
}

macro_rules! version {
    ($name:ident, $text:literal) => {
        #[workflow]
        #[derive(Default)]
        struct $name {
            go: bool,
        }

        #[workflow_methods]
        impl $name {
            #[run(name = "Versioned")]
            async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
                ctx.wait_condition(|state| state.go).await?;
                Ok($text.to_owned())
            }

            #[signal(name = "go")]
            fn go(&mut self, _: &mut SyncWorkflowContext<Self>) {
                self.go = true;
            }
        }
    };
}

version!(One, "one");
version!(Two, "two");

async fn make_current(bed: &Bed, deployment: &str, build: &str) {
    eventually("the server knows the version", async || {
        let request = SetWorkerDeploymentCurrentVersionRequest {
            namespace: NAMESPACE.to_owned(),
            deployment_name: deployment.to_owned(),
            build_id: build.to_owned(),
            identity: "test".to_owned(),
            ..Default::default()
        };
        let mut service = bed.client.connection().workflow_service();
        let answer = service
            .set_worker_deployment_current_version(Request::new(request))
            .await;
        answer.inspect_err(|status| println!("{status}")).is_ok()
    })
    .await;
    // The queues hear of it a moment later.
    eventually("the queues know the version", async || {
        let request = DescribeWorkerDeploymentRequest {
            namespace: NAMESPACE.to_owned(),
            deployment_name: deployment.to_owned(),
        };
        let mut service = bed.client.connection().workflow_service();
        let answer = service.describe_worker_deployment(Request::new(request)).await;
        let info = answer
            .ok()
            .and_then(|answer| answer.into_inner().worker_deployment_info);
        info.is_some_and(|info| info.routing_config_update_state() == RoutingConfigUpdateState::Completed)
    })
    .await;
}

async fn go<W: HasWorkflowDefinition>(bed: &Bed, handle: &WorkflowHandle<Client, W>) {
    let handle: WorkflowHandle<Client, UntypedWorkflow> =
        bed.client.get_workflow_handle(handle.info().workflow_id.clone());
    let signal = temporalio_client::UntypedSignal::<UntypedWorkflow>::new("go");
    let (input, options) = (RawValue::new(Vec::new()), WorkflowSignalOptions::default());
    handle.signal(signal, input, options).await.expect("taken");
}

async fn two_versions(name: &str, versioning: Versioning) -> [String; 2] {
    let bed = Bed::new(name).await;
    let version = |build: &'static str| {
        let variables = [("TEMPORAL_DEPLOYMENT_NAME", name), ("TEMPORAL_WORKER_BUILD_ID", build)];
        bed.worker_with(&variables).versioning(versioning)
    };
    let first = version("1").workflow::<One>().spawn().expect("started");
    make_current(&bed, name, "1").await;
    let old = bed.start(One::run, ()).await;
    eventually("the first version has begun it", async || {
        history(&old).await.len() >= 4
    })
    .await;
    let second = version("2").workflow::<Two>().spawn().expect("started");
    make_current(&bed, name, "2").await;
    let new = bed.start(Two::run, ()).await;
    go(&bed, &old).await;
    go(&bed, &new).await;
    let results = [result(&old).await, result(&new).await];
    end(first).await;
    end(second).await;
    results
}

#[tokio::test]
async fn open_runs_stay_on_their_version_and_new_ones_take_the_current_one() {
    assert_eq!(two_versions("pinned", Versioning::Pinned).await, ["one", "two"]);
}

#[tokio::test]
async fn open_runs_move_to_the_current_version_if_the_worker_says_so() {
    assert_eq!(two_versions("moving", Versioning::AutoUpgrade).await, ["two", "two"]);
}
