//! Encryption and limits on a real server.

use std::time::Duration;

use prost::Message as _;
use temporalio_client::{WorkflowQueryOptions, WorkflowSignalOptions};
use temporalio_common::{
    RetryPolicy,
    data_converters::{DataConverter, DefaultFailureConverter, MultiArgs2, PayloadConverter},
    protos::temporal::api::history::v1::history_event::Attributes,
};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, SyncWorkflowContext, WorkflowContext, WorkflowContextView, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};

use crate::{
    bed::{Bed, end, events, eventually, get, history, result},
    codec::Encryption,
    temporal::{self, NAMESPACE},
};

struct Secrets;

#[activities]
impl Secrets {
    /// Fails once, with the secret in its message.
    #[activity(name = "reveal")]
    async fn reveal(ctx: ActivityContext, name: String) -> Result<String, ActivityError> {
        ctx.record_heartbeat(name.clone()).await?;
        if ctx.info().attempt == 1 {
            return Err(anyhow::anyhow!("canary {name}").into());
        }
        Ok(format!("canary {name}"))
    }

    #[activity(name = "big")]
    async fn big(_: ActivityContext, size: usize) -> Result<Vec<u8>, ActivityError> {
        Ok(vec![7; size])
    }

    /// Ends when it is told that nobody waits for it any more.
    #[activity(name = "big_heartbeat")]
    async fn big_heartbeat(ctx: ActivityContext, size: usize) -> Result<Vec<u8>, ActivityError> {
        ctx.record_heartbeat(vec![7_u8; size]).await?;
        ctx.cancelled().await;
        Err(ActivityError::cancelled())
    }

    #[activity(name = "takes")]
    async fn takes(_: ActivityContext, bytes: Vec<u8>) -> Result<usize, ActivityError> {
        Ok(bytes.len())
    }
}

/// Reveals a secret when it is told to.
#[workflow]
#[derive(Default)]
struct Reveals {
    word: Option<String>,
}

#[workflow_methods]
impl Reveals {
    #[run(name = "Reveals")]
    async fn run(ctx: &mut WorkflowContext<Self>, name: String) -> WorkflowResult<String> {
        ctx.wait_condition(|state| state.word.is_some()).await?;
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_mins(1))
            .heartbeat_timeout(Duration::from_mins(1))
            .build();
        let word = ctx.state(|state| state.word.clone()).unwrap_or_default();
        Ok(ctx
            .execute_activity(Secrets::reveal, format!("{name} {word}"), options)
            .await?)
    }

    #[signal(name = "tell")]
    fn tell(&mut self, _: &mut SyncWorkflowContext<Self>, word: String) {
        self.word = Some(word);
    }

    #[query(name = "told")]
    fn told(&self, _: &WorkflowContextView) -> Option<String> {
        self.word.clone()
    }
}

/// Asks for so many bytes, as a result or as a heartbeat, and says what came.
#[workflow]
#[derive(Default)]
struct Big;

#[workflow_methods]
impl Big {
    #[run(name = "Big")]
    async fn run(ctx: &mut WorkflowContext<Self>, wanted: MultiArgs2<bool, usize>) -> WorkflowResult<String> {
        let options = ActivityOptions::with_start_to_close_timeout(Duration::from_secs(20))
            .heartbeat_timeout(Duration::from_secs(20))
            .retry_policy(RetryPolicy::builder().maximum_attempts(1).build())
            .build();
        let MultiArgs2(heartbeat, size) = wanted;
        let came = if heartbeat {
            ctx.execute_activity(Secrets::big_heartbeat, size, options).await
        } else {
            ctx.execute_activity(Secrets::big, size, options).await
        };
        Ok(match came {
            Ok(bytes) => format!("{} bytes", bytes.len()),
            Err(error) => {
                let (mut text, mut error): (String, &dyn std::error::Error) = (error.to_string(), &error);
                while let Some(source) = error.source() {
                    error = source;
                    text = format!("{text}: {error}");
                }
                text
            }
        })
    }
}

/// Gives so many bytes to an activity.
#[workflow]
#[derive(Default)]
struct Gives;

