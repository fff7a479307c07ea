//! Names that only the running worker knows: one handler for several types, and types that nobody knows.

use fleet_worker::{Dynamic, DynamicWorkflow};
use temporalio_client::{Client, WorkflowHandle, WorkflowQueryOptions, WorkflowSignalOptions};
use temporalio_common::{
    UntypedWorkflow,
    data_converters::{PayloadConverter, RawValue},
    protos::temporal::api::history::v1::history_event::Attributes,
};
use temporalio_sdk::{WorkflowContext, WorkflowResult, activities::ActivityContext};

use crate::{
    bed::{Bed, end, eventually, history, result},
    workflows::{Echo, Fails, activity, registered},
};

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

pub(crate) fn raw(text: &str) -> RawValue {
    RawValue::from_value(&text.to_owned(), &PayloadConverter::default())
}

pub(crate) fn text(value: RawValue) -> String {
    value.to_value(&PayloadConverter::default())
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
