//! The life of the process: connect, run the SDK Workers, and end so that no accepted task is cut off.
//!
//! Two runtimes: tasks run on Tokio's multi-threaded one, everything that must answer while tasks hog it (signals, health, metrics,
//! `WorkerControl`, the order of the ending) on the *keeper*, a runtime of one thread that runs nothing else. Each SDK Worker has a
//! thread of its own, since all workflow code of a Worker runs where it is polled.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use temporalio_client::{ClientOptions, Connection};
use tokio::{runtime::Handle, sync::oneshot, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::Backoff,
    connect::{Connector, Credentials},
    control,
    core::{SdkHandle, Seam},
    deadline::Deadline,
    drain, health,
    meter::SdkMeter,
    metrics,
    pod::{Half, Pod},
    register::Registrations,
    reload,
    settings::Settings,
};

/// Blocking threads beyond one per slot: for the SDK's and the runtime's own use.
const SPARE_BLOCKING_THREADS: usize = 16;

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All tasks were completed, failed or handed back.
    Clean,
    /// A worker thread broke; its tasks will be retried after their timeouts.
    Broken,
}

/// Everything that is fixed before the first call to Temporal.
pub(crate) struct Plan {
    pub(crate) settings: Arc<Settings>,
    pub(crate) pod: Arc<Pod>,
    pub(crate) meter: SdkMeter,
    pub(crate) halves: Vec<Half>,
    pub(crate) registered: Registrations,
    pub(crate) client: ClientOptions,
    pub(crate) connector: Connector,
    pub(crate) listeners: Listeners,
    /// Whether signals end the process; not when the worker is a guest in another program.
    pub(crate) signals: bool,
}

/// The sockets of the pod's own servers.
pub(crate) struct Listeners {
    pub(crate) metrics: std::net::TcpListener,
    pub(crate) health: std::net::TcpListener,
    pub(crate) control: std::net::TcpListener,
}

/// A half of a queue whose SDK Worker runs, or is made anew.
pub(crate) struct Running {
    pub(crate) half: Half,
    tasks: Handle,
    ending: AtomicBool,
    sdk: Mutex<Option<SdkHandle>>,
    stop: CancellationToken,
}

/// The connection in use, and the credentials it was made with.
pub(crate) struct Link {
    current: Mutex<(Connection, Credentials)>,
}

/// Runs until `stop`, and through the ending.
pub(crate) fn run(plan: Plan, stop: &CancellationToken) -> io::Result<Ended> {
    let options = &plan.settings.options;
    let slots = options
        .max_concurrent_activities
        .saturating_add(options.max_concurrent_local_activities);
    let tasks = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("tasks")
        .max_blocking_threads(slots as usize + SPARE_BLOCKING_THREADS)
        .build()?;
    let keeper = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = keeper.block_on(keep(plan, tasks.handle().clone(), stop));
    // Whatever still runs there has been logged; it must not hold up the exit.
    tasks.shutdown_background();
    ended
}

