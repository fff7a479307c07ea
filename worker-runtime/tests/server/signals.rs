//! SIGTERM at bad moments: before there is a connection, twice, while Temporal is away, and with an activity that ignores all of it.

use fleet_worker::FleetWorker;
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use crate::{
    activities::{Runs, Wanted, wanted},
    bed::{Bed, attempts, end, result},
    process::Process,
    temporal::{NAMESPACE, Server},
};

/// The processes say what they do, whatever filter the machine has set.
const LOG: (&str, &str) = ("RUST_LOG", "info");

/// One second for running tasks; what comes after it takes three more in the case "hurried".
const ONE_SECOND: (&str, &str) = ("TEMPORAL_FLEET_GRACEFUL_SHUTDOWN_SECONDS", "1");

/// Activities of processes that are told to end. A later attempt ends at once.
struct Last;

#[activities]
impl Last {
    /// Ends when its process is told to.
    #[activity(name = "told")]
    async fn told(ctx: ActivityContext) -> Result<String, ActivityError> {
        if ctx.info().attempt == 1 {
            println!("\nSTARTED");
            fleet_worker::shutdown_token().cancelled().await;
            println!("\nFINISHED");
        }
        Ok(format!("attempt {}", ctx.info().attempt))
    }

    /// Ends when it is cancelled after its process was told to end, and finishes its work nevertheless.
    #[activity(name = "takes_its_time")]
    async fn takes_its_time(ctx: ActivityContext) -> Result<String, ActivityError> {
        if ctx.info().attempt == 1 {
            println!("\nSTARTED");
            fleet_worker::shutdown_token().cancelled().await;
            println!("\nTOLD");
            ctx.cancelled().await;
        }
        Ok(format!("attempt {}", ctx.info().attempt))
    }

    /// Never ends.
    #[activity(name = "stubborn")]
    fn stubborn(ctx: ActivityContext) -> Result<String, ActivityError> {
        if ctx.info().attempt == 1 {
            println!("\nSTARTED");
            loop {
                std::thread::park();
            }
        }
        Ok(format!("attempt {}", ctx.info().attempt))
    }
}

/// What the processes of these tests register.
pub(crate) fn registered(worker: FleetWorker) -> FleetWorker {
    worker.workflow::<Runs>().activities(Last)
}

/// An activity whose attempts the server gives up after so many seconds.
fn within(name: &str, seconds: u64) -> Wanted {
    Wanted {
        milliseconds: Some(seconds * 1_000),
        heartbeat: Some(seconds),
        ..wanted(name)
    }
}

#[tokio::test]
async fn sigterm_before_there_is_a_connection_ends_the_process_at_once() {
    let bed = Bed::new("sigterm-early").await;
    let nobody = Server::down("nobody", None);
    let address = nobody.address();
    let mut process = Process::start("signals", &bed, &[("TEMPORAL_ADDRESS", address.as_str()), LOG]);
    process.said("not connected", 1).await;
    process.terminate();
    assert_eq!(process.code().await, Some(0), "there was nothing to finish");
}

#[tokio::test]
async fn a_second_sigterm_takes_no_time_from_what_runs() {
    let bed = Bed::new("sigterm-twice").await;
    let grace = ("TEMPORAL_FLEET_GRACEFUL_SHUTDOWN_SECONDS", "5");
    let mut process = Process::start("signals", &bed, &[grace, LOG]);
    let handle = bed.start(Runs::run, wanted("takes_its_time")).await;
    process.said("STARTED", 1).await;
    process.terminate();
    process.said("TOLD", 1).await;
    process.terminate();
    process.said("signal received", 2).await;
    assert_eq!(process.code().await, Some(0));

    let next = registered(bed.worker()).spawn().expect("started");
    assert_eq!(result(&handle).await, ["attempt 1"]);
    end(next).await;
}

#[tokio::test]
async fn sigterm_while_temporal_is_away_keeps_results_until_it_is_back() {
    let server = Server::start("sigterm-outage", None).await;
    let bed = Bed::on(&server, NAMESPACE, "sigterm-outage").await;
    let mut process = Process::start("signals", &bed, &[LOG]);
    let handle = bed.start(Runs::run, within("told", 3_600)).await;
    process.said("STARTED", 1).await;
    server.kill();
    process.terminate();
    process.said("FINISHED", 1).await;
    server.up().await;
    assert_eq!(process.code().await, Some(0));

    let next = registered(bed.worker()).spawn().expect("started");
    assert_eq!(result(&handle).await, ["attempt 1"]);
    assert_eq!(attempts(&handle).await, [1]);
    end(next).await;
}

#[tokio::test]
async fn a_process_does_not_wait_for_ever_for_a_temporal_that_is_away() {
    let server = Server::start("sigterm-alone", None).await;
    let bed = Bed::on(&server, NAMESPACE, "sigterm-alone").await;
    let mut process = Process::start("hurried", &bed, &[ONE_SECOND, LOG]);
    let handle = bed.start(Runs::run, within("told", 15)).await;
    process.said("STARTED", 1).await;
    server.kill();
    process.terminate();
    assert_eq!(process.code().await, Some(75), "a result could not be delivered");

    // The server knows nothing of it: the activity times out and is handed out again.
    server.up().await;
    let next = registered(bed.worker()).spawn().expect("started");
    assert_eq!(result(&handle).await, ["attempt 2"]);
    end(next).await;
}

#[tokio::test]
async fn an_activity_that_ignores_the_end_is_cut_off_at_the_hard_deadline_and_runs_elsewhere() {
    let bed = Bed::new("sigterm-stubborn").await;
    let mut process = Process::start("hurried", &bed, &[ONE_SECOND, LOG]);
    let handle = bed.start(Runs::run, within("stubborn", 15)).await;
    process.said("STARTED", 1).await;
    process.terminate();
    assert_eq!(process.code().await, Some(75));

    let next = registered(bed.worker()).spawn().expect("started");
    assert_eq!(result(&handle).await, ["attempt 2"]);
    end(next).await;
}
