//! Temporal goes away and comes back: workers wait for it, and nothing that they did is lost.

use std::{sync::Arc, time::Duration};

use fleet_worker::FleetWorker;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};

use crate::{
    bed::{Bed, attempts, end, eventually, get, not_ready, ready, result},
    ending::{Together_, Work},
    temporal::{self, Directory, NAMESPACE, Server},
};

/// A timer, then an activity.
#[workflow]
#[derive(Default)]
struct Later;

#[workflow_methods]
impl Later {
    #[run(name = "Later")]
    async fn run(ctx: &mut WorkflowContext<Self>, number: u32) -> WorkflowResult<u32> {
        ctx.timer(Duration::from_secs(3)).await;
        let options = ActivityOptions::start_to_close_timeout(Duration::from_mins(5));
        Ok(ctx.execute_activity(Work::work, number, options).await?)
    }
}

fn registered(worker: FleetWorker, work: Work) -> FleetWorker {
    worker.workflow::<Together_>().workflow::<Later>().activities(work)
}

/// Kills the server while tasks run and starts it again after so long. Nothing is lost, and nothing runs twice.
async fn away_for(name: &str, time: Duration) {
    let server = Server::start(name, None).await;
    let bed = Bed::on(&server, NAMESPACE, name).await;
    let (work, gate, running) = Work::closed();
    let worker = registered(bed.worker(), work).spawn().expect("started");
    ready(&worker).await;
    let handles = [
        bed.start(Together_::run, 4).await,
        bed.start(Together_::run, 4).await,
        bed.start(Together_::run, 4).await,
    ];
    let later = bed.start(Later::run, 8).await;
    eventually("all activities run", async || running.now() >= 12).await;

    server.kill();
    gate.add_permits(100);
    eventually("they end while nobody can be told", async || running.now() == 0).await;
    tokio::time::sleep(time).await;
    let health = worker.ports().health;
    assert_eq!(
        get(health, "/readyz").await.0,
        200,
        "a busy pod must not be the first victim"
    );
    assert_eq!(get(health, "/livez").await.0, 200, "a restart would lose the results");

    server.up().await;
    for handle in &handles {
        assert_eq!(result(handle).await, 10);
        assert_eq!(attempts(handle).await, [1; 4], "the results were kept");
    }
    assert_eq!(result(&later).await, 8);
    assert_eq!(bed.run(Together_::run, 2).await, 3);
    end(worker).await;
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_costs_no_task() {
    // The SDK by itself would give a result up after 10 s.
    away_for("outage", Duration::from_secs(15)).await;
}

#[tokio::test]
#[ignore = "takes more than ten minutes: `make test-worker-long`"]
async fn nor_does_one_that_is_away_for_ten_minutes() {
    away_for("long-outage", Duration::from_mins(10)).await;
}

#[tokio::test]
async fn a_worker_waits_for_a_server_that_is_not_there_yet() {
    let server = Arc::new(Server::down("late", None));
    let address = server.address();
    // A bed would connect.
    let variables = [("TEMPORAL_ADDRESS", address.as_str()), ("TEMPORAL_TASK_QUEUE", "late")];
    let worker = registered(crate::bed::worker(&variables), Work::open())
        .spawn()
        .expect("started");
    not_ready(&worker, &["cannot connect to", &address, "refused"]).await;
    assert_eq!(get(worker.ports().health, "/livez").await.0, 200);
    server.up().await;
    ready(&worker).await;
    let bed = Bed::on(&server, NAMESPACE, "late").await;
    assert_eq!(bed.run(Together_::run, 2).await, 3);
    end(worker).await;
}

#[tokio::test]
async fn a_worker_is_led_to_its_server_by_a_profile() {
    let bed = Bed::new("profile").await;
    let directory = Directory::new("profile");
    let path = directory.join("temporal.toml");
    let address = temporal::shared().await.address();
    let file = format!("[profile.here]\naddress = {address:?}\nnamespace = {NAMESPACE:?}\n");
    std::fs::write(&path, file).expect("written");
    let path = path.display().to_string();
    let worker = registered(
        crate::bed::worker(&[
            ("TEMPORAL_CONFIG_FILE", path.as_str()),
            ("TEMPORAL_PROFILE", "here"),
            ("TEMPORAL_TASK_QUEUE", "profile"),
        ]),
        Work::open(),
    );
    let worker = worker.spawn().expect("started");
    assert_eq!(bed.run(Together_::run, 2).await, 3);
    end(worker).await;
}

#[tokio::test]
async fn a_temporal_namespace_that_does_not_exist_is_named() {
    let bed = Bed::new("nowhere").await;
    let worker = registered(bed.worker_with(&[("TEMPORAL_NAMESPACE", "nowhere")]), Work::open());
    let worker = worker.spawn().expect("started");
    not_ready(&worker, &["Temporal namespace \"nowhere\" does not exist"]).await;
    end(worker).await;
}
