//! Half a queue: the thread that polls, and the SDK Workers that run on it one after the other.
//!
//! One that fails is made anew. One that has run long enough hands over to the next: the SDK keeps about 0.5 kB of each activity until
//! its Worker is dropped. Never here: when polling ends (that is `drain`).

use std::{
    convert::Infallible,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt, channel::mpsc, future::LocalBoxFuture};
use temporalio_client::Connection;
use temporalio_sdk::error::WorkerRunError;
use tokio::{runtime::Handle, sync::oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::Backoff,
    core::{Intakes, SdkHandle, SdkWorker, Seam},
    executing::Executing,
    link::Link,
    metrics,
    pod::{Half, Pod},
    pulse::BEAT,
    settings::Recycling,
};

/// A half of a queue whose SDK Worker runs, or is made anew.
pub(crate) struct Running {
    pub(crate) half: Half,
    tasks: Handle,
    ending: CancellationToken,
    /// Those in memory: more than one while one hands over to the next.
    sdks: Mutex<Vec<SdkHandle>>,
}

/// Starts the thread of one half. The returned future ends with the thread: with `true` if it ended in order.
pub(crate) fn start(
    running: Arc<Running>,
    seam: Arc<Seam>,
    link: Arc<Link>,
    pod: Arc<Pod>,
) -> io::Result<impl Future<Output = bool>> {
    let (done, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name(running.half.thread_name())
        .spawn(move || {
            let tasks = running.tasks.clone();
            let executing = Executing::default();
            let pulse = pod.pulses.add(&running.half.thread_name(), executing.clone());
            tasks.block_on(async {
                tokio::select! {
                    () = drive(&running, &seam, &link, &pod, &executing) => {}
                    never = pulse.beat_for_ever() => match never {},
                }
            });
            let _ = done.send(());
        })?;
    Ok(async move { ended.await.is_ok() })
}

/// An SDK Worker that runs, and comes back with how that ended.
type Turn = LocalBoxFuture<'static, (SdkWorker, Result<(), WorkerRunError>)>;

/// Runs SDK Workers one after the other until the half is to end, and beside them those that hand over.
async fn drive(running: &Running, seam: &Seam, link: &Link, pod: &Pod, executing: &Executing) {
    let (leave, leaving) = mpsc::unbounded();
    futures::join!(
        in_turn(running, seam, link, pod, executing, leave),
        leaving.for_each_concurrent(None, |ending| ending),
    );
}

/// One SDK Worker after the other: one that fails, or has run long enough, is followed by a new one.
async fn in_turn(
    running: &Running,
    seam: &Seam,
    link: &Link,
    pod: &Pod,
    executing: &Executing,
    leave: mpsc::UnboundedSender<LocalBoxFuture<'static, ()>>,
) {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    let half = &running.half;
    let name = half.thread_name();
    while !running.is_ending() {
        let began = Instant::now();
        let failure = match seam.worker(half, pod, link.connection(), executing) {
            Err(error) => crate::chain(&error),
            Ok(sdk) => {
                let (handle, intakes) = (sdk.handle(), sdk.intakes());
                running.attach(handle.clone());
                pod.workers.add(&name, handle.clone());
                let mut turn = turn(sdk).boxed_local();
                tokio::select! {
                    (sdk, outcome) = &mut turn => match outcome {
                        Ok(()) if running.is_ending() => return sdk.finalize().await,
                        Ok(()) => "polling ended".to_owned(),
                        Err(error) => given_up(&handle, &error),
                    },
                    () = worn_out(half, &intakes, began, pod) => {
                        metrics::count(&pod.counters.recycled);
                        tracing::info!(worker = name, activities = intakes.activities(), "hands over to a new one");
                        let ending = hand_over(turn, handle, intakes);
                        // The other side lives as long as this one.
                        let _ = leave.unbounded_send(ending.boxed_local());
                        continue;
                    }
                }
            }
        };
        if running.is_ending() {
            return;
        }
        metrics::count(&pod.counters.rebuilds);
        if began.elapsed() > Duration::from_mins(1) {
            backoff.reset();
        }
        let pause = backoff.next();
        tracing::warn!(
            worker = name,
            error = failure,
            pause_ms = pause.as_millis(),
            "the worker failed, making a new one"
        );
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = running.ending.cancelled() => {}
        }
    }
}

async fn turn(mut sdk: SdkWorker) -> (SdkWorker, Result<(), WorkerRunError>) {
    let outcome = sdk.run().await;
    (sdk, outcome)
}

/// After an error: its pollers go on in the background unless they are told to stop; its tasks finish.
fn given_up(handle: &SdkHandle, error: &WorkerRunError) -> String {
    handle.begin_shutdown();
    crate::chain(error)
}

/// Waits until an SDK Worker has run as many activities, or for as long, as one may. Not while draining, and for ever where the server
/// dispatches no activities: there it would cost the workflow cache.
async fn worn_out(half: &Half, intakes: &Intakes, began: Instant, pod: &Pod) {
    let Recycling { activities, age } = pod.recycling;
    loop {
        tokio::time::sleep(BEAT).await;
        let many = activities.is_some_and(|limit| intakes.activities() >= limit);
        let old = age.is_some_and(|limit| began.elapsed() >= limit);
        if half.polls_activities() && (many || old) && pod.phases.is_serving() {
            return;
        }
    }
}

/// Lets an SDK Worker finish that has a successor: it gets no more slots, its polls and tasks end, then it is dropped.
///
/// Its shutdown would cancel activities after the grace period, and may cut off workflow tasks that are just being completed: it begins
/// when nothing runs any more.
async fn hand_over(mut turn: Turn, handle: SdkHandle, intakes: Intakes) {
    intakes.close();
    let emptied = async {
        intakes.emptied().await;
        handle.begin_shutdown();
        std::future::pending::<Infallible>().await
    };
    let (sdk, outcome) = tokio::select! {
        ended = &mut turn => ended,
        never = emptied => match never {},
    };
    match outcome {
        Ok(()) => sdk.finalize().await,
        Err(error) => tracing::warn!(
            error = given_up(&handle, &error),
            "a worker failed while it handed over"
        ),
    }
}

impl Running {
    /// To be started; its SDK Workers run their tasks on `tasks`.
    pub(crate) fn new(half: Half, tasks: Handle) -> Self {
        Self {
            half,
            tasks,
            ending: CancellationToken::new(),
            sdks: Mutex::default(),
        }
    }

    /// Polls no more, from now on; its tasks finish.
    pub(crate) fn begin_shutdown(&self) {
        let sdks = self.sdks();
        self.ending.cancel();
        let _within = self.tasks.enter();
        sdks.iter().for_each(SdkHandle::begin_shutdown);
    }

    /// Moves the half to another connection.
    pub(crate) fn replace_connection(&self, connection: &Connection) -> Result<(), crate::core::Error> {
        self.sdks()
            .iter()
            .try_for_each(|sdk| sdk.replace_connection(connection.clone()))
    }

    fn is_ending(&self) -> bool {
        self.ending.is_cancelled()
    }

    /// A new SDK Worker runs. Should the ending have begun meanwhile, it ends at once.
    fn attach(&self, handle: SdkHandle) {
        let mut sdks = self.sdks();
        if self.is_ending() {
            let _within = self.tasks.enter();
            handle.begin_shutdown();
        }
        sdks.retain(SdkHandle::is_alive);
        sdks.push(handle);
    }

    fn sdks(&self) -> MutexGuard<'_, Vec<SdkHandle>> {
        self.sdks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
