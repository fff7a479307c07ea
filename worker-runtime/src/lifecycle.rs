//! The life of the process: connect, run the SDK Workers, and end so that no accepted task is cut off.
//!
//! Two runtimes: tasks run on Tokio's multi-threaded one, everything that must answer while tasks hog it (signals, health, metrics,
//! `WorkerControl`, the order of the ending) on the *keeper*, a runtime of one thread that runs nothing else. Each SDK Worker has a
//! thread of its own, since all workflow code of a Worker runs where it is polled.

use std::{io, sync::Arc, time::Instant};

use temporalio_client::ClientOptions;
use tokio::{runtime::Handle, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    client,
    connect::Connector,
    control,
    core::Seam,
    deadline::Deadline,
    drain,
    executing::Executing,
    half::{self, Running},
    health,
    link::Link,
    meter::SdkMeter,
    metrics,
    pod::{Half, Pod},
    register::Registrations,
    reload,
    settings::Settings,
    watchdog,
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
        client: options,
        connector,
        listeners,
        signals,
    } = plan;
    let mut servers = serve(listeners, &settings, &pod, &meter)?;
    servers.spawn(watchdog::watch(Arc::clone(&pod)));
    let pulse = pod.pulses.add("tasks", Executing::default());
    tasks.spawn(async move { pulse.beat_for_ever().await });
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
            pod.phases.end(Instant::now());
            return Ok(Ended::Clean);
        }
        () = pod.phases.asked_to_drain() => {
            // Nothing was accepted yet, and nothing will be.
            pod.phases.end(Instant::now());
            stop.cancelled().await;
            return Ok(Ended::Clean);
        }
    };
    tracing::info!(identity = pod.identity, "connected");

    let seam = {
        let _within = tasks.enter();
        Arc::new(Seam::new(Arc::clone(&settings), registered, &meter, options.clone()).map_err(io::Error::other)?)
    };
    let link = Arc::new(Link::new(connected));
    client::connected(&link, options);
    let running: Vec<Arc<Running>> = halves
        .into_iter()
        .map(|half| Arc::new(Running::new(half, tasks.clone())))
        .collect();
    let mut threads = JoinSet::new();
    for running in &running {
        let ended = half::start(
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
        () = pod.phases.asked_to_drain() => broken = drained(&running, &pod, &mut threads, stop).await,
        // Threads end by themselves only if the code that polls panics.
        _ = threads.join_next() => {
            broken = true;
            tracing::error!("a worker thread ended without being asked to; ending the process");
        }
    }

    let began = Instant::now();
    pod.phases.begin(began);
    crate::shutdown_token().cancel();
    let _deadline = Deadline::start(settings.graceful_shutdown + settings.clean_up, Arc::clone(&pod))?;
    tracing::info!(
        grace_seconds = settings.graceful_shutdown.as_secs(),
        "ending: no new task is accepted"
    );
    reloading.abort();
    drain::stop_polling(&running, &pod).await;
    all_ended(&mut threads, &mut broken).await;
    pod.phases.end(Instant::now());
    servers.shutdown().await;
    tracing::info!(
        seconds = began.elapsed().as_secs_f64(),
        "ended: every task was completed or handed back"
    );
    Ok(if broken { Ended::Broken } else { Ended::Clean })
}

/// Drains for as long as it takes, and stays until `stop`. Whether a thread broke on the way.
///
/// A drained process does not exit: the kubelet would start the container again, and it would poll.
async fn drained(running: &[Arc<Running>], pod: &Pod, threads: &mut JoinSet<bool>, stop: &CancellationToken) -> bool {
    let began = Instant::now();
    tracing::info!("draining: no new task is accepted, running ones have all the time they need");
    let mut broken = false;
    let draining = async {
        drain::run_out(running, pod).await;
        all_ended(threads, &mut broken).await;
        pod.phases.end(Instant::now());
        tracing::info!(
            seconds = began.elapsed().as_secs_f64(),
            "drained: nothing is left; waiting for the end"
        );
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = draining => {}
    }
    broken
}

/// Waits for all threads, and notes whether one did not end in order.
async fn all_ended(threads: &mut JoinSet<bool>, broken: &mut bool) {
    while let Some(ended) = threads.join_next().await {
        *broken |= !ended.unwrap_or(false);
    }
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
