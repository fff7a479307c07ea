//! What the tests of running workers share: settings, activities, and ways to look at the pod from outside.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::TcpStream,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use fleet_worker::{FleetWorker, Settings, WorkerHandle, settings::Ports};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio::sync::Semaphore;

use crate::fake::Frontend;

/// Lets `waits` activities end, one per permit.
pub(crate) static GO_ON: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(0));

pub(crate) struct Activities;

#[activities]
impl Activities {
    /// Ends when the test lets it.
    #[activity(name = "waits")]
    async fn waits(_: ActivityContext) -> Result<(), ActivityError> {
        GO_ON.acquire().await?.forget();
        Ok(())
    }

    /// Ends at once.
    #[activity(name = "quick")]
    async fn quick(_: ActivityContext) -> Result<(), ActivityError> {
        Ok(())
    }

    /// Ends when cancelled.
    #[activity(name = "until_cancelled")]
    async fn until_cancelled(ctx: ActivityContext) -> Result<(), ActivityError> {
        ctx.cancelled().await;
        Err(ActivityError::cancelled())
    }

    /// Never ends, whatever happens.
    #[activity(name = "stubborn")]
    fn stubborn(_: ActivityContext) -> Result<(), ActivityError> {
        println!("STUBBORN");
        loop {
            std::thread::park();
        }
    }
}

/// Settings with free ports and short times.
pub(crate) fn settings(variables: &[(&str, &str)]) -> Settings {
    let variables: HashMap<String, String> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut settings = Settings::from_variables(&variables).expect("valid settings");
    settings.ports = Ports {
        metrics: 0,
        control: 0,
        health: 0,
    };
    settings.graceful_shutdown = Duration::from_secs(20);
    settings.credential_poll = Duration::from_millis(50);
    settings
}

/// A worker with the activities of the tests on queue "q".
pub(crate) fn spawn(frontend: &Arc<Frontend>, settings: Settings) -> WorkerHandle {
    FleetWorker::from_settings(settings)
        .default_queue("q")
        .activities(Activities)
        .customise_connection(frontend.customise())
        .spawn()
        .expect("started")
}

/// Waits until something holds; fails the test after ten seconds.
pub(crate) fn eventually(what: &str, holds: impl FnMut() -> bool) {
    within(Duration::from_secs(10), what, holds);
}

/// Waits until something holds; fails the test after so long.
pub(crate) fn within(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < patience, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A whole number on the metrics page, by the name of its series without the prefix of the runtime; 0 if it is not there.
pub(crate) fn value(worker: &WorkerHandle, series: &str) -> u64 {
    let page = get(worker.ports().metrics, "/metrics").1;
    let value = |line: &str| {
        let line = line.strip_prefix("temporal_fleet_runtime_")?;
        line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned)
    };
    let value = page.lines().find_map(value);
    value.map_or(0, |value| value.parse().expect("a whole number"))
}

/// Status and body of a GET request to this machine.
pub(crate) fn get(port: u16, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the port is open");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned();
    (status, body)
}
