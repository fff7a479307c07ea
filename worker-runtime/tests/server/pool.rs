//! Activities in child processes on a real server: failures, hangs, floods and a lack of memory cost an attempt, and nothing else.

use std::{io::Write as _, sync::Arc, time::Duration};

use fleet_worker::{
    FleetWorker,
    process::{Child, Failure, Pool},
};
use serde::{Deserialize, Serialize};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, WorkflowContext, WorkflowResult,
    activities::{ActivityContext, ActivityError},
};

use crate::{
    bed::{Bed, attempts, end, eventually, get, kind, last_failure, ready, result},
    keeper::lives,
};

/// What a child says at its end.
const LAST_WORDS: &str = "that was all";

/// Not a test by itself: what the children run.
#[test]
#[ignore = "run by the pools of the other tests"]
fn child() {
    fleet_worker::process::child(&[
        ("echoes", |_, input| Ok(input)),
        ("fails", |child, _| once(child, || Err(Failure::new("lost power")))),
        ("hangs", |child, _| {
            once(child, || {
                loop {
                    std::thread::park();
                }
            })
        }),
        ("floods", |child, _| {
            once(child, || {
                let mut stderr = std::io::stderr().lock();
                for _ in 0..2_000 {
                    stderr.write_all(&[b'x'; 1_024])?;
                    stderr.write_all(b"\n")?;
                }
                // A line that does not end for long.
                stderr.write_all(&vec![b'y'; 2 << 20])?;
                writeln!(stderr, "\n{LAST_WORDS}")?;
                std::process::abort()
            })
        }),
        ("grows", |child, _| {
            once(child, || {
                let much = vec![1_u8; 4 << 30];
                Ok(vec![much[much.len() - 1]])
            })
        }),
    ]);
}

/// Misbehaves in its first attempt, after a heartbeat with the number of its process; the next one gives that number back.
fn once(child: &mut Child, misbehaves: impl FnOnce() -> Result<Vec<u8>, Failure>) -> Result<Vec<u8>, Failure> {
    match child.details() {
        Some(pid) => Ok(pid.to_vec()),
        None => {
            child.heartbeat(std::process::id().to_string())?;
            misbehaves()
        }
    }
}

struct Pooled(Pool);

#[activities]
impl Pooled {
    #[activity(name = "pooled")]
    async fn pooled(self: Arc<Self>, ctx: ActivityContext, body: String) -> Result<Vec<u8>, ActivityError> {
        self.0.run(&ctx, &body, b"input".to_vec()).await
    }
}

/// A body, and the longest time of an attempt in seconds.
#[derive(Serialize, Deserialize)]
struct Job {
    body: String,
    seconds: u64,
}

fn job(body: &str, seconds: u64) -> Job {
    Job {
        body: body.to_owned(),
        seconds,
    }
}

#[workflow]
#[derive(Default)]
struct Pools;

#[workflow_methods]
impl Pools {
    #[run(name = "Pools")]
    async fn run(ctx: &mut WorkflowContext<Self>, job: Job) -> WorkflowResult<Vec<u8>> {
        let options = ActivityOptions::start_to_close_timeout(Duration::from_secs(job.seconds));
        Ok(ctx.execute_activity(Pooled::pooled, job.body, options).await?)
    }
}

/// Two children, so that an attempt need not wait for the one before it to be cleared away.
fn pool() -> Pool {
    Pool::new(2).args(["--exact", "pool::child", "--ignored", "--nocapture", "--test-threads=1"])
}

fn registered(worker: FleetWorker, pool: Pool) -> FleetWorker {
    worker.workflow::<Pools>().activities(Pooled(pool))
}

#[tokio::test]
async fn an_activity_in_a_child_process_goes_on_with_its_details_after_a_failure() {
    let bed = Bed::new("pool").await;
    let worker = registered(bed.worker(), pool()).spawn().expect("started");
    let handle = bed.start(Pools::run, job("fails", 60)).await;
    assert!(!result(&handle).await.is_empty(), "the details are there");
    assert_eq!(attempts(&handle).await, [2]);
    assert_eq!(last_failure(&handle).await.message, "lost power");
    end(worker).await;
}

#[tokio::test]
async fn a_child_that_hangs_is_killed_once_its_attempt_has_timed_out() {
    let bed = Bed::new("pool-hangs").await;
    let pool = pool().kill_after(Duration::from_millis(200));
    let worker = registered(bed.worker(), pool).spawn().expect("started");
    let handle = bed.start(Pools::run, job("hangs", 5)).await;
    let pid = String::from_utf8(result(&handle).await).expect("a number");
    // Nobody cancelled it: the worker keeps the activity's time itself, and is a little more patient than the server.
    eventually("the child is killed", async || !lives(&pid)).await;
    assert_eq!(bed.run(Pools::run, job("echoes", 60)).await, b"input");
    end(worker).await;
}

#[tokio::test]
async fn a_child_that_floods_standard_error_neither_stops_nor_fills_anything() {
    let bed = Bed::new("pool-floods").await;
    let worker = registered(bed.worker(), pool()).spawn().expect("started");
    let handle = bed.start(Pools::run, job("floods", 120)).await;
    assert_eq!(
        bed.run(Pools::run, job("echoes", 60)).await,
        b"input",
        "others go on beside it"
    );
    assert!(!result(&handle).await.is_empty());
    let failure = last_failure(&handle).await;
    assert_eq!(kind(&failure), "ChildExited");
    assert!(failure.message.ends_with(LAST_WORDS), "{}", failure.message);
    assert!(failure.message.len() < 2_500, "{}", failure.message.len());
    assert_eq!(get(worker.ports().health, "/livez").await.0, 200);
    end(worker).await;
}

#[tokio::test]
async fn a_child_that_runs_out_of_memory_ends_alone() {
    let bed = Bed::new("pool-grows").await;
    let worker = registered(bed.worker(), pool().memory(2 << 30))
        .spawn()
        .expect("started");
    ready(&worker).await;
    let handle = bed.start(Pools::run, job("grows", 60)).await;
    assert!(!result(&handle).await.is_empty());
    assert_eq!(attempts(&handle).await, [2]);
    let failure = last_failure(&handle).await;
    assert_eq!(kind(&failure), "ChildExited");
    assert!(failure.message.contains("memory allocation of"), "{}", failure.message);
    assert_eq!(bed.run(Pools::run, job("echoes", 60)).await, b"input");
    assert_eq!(get(worker.ports().health, "/readyz").await.0, 200);
    end(worker).await;
}
