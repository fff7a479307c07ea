//! Activities: plain functions on threads of their own, heartbeats, cancellation, panics.

use std::sync::{Arc, Barrier};

use fleet_worker::{BlockingHeartbeat, Ended, FleetWorker, WorkerHandle};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use crate::{
    fake::{Frontend, Task},
    support::{eventually, settings},
};

const SLOTS: usize = 24;

struct Plain {
    /// Opens when every slot has a thread.
    all_slots: Barrier,
}

#[activities]
impl Plain {
    /// Ends when as many run at once as there are slots.
    #[activity(name = "meets")]
    fn meets(self: Arc<Self>, _: ActivityContext) -> Result<(), ActivityError> {
        self.all_slots.wait();
        Ok(())
    }

    /// Fails after a heartbeat; the next attempt returns what it finds.
    #[activity(name = "resumes")]
    fn resumes(ctx: ActivityContext) -> Result<String, ActivityError> {
        match ctx.heartbeat_details().deserialize::<(String, u32)>()? {
            Some((text, number)) => Ok(format!("{text} {number} in attempt {}", ctx.info().attempt)),
            None => {
                ctx.heartbeat_blocking(("step".to_owned(), 7_u32))?;
                Err(anyhow::anyhow!("not yet").into())
            }
        }
    }

    /// Heartbeats from a thread of its own until it is cancelled.
    #[activity(name = "cancelled_by_workflow")]
    fn cancelled_by_workflow(ctx: ActivityContext) -> Result<(), ActivityError> {
        std::thread::scope(|threads| {
            let beating = threads.spawn(|| {
                while !ctx.is_cancelled() {
                    ctx.heartbeat_blocking(())?;
                    std::thread::yield_now();
                }
                Err(ActivityError::cancelled())
            });
            beating.join().unwrap_or_else(|_| Ok(()))
        })
    }

    /// Panics on a blocking thread.
    #[activity(name = "panics")]
    fn panics(_: ActivityContext) -> Result<(), ActivityError> {
        panic!("no such luck")
    }

    /// Panics on a thread of the runtime.
    #[activity(name = "panics_async")]
    async fn panics_async(_: ActivityContext) -> Result<(), ActivityError> {
        panic!("no such luck")
    }
}

fn spawn(frontend: &Arc<Frontend>) -> WorkerHandle {
    frontend.state().completes_polls = true;
    let slots = SLOTS.to_string();
    FleetWorker::from_settings(settings(&[("TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES", &slots)]))
        .default_queue("q")
        .activities(Plain {
            all_slots: Barrier::new(SLOTS),
        })
        .customise_connection(frontend.customise())
        .spawn()
        .expect("started")
}

fn end(worker: WorkerHandle) {
    worker.stop();
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
}

#[test]
fn each_slot_has_a_thread_for_plain_functions() {
    let frontend = Arc::new(Frontend::default());
    let worker = spawn(&frontend);
    frontend.schedule("meets", SLOTS);
    eventually("all run at once", || frontend.state().completed == SLOTS);
    end(worker);
}

#[test]
fn a_retry_finds_the_details_of_the_last_heartbeat() {
    let frontend = Arc::new(Frontend::default());
    let worker = spawn(&frontend);
    frontend.schedule_task(Task {
        activity: "resumes".to_owned(),
        retries: 1,
        ..Task::default()
    });
    eventually("the second attempt succeeds", || frontend.state().completed == 1);
    assert_eq!(
        frontend.state().results[0].payloads[0].data,
        br#""step 7 in attempt 2""#
    );
    assert_eq!(frontend.state().failed.len(), 1);
    end(worker);
}

#[test]
fn a_plain_function_learns_of_its_cancellation() {
    let frontend = Arc::new(Frontend::default());
    let worker = spawn(&frontend);
    frontend.state().cancel = true;
    frontend.schedule("cancelled_by_workflow", 1);
    eventually("it is cancelled", || frontend.state().cancelled == 1);
    assert!(frontend.state().failed.is_empty());
    end(worker);
}

#[test]
fn a_panic_is_a_failed_activity_and_never_a_dead_worker() {
    let frontend = Arc::new(Frontend::default());
    let worker = spawn(&frontend);
    frontend.schedule("panics", 1);
    frontend.schedule("panics_async", 1);
    eventually("both fail", || frontend.state().failed.len() == 2);
    for failure in &frontend.state().failed {
        assert!(format!("{failure:?}").contains("panic"), "{failure:?}");
    }
    frontend.schedule("meets", SLOTS);
    eventually("others run", || frontend.state().completed == SLOTS);
    end(worker);
}

#[test]
fn an_activity_type_is_registered_once() {
    let plain = || Plain {
        all_slots: Barrier::new(1),
    };
    let error = FleetWorker::from_settings(settings(&[]))
        .default_queue("q")
        .activities(plain())
        .activities(plain())
        .spawn()
        .expect_err("refused")
        .to_string();
    assert!(error.contains("\"meets\" is already registered"), "{error}");
}
