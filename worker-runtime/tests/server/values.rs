//! The table of `docs/worker/data.md`: each kind of value through a real server and back, and how it is written there.

use std::{collections::BTreeSet, time::Duration};

use fleet_worker::ProtoJson;
use prost::Name;
use serde::{Deserialize, Serialize};
use temporalio_common::{
    HasWorkflowDefinition,
    protos::temporal::api::{common::v1::Payload, history::v1::history_event::Attributes},
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ApplicationFailure, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};

use crate::bed::{Bed, end, events, result};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    number: String,
    lines: Vec<u32>,
    note: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Colour {
    Red,
    Green,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub(crate) enum Level {
    Low = 1,
    High = 3,
}

impl From<Level> for u8 {
    fn from(level: Level) -> Self {
        level as Self
    }
}

impl TryFrom<u8> for Level {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        match number {
            1 => Ok(Self::Low),
            3 => Ok(Self::High),
            _ => Err(format!("{number} is no level")),
        }
    }
}

/// A message that other languages have generated code for, with its canonical JSON.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct WorkflowExecution {
    #[prost(string, tag = "1")]
    workflow_id: String,
    #[prost(string, tag = "2")]
    run_id: String,
}

impl Name for WorkflowExecution {
    const NAME: &'static str = "WorkflowExecution";
    const PACKAGE: &'static str = "temporal.api.common.v1";
}

/// One row for each kind of value: an activity that takes it, checks it and gives it back, and a workflow that asks for that.
macro_rules! table {
    ($($name:ident: $type:ty = $value:expr, $encoding:literal;)*) => {
        pub(crate) struct Echoes;

        #[activities]
        impl Echoes {
            $(
                #[activity(name = concat!("echo_", stringify!($name)))]
                pub(crate) async fn $name(_: ActivityContext, value: $type) -> Result<$type, ActivityError> {
                    let expected: $type = $value;
                    if value != expected {
                        return Err(ApplicationFailure::non_retryable(anyhow::anyhow!("{value:?}, not {expected:?}")).into());
                    }
                    Ok(value)
                }
            )*

            /// Nothing is no argument at all.
            #[activity(name = "echo_nothing")]
            pub(crate) async fn nothing(_: ActivityContext) -> Result<(), ActivityError> {
                Ok(())
            }

            #[activity(name = "echo_several")]
            pub(crate) async fn several(
                _: ActivityContext,
                text: String,
                number: u32,
                bytes: Vec<u8>,
            ) -> Result<String, ActivityError> {
                Ok(format!("{text} {number} {bytes:?}"))
            }
        }

        /// What the table says of each row's encoding.
        const ENCODINGS: &[(&str, &str)] = &[$((concat!("echo_", stringify!($name)), $encoding)),*];

        #[workflow]
        #[derive(Default)]
        pub(crate) struct Values;

        #[workflow_methods]
        impl Values {
            /// Says which values did not come back as they were.
            #[run(name = "Values")]
            pub(crate) async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Vec<String>> {
                let options = ActivityOptions::start_to_close_timeout(Duration::from_mins(1));
                let mut wrong = Vec::new();
                $(
                    let value: $type = $value;
                    let back = ctx.execute_activity(Echoes::$name, value.clone(), options.clone()).await?;
                    if back != value {
                        wrong.push(format!("{}: {back:?}, not {value:?}", stringify!($name)));
                    }
                )*
                ctx.execute_activity(Echoes::nothing, (), options.clone()).await?;
                let arguments = ("a".to_owned(), 2_u32, vec![3_u8, 255]);
                let several = ctx.execute_activity(Echoes::several, arguments, options).await?;
                if several != "a 2 [3, 255]" {
                    wrong.push(several);
                }
                Ok(wrong)
            }
        }
    };
}

table! {
    absent: Option<String> = None, "binary/null";
    present: Option<String> = Some("x".to_owned()), "json/plain";
    bytes: Vec<u8> = vec![0, 255, 10], "binary/plain";
    text: String = "gr\u{fc}\u{df}e \u{1f980}".to_owned(), "json/plain";
    truth: bool = true, "json/plain";
    number: i64 = -9_007_199_254_740_993, "json/plain";
    fraction: f64 = 0.5, "json/plain";
    list: Vec<u32> = vec![1, 2, 3], "json/plain";
    set: BTreeSet<String> = BTreeSet::from(["a".to_owned(), "b".to_owned()]), "json/plain";
    pair: (String, u8) = ("a".to_owned(), 1), "json/plain";
    record: Order = Order { number: "7".to_owned(), lines: vec![1, 2], note: None }, "json/plain";
    colour: Colour = Colour::Green, "json/plain";
    level: Level = Level::High, "json/plain";
    unique: String = "5e8c1b7e-5b8f-4b0e-9a51-0f4b0c5b7a11".to_owned(), "json/plain";
    moment: jiff::Timestamp = "2026-01-02T12:00:00Z".parse::<jiff::Timestamp>().expect("a time"), "json/plain";
    message: ProtoJson<WorkflowExecution> = ProtoJson(WorkflowExecution { workflow_id: "w".to_owned(), run_id: "r".to_owned() }), "json/protobuf";
}

fn encoding(payload: Option<&Payload>) -> String {
    let encoding = payload.and_then(|payload| payload.metadata.get("encoding"));
    encoding.map_or_else(String::new, |name| String::from_utf8_lossy(name).into_owned())
}

/// Checks how inputs and results of the rows were written in the history of a run of `Values`.
pub(crate) async fn written_as_the_table_says<W: HasWorkflowDefinition>(
    handle: &temporalio_client::WorkflowHandle<temporalio_client::Client, W>,
) {
    let (mut inputs, mut results) = (Vec::new(), Vec::new());
    for event in events(handle).await {
        match event {
            Attributes::ActivityTaskScheduledEventAttributes(scheduled) => {
                let name = scheduled.activity_type.expect("a type").name;
                inputs.push((name, encoding(scheduled.input.unwrap_or_default().payloads.first())));
            }
            Attributes::ActivityTaskCompletedEventAttributes(completed) => {
                results.push(encoding(completed.result.unwrap_or_default().payloads.first()));
            }
            _ => {}
        }
    }
    for (name, expected) in ENCODINGS {
        let index = inputs.iter().position(|(input, _)| input == name).expect("a row");
        assert_eq!(inputs[index].1, *expected, "input of {name}");
        assert_eq!(results[index], *expected, "result of {name}");
    }
}

#[tokio::test]
async fn every_kind_of_value_goes_through_a_server_and_back() {
    let bed = Bed::new("values").await;
    let worker = bed
        .worker()
        .workflow::<Values>()
        .activities(Echoes)
        .spawn()
        .expect("started");
    let handle = bed.start(Values::run, ()).await;
    assert_eq!(result(&handle).await, Vec::<String>::new());
    written_as_the_table_says(&handle).await;
    end(worker).await;
}
