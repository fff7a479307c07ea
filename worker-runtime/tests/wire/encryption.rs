//! The codec of the example `encryption`, in a worker: nothing readable leaves it, keys can be rotated, a wrong key fails the task alone.

use std::sync::Arc;

use fleet_worker::{Ended, FleetWorker, WorkerHandle};
use temporalio_common::{
    data_converters::{DataConverter, PayloadCodec, SerializationContextData},
    protos::temporal::api::common::v1::Payload,
};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use crate::{
    codec::Encryption,
    fake::{Frontend, Task},
    support::{eventually, settings},
};

struct Secrets;

#[activities]
impl Secrets {
    #[activity(name = "reveal")]
    async fn reveal(ctx: ActivityContext, name: String) -> Result<String, ActivityError> {
        ctx.record_heartbeat(format!("canary {name}")).await?;
        if name == "fail" {
            return Err(anyhow::anyhow!("canary failure").into());
        }
        Ok(format!("canary {name}"))
    }
}

fn codec(current: &str, keys: &[(&str, u8)]) -> Encryption {
    let keys = keys.iter().map(|(name, byte)| ((*name).to_owned(), vec![*byte; 32]));
    Encryption::new(current, keys).expect("keys")
}

fn encrypt(codec: &Encryption, text: &str) -> Vec<Payload> {
    futures::executor::block_on(async {
        let plain = DataConverter::default();
        let payload = plain
            .to_payload(&SerializationContextData::None, &text.to_owned())
            .await;
        let encrypted = codec.encode(&SerializationContextData::None, vec![payload.expect("JSON")]);
        encrypted.await.expect("encrypted")
    })
}

fn decrypt(codec: &Encryption, payloads: Vec<Payload>) -> String {
    let decrypted = futures::executor::block_on(codec.decode(&SerializationContextData::None, payloads));
    String::from_utf8_lossy(&decrypted.expect("decrypted")[0].data).into_owned()
}

fn spawn(frontend: &Arc<Frontend>, codec: Encryption) -> WorkerHandle {
    frontend.state().completes_polls = true;
    FleetWorker::from_settings(settings(&[]))
        .default_queue("q")
        .activities(Secrets)
        .codec(codec)
        .encode_failures()
        .customise_connection(frontend.customise())
        .spawn()
        .expect("started")
}

fn schedule(frontend: &Frontend, input: Vec<Payload>) {
    frontend.schedule_task(Task {
        activity: "reveal".to_owned(),
        input,
        ..Task::default()
    });
}

#[test]
fn nothing_readable_leaves_the_worker_and_old_keys_are_still_read() {
    let frontend = Arc::new(Frontend::default());
    let keys = [("old", 1), ("new", 2)];
    let worker = spawn(&frontend, codec("new", &keys));
    schedule(&frontend, encrypt(&codec("old", &keys), "gold"));
    eventually("it completes", || frontend.state().completed == 1);
    schedule(&frontend, encrypt(&codec("new", &keys), "fail"));
    eventually("it fails", || frontend.state().failed.len() == 1);
    let state = frontend.state();
    let result = state.results[0].payloads.clone();
    assert_eq!(result[0].metadata["encryption-key-id"], b"new");
    assert_eq!(decrypt(&codec("new", &keys), result), r#""canary gold""#);
    let heartbeat = state.heartbeats[0].payloads.clone();
    assert_eq!(decrypt(&codec("new", &keys), heartbeat), r#""canary gold""#);
    let attributes = state.failed[0].encoded_attributes.clone().expect("encoded");
    assert!(decrypt(&codec("new", &keys), vec![attributes]).contains("canary failure"));
    let sent = format!("{:?} {:?} {:?}", state.results, state.heartbeats, state.failed);
    assert!(!sent.contains("canary"), "{sent}");
    drop(state);
    worker.stop();
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
}

#[test]
fn a_wrong_key_fails_the_task_and_not_the_process() {
    let frontend = Arc::new(Frontend::default());
    let worker = spawn(&frontend, codec("k", &[("k", 1)]));
    schedule(&frontend, encrypt(&codec("k", &[("k", 2)]), "forged"));
    schedule(&frontend, encrypt(&codec("lost", &[("lost", 3)]), "unknown"));
    eventually("both fail", || frontend.state().failed.len() == 2);
    schedule(&frontend, encrypt(&codec("k", &[("k", 1)]), "gold"));
    eventually("others run", || frontend.state().completed == 1);
    worker.stop();
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
}

#[test]
fn keys_of_a_wrong_length_or_without_the_current_one_are_refused() {
    assert!(Encryption::new("k", [("k".to_owned(), vec![0; 16])]).is_err());
    assert!(Encryption::new("k", [("other".to_owned(), vec![0; 32])]).is_err());
}

#[test]
fn a_codec_beside_a_whole_converter_is_refused() {
    let error = FleetWorker::from_settings(settings(&[]))
        .default_queue("q")
        .activities(Secrets)
        .codec(codec("k", &[("k", 1)]))
        .data_converter(DataConverter::default())
        .spawn()
        .expect_err("refused");
    assert!(error.to_string().contains("data_converter"), "{error}");
}
