//! A worker whose payloads, heartbeats and error messages reach the Temporal server encrypted.
//!
//! `ENCRYPTION_KEYS` names a directory with keys of 32 bytes, one per file, such as a mounted Secret; `ENCRYPTION_KEY_ID` the file whose key
//! encrypts. To rotate: add the new key everywhere, then name it, and remove the old one when no open workflow and no history that is
//! still read holds payloads of it.

// The SDK's macro adds constants named after the activities, which only workflows use.
#![allow(dead_code)]

mod codec;

use std::{path::PathBuf, process::ExitCode};

use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

struct Greetings;

#[activities]
impl Greetings {
    #[activity(name = "greet")]
    #[expect(clippy::unused_async, reason = "greets at once")]
    async fn greet(_: ActivityContext, name: String) -> Result<String, ActivityError> {
        Ok(format!("Hello, {name}"))
    }
}

fn main() -> ExitCode {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let directory = PathBuf::from(variable("ENCRYPTION_KEYS"));
    let encryption = match codec::Encryption::from_directory(&variable("ENCRYPTION_KEY_ID"), &directory) {
        Ok(encryption) => encryption,
        Err(error) => {
            eprintln!("encryption: {error}");
            return ExitCode::FAILURE;
        }
    };
    fleet_worker::FleetWorker::from_env()
        .default_queue("greetings")
        .activities(Greetings)
        .codec(encryption)
        .encode_failures()
        .run()
}
