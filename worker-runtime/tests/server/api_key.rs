//! API keys, with a proxy that insists on them: they are demanded, replaced and revoked while tasks run.

use fleet_worker::FleetWorker;

use crate::{
    activities::{Runs, Wanted, wanted},
    bed::{self, Bed, attempts, end, eventually, get, not_ready, ready, result},
    ending::{Together_, Work},
    proxy::Proxy,
    temporal::{self, Directory},
    tls::{Authority, NAME, show, write},
};

/// A worker behind a proxy that wants API keys, with its key in a file.
struct Keyed {
    files: Directory,
    proxy: Proxy,
    ca: String,
}

impl Keyed {
    async fn start(name: &str) -> Self {
        let files = Directory::new(&format!("{name}-files"));
        let servers = Authority::new();
        let ca = show(&write(&files, "ca.crt", &servers.pem));
        let proxy = Proxy::start(temporal::shared().await, &servers.issue(2100)).await;
        let keyed = Self { files, proxy, ca };
        keyed.key("first");
        keyed
    }

    /// From now on this key is in the file.
    fn key(&self, key: &str) {
        write(&self.files, "key", &format!("{key}\n"));
    }

    fn worker(&self, queue: &str) -> FleetWorker {
        let (address, path) = (self.proxy.address(), show(&self.files.join("key")));
        bed::worker(&[
            ("TEMPORAL_ADDRESS", address.as_str()),
            ("TEMPORAL_TASK_QUEUE", queue),
            ("TEMPORAL_TLS_SERVER_NAME", NAME),
            ("TEMPORAL_TLS_SERVER_CA_CERT_PATH", self.ca.as_str()),
            ("TEMPORAL_FLEET_API_KEY_FILE", path.as_str()),
        ])
    }
}

#[tokio::test]
async fn a_result_that_is_refused_with_a_revoked_key_costs_an_attempt_and_not_the_activity() {
    let keyed = Keyed::start("revoked").await;
    keyed.proxy.accept("first");
    let (work, gate, running) = Work::closed();
    let worker = keyed.worker("revoked").workflow::<Runs>().activities(work);
    let worker = worker.spawn().expect("started");
    ready(&worker).await;
    let bed = Bed::new("revoked").await;
    let soon = Wanted {
        milliseconds: Some(15_000),
        ..wanted("attempt")
    };
    let handle = bed.start(Runs::run, soon).await;
    eventually("it runs", async || running.now() == 1).await;
    keyed.proxy.revoke("first");
    gate.add_permits(100);
    let metrics = worker.ports().metrics;
    eventually("its result is refused", async || {
        let page = get(metrics, "/metrics").await.1;
        page.lines()
            .any(|line| line.contains("request_failure") && line.contains("RespondActivityTaskCompleted"))
    })
    .await;
    assert_eq!(
        get(worker.ports().health, "/livez").await.0,
        200,
        "a restart would not help"
    );
    keyed.proxy.accept("second");
    keyed.key("second");
    // Temporal gives the activity up after its time, and hands it out again.
    assert_eq!(result(&handle).await, ["attempt 2"]);
    end(worker).await;
}

#[tokio::test]
#[ignore = "takes more than a minute: `make test-worker-long`"]
async fn a_key_that_is_revoked_for_longer_than_the_sdk_is_patient_needs_no_restart() {
    let keyed = Keyed::start("revoked-long").await;
    keyed.proxy.accept("first");
    let worker = keyed.worker("revoked-long").workflow::<Together_>();
    let worker = worker.activities(Work::open()).spawn().expect("started");
    ready(&worker).await;
    keyed.proxy.revoke("first");
    let metrics = worker.ports().metrics;
    // The SDK ends its polls after a minute of refusals.
    eventually("SDK Workers are made anew", async || {
        let page = get(metrics, "/metrics").await.1;
        let name = "temporal_fleet_runtime_rebuilds_total{reason=\"failed\"} ";
        page.lines()
            .any(|line| line.strip_prefix(name).is_some_and(|count| count != "0"))
    })
    .await;
    assert_eq!(get(worker.ports().health, "/livez").await.0, 200);
    keyed.proxy.accept("second");
    keyed.key("second");
    let bed = Bed::new("revoked-long").await;
    assert_eq!(bed.run(Together_::run, 2).await, 3);
    end(worker).await;
}

#[tokio::test]
async fn an_api_key_is_demanded_replaced_and_revoked_while_tasks_run() {
    let keyed = Keyed::start("key").await;
    let proxy = &keyed.proxy;
    let (work, gate, running) = Work::closed();
    let worker = keyed.worker("key").workflow::<Together_>().activities(work);
    let worker = worker.spawn().expect("started");
    // Nobody knows the key yet.
    not_ready(&worker, &["unauthorized"]).await;
    proxy.accept("first");
    ready(&worker).await;

    let bed = Bed::new("key").await;
    let first = bed.start(Together_::run, 5).await;
    eventually("five activities run", async || running.now() == 5).await;
    // The new key is there before the old one goes.
    proxy.accept("second");
    keyed.key("second");
    eventually("the new key is used", async || proxy.calls("second") > 0).await;
    proxy.revoke("first");
    gate.add_permits(5);
    assert_eq!(result(&first).await, 15);
    assert_eq!(attempts(&first).await, [1; 5], "nothing was lost");

    // The old key goes before the new one is there: the worker waits for it.
    proxy.revoke("second");
    let refused = proxy.refused();
    let second = bed.start(Together_::run, 2).await;
    eventually("it is refused", async || proxy.refused() > refused).await;
    assert_eq!(
        get(worker.ports().health, "/livez").await.0,
        200,
        "a restart would not help"
    );
    proxy.accept("third");
    keyed.key("third");
    gate.add_permits(100);
    assert_eq!(result(&second).await, 3);
    end(worker).await;
}
