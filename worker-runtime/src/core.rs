//! The seam to the SDK: with its own modules the only one that names `temporalio-sdk-core` and the SDK's hidden constructors.
//!
//! Makes the SDK Workers of a pod: for each queue one for workflows and local activities, one for activities, so that a blocked
//! workflow cannot stop activity dispatch. Both take their slots from the pod's gates. Core calls this interface unstable, so
//! its version is pinned.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use temporalio_client::{ClientOptions, Connection, RetryOptions};
use temporalio_common::{
    telemetry::{TelemetryOptions, metrics::TemporalMeter, telemetry_init},
    worker::{WorkerDeploymentOptions, WorkerDeploymentVersion, WorkerTaskTypes},
};
use temporalio_sdk::{
    Worker, WorkerOptions,
    error::{WorkerCreateError, WorkerRunError},
    runtime::CoreWorker,
};
use temporalio_sdk_core::{CoreRuntime, PollerBehavior, RuntimeOptions, init_worker};

use crate::{
    executing::Executing,
    meter::SdkMeter,
    pod::{Half, Lanes, Pod},
    register::Registrations,
    resources::has_cpu_limit,
    settings::{Deployment, Options, Pollers, Settings},
};

mod allowance;
mod tuner;

use self::allowance::Resources;
pub(crate) use self::tuner::Intakes;
use self::tuner::Tuner;

/// How often the SDK tells the server that this worker lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// An SDK Worker could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("failed to start the SDK's runtime: {0}")]
    Runtime(String),
    #[error("the worker's options are refused: {0}")]
    Options(String),
    #[error("failed to start the worker: {0}")]
    Start(String),
    #[error("failed to start the worker")]
    Create(#[source] WorkerCreateError),
}

/// Makes SDK Workers.
pub(crate) struct Seam {
    runtime: CoreRuntime,
    /// Where CPU and memory decide how many tasks run.
    resources: Option<Resources>,
    settings: Arc<Settings>,
    registered: Registrations,
    client: ClientOptions,
}

/// A Worker of the SDK, to be run on one thread.
pub(crate) struct SdkWorker {
    worker: Worker,
    core: Arc<CoreWorker>,
    intakes: Intakes,
}

/// Reaches a running SDK Worker from other threads. Does not keep it alive.
#[derive(Clone)]
pub(crate) struct SdkHandle(Weak<CoreWorker>);

/// A meter for client calls that feeds the same metrics as the workers do.
pub(crate) fn client_meter(meter: &SdkMeter) -> Result<Option<TemporalMeter>, Error> {
    let telemetry = telemetry_init(telemetry(meter)).map_err(|error| Error::Runtime(error.to_string()))?;
    Ok(telemetry.get_temporal_metric_meter())
}

fn telemetry(meter: &SdkMeter) -> TelemetryOptions {
    TelemetryOptions::builder()
        .metrics(Arc::new(meter.clone()) as Arc<_>)
        .build()
}

impl Seam {
    /// To be called within the Tokio runtime that tasks run on.
    pub(crate) fn new(
        settings: Arc<Settings>,
        registered: Registrations,
        meter: &SdkMeter,
        client: ClientOptions,
    ) -> Result<Self, Error> {
        let options = RuntimeOptions::builder()
            .telemetry_options(telemetry(meter))
            .heartbeat_interval(Some(HEARTBEAT))
            .build()
            .map_err(Error::Runtime)?;
        let runtime = CoreRuntime::new_assume_tokio(options).map_err(|error| Error::Runtime(format!("{error:#}")))?;
        let resources = Resources::new(settings.options.tuner.unwrap_or_default());
        if resources.is_some() && !has_cpu_limit() {
            tracing::warn!("slots follow the CPU of the whole machine, since the container has no CPU limit: set one");
        }
        Ok(Self {
            runtime,
            resources,
            settings,
            registered,
            client,
        })
    }

    /// A new SDK Worker for half of a queue, which notes in `executing` whose code runs.
    pub(crate) fn worker(
        &self,
        half: &Half,
        pod: &Pod,
        connection: Connection,
        executing: &Executing,
    ) -> Result<SdkWorker, Error> {
        let settings = &self.settings;
        let Lanes { workflows, activities } = half.lanes;
        let mut options = match workflows {
            Some(_) => self.registered.of(&half.queue).workflows.clone(),
            None => self.registered.of(&half.queue).activities.clone(),
        };
        options.task_queue.clone_from(&half.queue);
        options.register_workflow_interceptors(vec![executing.interceptor()]);
        options.max_cached_workflows = settings.options.max_cached_workflows as usize;
        options.graceful_shutdown_period = Some(settings.graceful_shutdown);
        limit(
            &mut options,
            &settings.options,
            activities.is_some().then_some(pod.activity_queues),
        );
        if let Some(Deployment { name, build_id }) = &settings.deployment {
            let version = WorkerDeploymentVersion::builder()
                .deployment_name(name)
                .build_id(build_id)
                .build();
            options.deployment_options = WorkerDeploymentOptions::new(version)
                .use_worker_versioning(true)
                .default_versioning_behavior(self.registered.versioning.into())
                .build();
        }
        if activities.is_none() {
            // Eager activities need the workflow's Worker to run activities.
            options.max_eager_activity_reservations_per_workflow_task = 0;
        }
        let mut config = options
            .to_core_options(settings.temporal_namespace.clone(), settings.identity.clone())
            .map_err(Error::Options)?;
        config.task_types = WorkerTaskTypes {
            enable_workflows: workflows.is_some(),
            enable_local_activities: workflows.is_some_and(|lanes| lanes.local.is_some()),
            enable_remote_activities: activities.is_some(),
            enable_nexus: false,
        };
        config.workflow_task_poller_behavior = settings.options.workflow_task_pollers.map(behavior);
        config.activity_task_poller_behavior = settings.options.activity_task_pollers.map(behavior);
        let (tuner, intakes) = Tuner::new(half, pod, self.registered.of(&half.queue), self.resources.as_ref())?;
        config.tuner = Some(Arc::new(tuner));
        // A Worker that is made anew may start before the last tasks of its predecessor ended.
        config.skip_client_worker_set_check = true;
        let start = |error| Error::Start(format!("{error:#}"));
        let core = init_worker(&self.runtime, config, connection.clone()).map_err(start)?;
        // `init_worker` puts the default retries back into its connection; a replaced one keeps its own.
        core.replace_client(patient(connection)).map_err(start)?;
        let core = Arc::new(core);
        let worker =
            Worker::new_from_core_options(Arc::clone(&core), self.client.clone(), options).map_err(Error::Create)?;
        Ok(SdkWorker { worker, core, intakes })
    }
}

