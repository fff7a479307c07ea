//! Half a queue: the thread that polls, and the SDK Workers that run on it one after the other.
//!
//! One that fails is made anew. Never here: when polling ends (that is `drain`).

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use temporalio_client::Connection;
use tokio::{runtime::Handle, sync::oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::Backoff,
    core::{SdkHandle, Seam},
    executing::Executing,
    link::Link,
    metrics,
    pod::{Half, Pod},
};

/// A half of a queue whose SDK Worker runs, or is made anew.
pub(crate) struct Running {
    pub(crate) half: Half,
    tasks: Handle,
    ending: CancellationToken,
    sdk: Mutex<Option<SdkHandle>>,
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

/// Runs SDK Workers one after the other until the half is to end: one that fails is made anew.
async fn drive(running: &Running, seam: &Seam, link: &Link, pod: &Pod, executing: &Executing) {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    let name = running.half.thread_name();
    while !running.is_ending() {
        let began = Instant::now();
        let failure = match seam.worker(&running.half, pod, link.connection(), executing) {
            Err(error) => crate::chain(&error),
            Ok(mut sdk) => {
                running.attach(sdk.handle());
                match sdk.run().await {
                    Ok(()) if running.is_ending() => return sdk.finalize().await,
                    Ok(()) => "polling ended".to_owned(),
                    Err(error) => {
                        // Its pollers go on in the background unless they are told to stop; its tasks finish.
                        sdk.handle().begin_shutdown();
                        crate::chain(&error)
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

impl Running {
    /// To be started; its SDK Workers run their tasks on `tasks`.
    pub(crate) fn new(half: Half, tasks: Handle) -> Self {
        Self {
            half,
            tasks,
            ending: CancellationToken::new(),
            sdk: Mutex::default(),
        }
    }

    /// Polls no more, from now on; its tasks finish.
    pub(crate) fn begin_shutdown(&self) {
        let sdk = self.sdk();
        self.ending.cancel();
        if let Some(sdk) = sdk.as_ref() {
            let _within = self.tasks.enter();
            sdk.begin_shutdown();
        }
    }

    /// Whether the server ends open polls by itself.
    pub(crate) fn server_completes_polls(&self) -> bool {
        self.sdk().as_ref().is_some_and(SdkHandle::server_completes_polls)
    }

    /// Moves the half to another connection.
    pub(crate) fn replace_connection(&self, connection: Connection) -> Result<(), crate::core::Error> {
        self.sdk()
            .as_ref()
            .map_or(Ok(()), |sdk| sdk.replace_connection(connection))
    }

    fn is_ending(&self) -> bool {
        self.ending.is_cancelled()
    }

    /// A new SDK Worker runs. Should the ending have begun meanwhile, it ends at once.
    fn attach(&self, handle: SdkHandle) {
        let mut sdk = self.sdk();
        if self.is_ending() {
            let _within = self.tasks.enter();
            handle.begin_shutdown();
        }
        *sdk = Some(handle);
    }

    fn sdk(&self) -> MutexGuard<'_, Option<SdkHandle>> {
        self.sdk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