async fn keep(plan: Plan, tasks: Handle, stop: &CancellationToken) -> io::Result<Ended> {
    let Plan {
        settings,
        pod,
        meter,
        halves,
        registered,
        client,
        connector,
        listeners,
        signals,
    } = plan;
    let mut servers = serve(listeners, &settings, &pod, &meter)?;
    if signals {
        servers.spawn(crate::signals::forward(stop.clone())?);
    }

    let connector = Arc::new(connector);
    let connecting = {
        let (connector, pod) = (Arc::clone(&connector), Arc::clone(&pod));
        tasks.spawn(async move { connector.connect(&pod.readiness).await })
    };
    let connected = tokio::select! {
        connected = connecting => connected.map_err(io::Error::other)?,
        () = stop.cancelled() => {
            pod.readiness.drain();
            return Ok(Ended::Clean);
        }
    };
    tracing::info!(identity = pod.identity, "connected");

    let seam = {
        let _within = tasks.enter();
        Arc::new(Seam::new(Arc::clone(&settings), registered, &meter, client).map_err(io::Error::other)?)
    };
    let link = Arc::new(Link {
        current: Mutex::new(connected),
    });
    let running: Vec<Arc<Running>> = halves
        .into_iter()
        .map(|half| {
            Arc::new(Running {
                half,
                tasks: tasks.clone(),
                ending: AtomicBool::new(false),
                sdk: Mutex::default(),
                stop: stop.clone(),
            })
        })
        .collect();
    let mut threads = JoinSet::new();
    for running in &running {
        let ended = start(
            Arc::clone(running),
            Arc::clone(&seam),
            Arc::clone(&link),
            Arc::clone(&pod),
        )?;
        threads.spawn(ended);
    }
    let reloading = tasks.spawn(reload::watch(connector, link, running.clone(), Arc::clone(&pod)));

    let mut broken = false;
    tokio::select! {
        () = stop.cancelled() => {}
        // Threads end by themselves only if the code that polls panics.
        _ = threads.join_next() => {
            broken = true;
            tracing::error!("a worker thread ended without being asked to; ending the process");
        }
    }

    let began = Instant::now();
    pod.readiness.drain();
    crate::shutdown_token().cancel();
    let _deadline = Deadline::start(settings.graceful_shutdown + settings.clean_up, Arc::clone(&pod))?;
    tracing::info!(
        grace_seconds = settings.graceful_shutdown.as_secs(),
        "ending: no new task is accepted"
    );
    reloading.abort();
    drain::stop_polling(&running, &pod).await;
    while let Some(ended) = threads.join_next().await {
        broken |= !ended.unwrap_or(false);
    }
    servers.shutdown().await;
    tracing::info!(
        seconds = began.elapsed().as_secs_f64(),
        "ended: every task was completed or handed back"
    );
    Ok(if broken { Ended::Broken } else { Ended::Clean })
}

/// Starts the pod's servers on the keeper.
fn serve(listeners: Listeners, settings: &Settings, pod: &Arc<Pod>, meter: &SdkMeter) -> io::Result<JoinSet<()>> {
    let mut servers = JoinSet::new();
    let registry = metrics::registry(pod, meter).map_err(io::Error::other)?;
    for (listener, router) in [
        (listeners.health, health::router(Arc::clone(pod))),
        (listeners.metrics, metrics::router(registry)),
    ] {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        servers.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "a server of the pod ended");
            }
        });
    }
    if let Some(directory) = settings.control_dir.clone() {
        let interval = settings.credential_poll;
        servers.spawn(control::serve(listeners.control, directory, Arc::clone(pod), interval));
    }
    Ok(servers)
}

/// Starts the thread of one half. The returned future ends with the thread: with `true` if it ended in order.
fn start(
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
            tasks.block_on(drive(&running, &seam, &link, &pod));
            let _ = done.send(());
        })?;
    Ok(async move { ended.await.is_ok() })
}

/// Runs SDK Workers one after the other until the half is to end: one that fails is made anew.
async fn drive(running: &Running, seam: &Seam, link: &Link, pod: &Pod) {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    let name = running.half.thread_name();
    while !running.is_ending() {
        let began = Instant::now();
        let failure = match seam.worker(&running.half, pod, link.connection()) {
            Err(error) => crate::chain(&error),
            Ok(mut sdk) => {
                running.attach(sdk.handle());
                let pulse = pod.pulses.add(&name);
                let outcome = tokio::select! {
                    outcome = sdk.run() => outcome,
                    never = pulse.beat_for_ever() => match never {},
                };
                match outcome {
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
            () = running.stop.cancelled() => {}
        }
    }
}

impl Running {
    /// Polls no more, from now on; its tasks finish.
    pub(crate) fn begin_shutdown(&self) {
        let sdk = self.sdk();
        self.ending.store(true, Ordering::Release);
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
        self.ending.load(Ordering::Acquire)
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

impl Link {
    /// The connection in use.
    pub(crate) fn connection(&self) -> Connection {
        self.lock().0.clone()
    }

    /// The credentials in use.
    pub(crate) fn credentials(&self) -> Credentials {
        self.lock().1.clone()
    }

    /// From now on this connection is used.
    pub(crate) fn replace(&self, connection: Connection, credentials: Credentials) {
        *self.lock() = (connection, credentials);
    }

    fn lock(&self) -> MutexGuard<'_, (Connection, Credentials)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
