//! What an author of a worker writes: register workflows and activities, run.

use std::{
    net::{Ipv6Addr, SocketAddr, TcpListener},
    process::ExitCode,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use temporalio_client::{ClientOptions, ConnectionOptions};
use temporalio_common::{
    WorkflowDefinition,
    data_converters::{
        DataConverter, DefaultFailureConverter, FailureConverter, PayloadCodec, PayloadConverter, RawValue,
    },
};
use temporalio_sdk::{
    activities::{ActivityContext, ActivityError, ActivityImplementer},
    workflows::WorkflowImplementation,
};
use tokio_util::sync::CancellationToken;

use crate::{
    activity,
    calls::Calls,
    connect::{Connector, Customise},
    convert::Conversion,
    core,
    deadline::FORCED,
    dynamic::{DynamicActivities, DynamicWorkflow},
    health::Readiness,
    layout,
    lifecycle::{self, Ended, Listeners, Plan},
    meter::SdkMeter,
    metrics::Counters,
    phase::Phases,
    pod::{Half, Pod},
    pulse::Pulses,
    queues::Queues,
    register::{OnQueue, Registered, Registrations, Versioning},
    settings::{InvalidSettings, Ports, Problem, Settings, Tuner},
    workers::Workers,
};

/// A worker of a fleet: the workflows and activities it knows, and where it takes its settings from.
///
/// ```no_run
/// # use temporalio_sdk::activities::{ActivityContext, ActivityError};
/// # struct Greetings;
/// #[temporalio_macros::activities]
/// impl Greetings {
///     #[activity(name = "greet")]
///     async fn greet(_: ActivityContext, name: String) -> Result<String, ActivityError> {
///         Ok(format!("Hello, {name}"))
///     }
/// }
///
/// fn main() -> std::process::ExitCode {
///     fleet_worker::FleetWorker::from_env().default_queue("greetings").activities(Greetings).run()
/// }
/// ```
#[must_use = "a worker does nothing until it runs"]
pub struct FleetWorker {
    settings: Result<Settings, InvalidSettings>,
    default_queue: Option<String>,
    registered: Registered,
    on_queues: Vec<(String, OnQueue)>,
    versioning: Versioning,
    problems: Vec<Problem>,
    conversion: Conversion,
    customise: Option<Customise>,
    recycle_after: Option<Duration>,
    combined: bool,
    tuner: Option<Tuner>,
}

/// A worker could not start. The process should end with exit code 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The environment, or what is registered, does not fit.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// A port is taken.
    #[error("failed to listen on port {port} ({purpose})")]
    Listen {
        /// The port.
        port: u16,
        /// What it is for.
        purpose: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The SDK refuses to start.
    #[error("failed to set up the Temporal SDK: {0}")]
    Sdk(String),
    /// A thread or runtime could not be started.
    #[error("failed to start a thread")]
    Thread(#[from] std::io::Error),
}

/// A worker that runs beside other work of the program.
#[derive(Debug)]
pub struct WorkerHandle {
    stop: CancellationToken,
    ports: Ports,
    thread: JoinHandle<std::io::Result<Ended>>,
}

impl FleetWorker {
    /// A worker with the settings of the environment. Mistakes in it are reported when the worker starts, all together.
    pub fn from_env() -> Self {
        Self::new(Settings::from_env())
    }

    /// A worker with settings made by the program.
    pub fn from_settings(settings: Settings) -> Self {
        Self::new(Ok(settings))
    }

    fn new(settings: Result<Settings, InvalidSettings>) -> Self {
        Self {
            settings,
            default_queue: None,
            registered: Registered::new(),
            on_queues: Vec::new(),
            versioning: Versioning::default(),
            problems: Vec::new(),
            conversion: Conversion::default(),
            customise: None,
            recycle_after: None,
            combined: false,
            tuner: None,
        }
    }

    /// The task queue to serve if the environment names none.
    pub fn default_queue(mut self, name: impl Into<String>) -> Self {
        self.default_queue = Some(name.into());
        self
    }

    /// Registers a workflow on every queue that has workflow tasks.
    pub fn workflow<W>(mut self) -> Self
    where
        W: WorkflowImplementation,
        <W::Run as WorkflowDefinition>::Input: Send,
    {
        let problem = self.registered.workflow::<W>();
        self.problems.extend(problem);
        self
    }

    /// Registers all activities of a value on every queue; workflows can also run them locally.
    pub fn activities<A: ActivityImplementer + Send + Sync + 'static>(mut self, activities: A) -> Self {
        let problems = self.registered.activities(activities);
        self.problems.extend(problems);
        self
    }

    /// Registers workflows and activities on one queue alone, beside those that are for every queue. Which queues a process serves, the
    /// environment decides: what is registered for others is not used.
    ///
    /// ```no_run
    /// # struct Orders; struct Renderer;
    /// # #[temporalio_macros::activities] impl Orders {}
    /// # #[temporalio_macros::activities] impl Renderer {}
    /// fleet_worker::FleetWorker::from_env()
    ///     .activities(Orders)
    ///     .on_queue("heavy", |queue| queue.activities(Renderer))
    ///     .run();
    /// ```
    pub fn on_queue(mut self, name: impl Into<String>, register: impl FnOnce(OnQueue) -> OnQueue) -> Self {
        self.on_queues.push((name.into(), register(OnQueue::default())));
        self
    }

    /// Where open workflows go when another version becomes current; [`Versioning::Pinned`] by default. Without effect unless the
    /// environment names a deployment and a build ID.
    pub const fn versioning(mut self, versioning: Versioning) -> Self {
        self.versioning = versioning;
        self
    }

    /// Registers one handler for several activity types, which need not be known before the worker starts: `ctx.info().activity_type`
    /// tells which one runs. Input and output are payloads.
    ///
    /// Not a catch-all: other types keep failing retryably.
    pub fn dynamic_activities<F>(
        self,
        names: impl IntoIterator<Item: Into<String>>,
        handler: impl Fn(ActivityContext, RawValue) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<RawValue, ActivityError>> + Send + 'static,
    {
        let names = names.into_iter().map(Into::into).collect();
        self.activities(DynamicActivities::new(names, handler))
    }

    /// Registers one workflow under several names, which need not be known before the worker starts.
    ///
    /// Not a catch-all: tasks of other types keep failing until a worker knows them.
    pub fn dynamic_workflows<W: DynamicWorkflow>(mut self, names: impl IntoIterator<Item: Into<String>>) -> Self {
        for name in names {
            let problem = self.registered.dynamic_workflow::<W>(&name.into());
            self.problems.extend(problem);
        }
        self
    }

    /// Encodes all payloads before they leave the process and decodes those that come: encryption, compression.
    ///
    /// Holds for workflows, activities, heartbeats, and the client that `ActivityContext::client` gives. A payload that cannot be decoded
    /// fails its task, which is tried again.
    pub fn codec(mut self, codec: impl PayloadCodec + Send + Sync + 'static) -> Self {
        self.conversion.codec = Some(Box::new(codec));
        self
    }

    /// Converts values to payloads in another way than the SDK's default.
    pub fn payload_converter(mut self, converter: PayloadConverter) -> Self {
        self.conversion.payload = Some(converter);
        self
    }

    /// Converts errors to failures in another way than the SDK's default.
    pub fn failure_converter(mut self, converter: impl FailureConverter + Send + Sync + 'static) -> Self {
        self.conversion.failure = Some(Box::new(converter));
        self
    }

    /// Lets messages and stack traces of failures pass through the codec too, as they may repeat what is in payloads.
    pub fn encode_failures(self) -> Self {
        self.failure_converter(DefaultFailureConverter::new(true))
    }

    /// Sets all three parts at once, for programs that share a converter with clients of their own. A start error beside
    /// [`FleetWorker::codec`] and the other parts.
    pub fn data_converter(mut self, converter: DataConverter) -> Self {
        self.conversion.whole = Some(converter);
        self
    }

    /// One SDK Worker per queue instead of two, with eager activities: the server hands an activity that a workflow asks for to the
    /// same process, in the answer to the workflow task, if a slot is free. The environment wins (`TEMPORAL_FLEET_COMBINED`).
    ///
    /// Saves a round trip per activity. In return workflow code that blocks its thread holds up activities too, and the server's rates
    /// of the queue miss the eager ones.
    pub const fn combined(mut self) -> Self {
        self.combined = true;
        self
    }

    /// Replaces the SDK Workers that run activities when they are so old, to free what they keep; the environment wins
    /// (`TEMPORAL_FLEET_RECYCLE_AFTER_SECONDS`). No task is lost or cancelled by it. Without it only their number counts: see
    /// [`crate::settings::Recycling`].
    pub const fn recycle_after(mut self, age: Duration) -> Self {
        self.recycle_after = Some(age);
        self
    }

    /// What decides how many tasks run at once: the numbers of the settings, which is the default, or CPU and memory of the pod. The
    /// environment wins (`TEMPORAL_FLEET_TUNER`).
    pub const fn tuner(mut self, tuner: Tuner) -> Self {
        self.tuner = Some(tuner);
        self
    }

    /// Changes how connections are made, after the settings were applied: a proxy, headers, a server within the process.
    pub fn customise_connection(mut self, change: impl Fn(&mut ConnectionOptions) + Send + Sync + 'static) -> Self {
        self.customise = Some(Arc::new(change));
        self
    }

    /// Runs until SIGTERM or SIGINT and through the ending; the program does nothing else.
    ///
    /// Exit code 0: every task was completed or handed back; 1: could not start; 75: the process had to be ended by force.
    pub fn run(self) -> ExitCode {
        self.run_until(&CancellationToken::new())
    }

    /// Like [`FleetWorker::run`], and until the token fires: the ending is the same.
    pub fn run_until(self, stop: &CancellationToken) -> ExitCode {
        crate::logs::init(self.settings.as_ref().is_ok_and(|settings| settings.in_pod));
        // A child of its own: a signal does not end what else the program does with its token.
        let stop = stop.child_token();
        let ended = self.plan(true).and_then(|plan| Ok(lifecycle::run(plan, &stop)?));
        match ended {
            Ok(Ended::Clean) => ExitCode::SUCCESS,
            Ok(Ended::Broken) => ExitCode::from(FORCED),
            Err(error) => {
                // For people as well as for log collectors: the text has one line per problem.
                eprintln!("fleet-worker: {}", crate::chain(&error));
                ExitCode::FAILURE
            }
        }
    }

    /// Starts the worker on threads of its own. It does not listen to signals.
    ///
    /// The hard deadline holds here too: a task that does not end in time ends the process.
    pub fn spawn(self) -> Result<WorkerHandle, StartError> {
        let plan = self.plan(false)?;
        let port = |listener: &TcpListener| listener.local_addr().map_or(0, |address| address.port());
        let Listeners {
            metrics,
            health,
            control,
        } = &plan.listeners;
        let ports = Ports {
            metrics: port(metrics),
            control: port(control),
            health: port(health),
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("keeper".to_owned())
            .spawn(move || lifecycle::run(plan, &stopped))?;
        Ok(WorkerHandle { stop, ports, thread })
    }

    fn plan(self, signals: bool) -> Result<Plan, StartError> {
        let Self {
            mut settings,
            default_queue,
            registered,
            on_queues,
            versioning,
            mut problems,
            conversion,
            customise,
            recycle_after,
            combined,
            tuner,
        } = self;
        if let Ok(Settings { options, .. }) = &mut settings {
            options.tuner = options.tuner.or(tuner);
        }
        if conversion.is_contradictory() {
            let problem = "is set beside a codec, payload converter or failure converter";
            problems.push(Problem::new("data_converter", problem, "one or the other"));
        }
        let registered = Registrations::new(registered, on_queues, versioning, &mut problems);
        // Two providers may be linked into a program; this one is used if nobody chose before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (settings, queues) = layout::resolve(settings, problems, default_queue, &registered)?;
        for queue in &queues {
            activity::warn_of_default_names(&queue.name, &registered.of(&queue.name).activity_types());
        }
        let settings = Arc::new(settings);
        let combined = settings.combined.unwrap_or(combined);
        let mut recycling = settings.recycling;
        recycling.age = recycling.age.or(recycle_after);
        let now = Instant::now();
        let (gates, halves) = layout::layout(&settings, &queues, &registered, combined, now);
        let names = halves
            .iter()
            .flat_map(|half| half.task_types().map(|task_type| (half.queue.clone(), task_type)));
        let polling = halves.iter().filter(|half| half.polls_activities()).count();
        let activity_queues = u32::try_from(polling).unwrap_or(u32::MAX);
        let pod = Arc::new(Pod {
            started: now,
            identity: settings.identity.clone(),
            queues: Arc::new(Queues::new(names)),
            gates,
            activity_queues,
            phases: Phases::new(),
            readiness: Readiness::new(),
            pulses: Pulses::new(now),
            calls: Arc::new(Calls::new(now)),
            watchdog: settings.watchdog,
            recycling,
            workers: Workers::default(),
            counters: Counters::default(),
        });
        let meter = SdkMeter::new(Arc::clone(&pod.queues), Arc::clone(&pod.calls))
            .map_err(|error| StartError::Sdk(error.to_string()))?;
        let client_meter = core::client_meter(&meter).map_err(|error| StartError::Sdk(error.to_string()))?;
        tracing::info!(
            queues = ?halves.iter().map(Half::thread_name).collect::<Vec<_>>(),
            temporal_namespace = settings.temporal_namespace,
            identity = settings.identity,
            options = ?settings.options,
            "starting"
        );
        let Ports {
            metrics,
            control,
            health,
        } = settings.ports;
        Ok(Plan {
            listeners: Listeners {
                metrics: listen(metrics, "metrics")?,
                health: listen(health, "health")?,
                control: listen(control, "WorkerControl")?,
            },
            connector: Connector {
                settings: Arc::clone(&settings),
                meter: client_meter,
                customise,
            },
            client: ClientOptions::new(settings.temporal_namespace.clone())
                .data_converter(conversion.converter())
                .build(),
            settings,
            pod,
            meter,
            halves,
            registered,
            signals,
        })
    }
}

impl WorkerHandle {
    /// Begins the ending; [`WorkerHandle::wait`] tells when it is over.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// The ports in use, also where the settings left the choice to the system.
    pub const fn ports(&self) -> Ports {
        self.ports
    }

    /// Whether the worker has ended: [`WorkerHandle::wait`] would return at once.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until the worker has ended. Blocks the thread.
    pub fn wait(self) -> Result<Ended, StartError> {
        self.thread
            .join()
            .map_or(Ok(Ended::Broken), |ended| ended.map_err(StartError::Thread))
    }
}

fn listen(port: u16, purpose: &'static str) -> Result<TcpListener, StartError> {
    let open = || {
        // Both families where there are both; a machine without IPv6 refuses the first.
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let listener = TcpListener::bind(any).or_else(|_| TcpListener::bind(("0.0.0.0", port)))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    open().map_err(|source| StartError::Listen { port, purpose, source })
}