/// Rates and times of the concurrency table. `activity_queues` is how many queues of the pod share its rate; `None` where this SDK Worker
/// polls no activities.
fn limit(options: &mut WorkerOptions, wanted: &Options, activity_queues: Option<u32>) {
    options.max_heartbeat_throttle_interval = wanted.max_heartbeat_throttle;
    options.default_heartbeat_throttle_interval = wanted.default_heartbeat_throttle;
    options.sticky_queue_schedule_to_start_timeout = wanted.sticky_timeout;
    if let Some(queues) = activity_queues {
        options.max_task_queue_activities_per_second = wanted.max_task_queue_activities_per_second;
        // Each SDK Worker limits itself.
        let share = |rate| rate / f64::from(queues.max(1));
        options.max_worker_activities_per_second = wanted.max_activities_per_second.map(share);
    }
}

impl SdkWorker {
    pub(crate) fn handle(&self) -> SdkHandle {
        SdkHandle(Arc::downgrade(&self.core))
    }

    /// Where it takes its slots.
    pub(crate) fn intakes(&self) -> Intakes {
        self.intakes.clone()
    }

    /// Polls until its shutdown has ended, or an error that polling cannot survive.
    pub(crate) async fn run(&mut self) -> Result<(), WorkerRunError> {
        self.worker.run().await
    }

    /// Ends the worker's heartbeats, so that the server forgets it; after [`SdkWorker::run`] only.
    pub(crate) async fn finalize(self) {
        let Self {
            worker,
            mut core,
            intakes: _,
        } = self;
        drop(worker);
        // An activity's own task may hold the worker for a moment after its completion was answered.
        for _ in 0..100 {
            match Arc::try_unwrap(core) {
                Ok(core) => return core.finalize_shutdown().await,
                Err(shared) => core = shared,
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tracing::warn!("the worker is still in use; its last heartbeat stays until the server forgets it");
    }
}

impl fmt::Debug for SdkHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkHandle").finish_non_exhaustive()
    }
}

impl SdkHandle {
    /// Whether the SDK Worker is still in memory.
    pub(crate) fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// Stops polling at once and lets tasks finish. To be called within the Tokio runtime that tasks run on.
    pub(crate) fn begin_shutdown(&self) {
        if let Some(core) = self.0.upgrade() {
            core.initiate_shutdown();
        }
    }

    /// Moves polls, completions and heartbeats to another connection. Open polls end on the old one.
    pub(crate) fn replace_connection(&self, connection: Connection) -> Result<(), Error> {
        match self.0.upgrade() {
            Some(core) => core
                .replace_client(patient(connection))
                .map_err(|error| Error::Start(format!("{error:#}"))),
            None => Ok(()),
        }
    }
}

/// Repeats completions and heartbeats for as long as it takes. The SDK gives up after 10 s, and then a result that is at hand is
/// lost to an outage of Temporal and the task runs again. Nothing waits for ever: once the server is back it answers with
/// `NotFound` what has timed out meanwhile, and a pod that ends has its hard deadline.
fn patient(mut connection: Connection) -> Connection {
    *connection.retry_options_mut() = RetryOptions::builder().max_elapsed_time(None).max_retries(0).build();
    connection
}

fn behavior(pollers: Pollers) -> PollerBehavior {
    match pollers {
        Pollers::SimpleMaximum(n) => PollerBehavior::SimpleMaximum(n as usize),
        Pollers::Autoscaling {
            minimum,
            maximum,
            initial,
        } => PollerBehavior::Autoscaling {
            minimum: minimum as usize,
            maximum: maximum as usize,
            initial: initial as usize,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_times_reach_the_sdk_and_the_queues_of_a_pod_share_its_rate() {
        let wanted = Options {
            max_activities_per_second: Some(9.0),
            max_task_queue_activities_per_second: Some(250.0),
            max_heartbeat_throttle: Duration::from_secs(20),
            default_heartbeat_throttle: Duration::from_secs(5),
            sticky_timeout: Duration::from_secs(3),
            ..Options::default()
        };
        let limited = |activity_queues| {
            let mut options = WorkerOptions::new("q").build();
            limit(&mut options, &wanted, activity_queues);
            options
        };
        let options = limited(Some(3));
        assert_eq!(options.max_worker_activities_per_second, Some(3.0));
        assert_eq!(options.max_task_queue_activities_per_second, Some(250.0));
        assert_eq!(options.max_heartbeat_throttle_interval, Duration::from_secs(20));
        assert_eq!(options.default_heartbeat_throttle_interval, Duration::from_secs(5));
        assert_eq!(options.sticky_queue_schedule_to_start_timeout, Duration::from_secs(3));
        let workflows = limited(None);
        assert_eq!(workflows.max_worker_activities_per_second, None);
        assert_eq!(workflows.max_task_queue_activities_per_second, None);
    }
}