#[workflow_methods]
impl Gives {
    #[run(name = "Gives")]
    async fn run(ctx: &mut WorkflowContext<Self>, size: usize) -> WorkflowResult<usize> {
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(20));
        Ok(ctx.execute_activity(Secrets::takes, vec![7_u8; size], options).await?)
    }
}

fn codec(current: &str, keys: &[(&str, u8)]) -> Encryption {
    let keys = keys.iter().map(|(name, byte)| ((*name).to_owned(), vec![*byte; 32]));
    Encryption::new(current, keys).expect("keys")
}

fn contains(text: &[u8], word: &str) -> bool {
    text.windows(word.len()).any(|part| part == word.as_bytes())
}

#[tokio::test]
async fn the_server_sees_nothing_readable_and_a_wrong_key_fails_the_task_and_not_the_process() {
    let converter = DataConverter::new(
        PayloadConverter::default(),
        DefaultFailureConverter::new(true),
        codec("k", &[("k", 1)]),
    );
    let bed = Bed::with(temporal::shared().await, NAMESPACE, "secrets", converter).await;
    let worker = |codec: Encryption| {
        bed.worker()
            .workflow::<Reveals>()
            .activities(Secrets)
            .codec(codec)
            .encode_failures()
            .spawn()
            .expect("started")
    };
    let mut handles = Vec::new();
    // Another key under the name, and a name that is not known.
    for wrong in [codec("k", &[("k", 2)]), codec("other", &[("other", 1)])] {
        let wrong = worker(wrong);
        let handle = bed.start(Reveals::run, "canary".to_owned()).await;
        eventually("its task fails", async || {
            let failed = |event: &Attributes| matches!(event, Attributes::WorkflowTaskFailedEventAttributes(_));
            events(&handle).await.iter().any(failed)
        })
        .await;
        assert_eq!(get(wrong.ports().health, "/readyz").await.0, 200);
        end(wrong).await;
        handles.push(handle);
    }

    let right = worker(codec("k", &[("k", 1), ("old", 3)]));
    for handle in handles {
        let options = WorkflowSignalOptions::default();
        handle
            .signal(Reveals::tell, "canary".to_owned(), options)
            .await
            .expect("taken");
        let told = handle.query(Reveals::told, (), WorkflowQueryOptions::default()).await;
        assert_eq!(told.expect("an answer").as_deref(), Some("canary"));
        assert_eq!(result(&handle).await, "canary canary canary");
        for event in history(&handle).await {
            assert!(!contains(&event.encode_to_vec(), "canary"), "{event:?}");
        }
    }
    end(right).await;
}

#[tokio::test]
async fn what_an_activity_sends_beyond_the_servers_limits_fails_it_and_harms_no_other() {
    let bed = Bed::new("big").await;
    let worker = bed
        .worker()
        .workflow::<Big>()
        .activities(Secrets)
        .spawn()
        .expect("started");
    assert_eq!(bed.run(Big::run, MultiArgs2(false, 1 << 20)).await, "1048576 bytes");
    // Beyond the limit of a payload, and beyond that of a message.
    for size in [3 << 20, 5 << 20] {
        for heartbeat in [false, true] {
            let said = bed.run(Big::run, MultiArgs2(heartbeat, size)).await;
            println!("{said}");
            assert!(said.starts_with("Activity "), "{said}");
        }
    }
    assert_eq!(bed.run(Big::run, MultiArgs2(false, 1 << 10)).await, "1024 bytes");
    end(worker).await;
}

#[tokio::test]
async fn what_a_workflow_sends_beyond_them_fails_its_task_and_harms_no_other() {
    let bed = Bed::new("big-input").await;
    let worker = bed
        .worker()
        .workflow::<Gives>()
        .activities(Secrets)
        .spawn()
        .expect("started");
    let handle = bed.start(Gives::run, 3 << 20).await;
    eventually("its task fails", async || {
        // An older server ends the whole run, which is not for us to prevent.
        let failed = |event: &Attributes| {
            matches!(
                event,
                Attributes::WorkflowTaskFailedEventAttributes(_)
                    | Attributes::WorkflowExecutionTerminatedEventAttributes(_)
            )
        };
        events(&handle).await.iter().any(failed)
    })
    .await;
    assert_eq!(bed.run(Gives::run, 1 << 20).await, 1 << 20);
    end(worker).await;
}
