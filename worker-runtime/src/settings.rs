//! The environment of a worker: every variable of the contract, its bounds and its default.
//!
//! All variables may be absent: then the worker serves a development server on this machine. Mistakes are collected and reported
//! together, each with the variable, what is wrong with its value, and what is allowed. Values that may be secret are never printed.

use std::{
    collections::{BTreeSet, HashMap},
    ffi::OsString,
    fmt,
    path::PathBuf,
    time::Duration,
};

use serde::Deserialize;
use temporalio_common::envconfig::ClientConfigProfile;

mod connection;
mod reader;
mod tuner;

pub(crate) use self::connection::fits_a_header;
pub use self::tuner::Tuner;
use self::{
    connection::{check_address, check_secrecy},
    reader::Reader,
};

/// Highest number of slots, pollers or cached workflows that is accepted.
pub const MAX_SLOTS: u32 = 100_000;

/// Everything a worker takes from its environment.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Address, TLS and credentials, as the SDKs' common environment configuration defines them.
    pub connection: ClientConfigProfile,
    /// File that holds the API key; it wins over a key in `connection` and is read again when it changes.
    pub api_key_file: Option<PathBuf>,
    /// The Temporal namespace; `default` if absent.
    pub temporal_namespace: String,
    /// Task queues to serve; empty means the worker's own default queue.
    pub queues: Vec<QueueSettings>,
    /// Slots and pollers.
    pub options: Options,
    /// The Worker Deployment Version that this worker is; absent = not versioned.
    pub deployment: Option<Deployment>,
    /// Who polls: `[prefix/]pod/namespace/uid`, or `[prefix/]process-id@host` outside Kubernetes.
    pub identity: String,
    /// How long running tasks may go on after the process was told to end. Default 60 s.
    pub graceful_shutdown: Duration,
    /// What follows that time until the process is ended by force: clean-up of cancelled tasks, last calls. 18 s.
    pub clean_up: Duration,
    /// Directory with `tls.crt`, `tls.key` and `token` for `WorkerControl`; without it that port is not served.
    pub control_dir: Option<PathBuf>,
    /// Ports to listen on.
    pub ports: Ports,
    /// How often credential files are compared with what is in use. Default 10 s.
    pub credential_poll: Duration,
    /// One SDK Worker per queue instead of two; absent = as the program says.
    pub combined: Option<bool>,
    /// When SDK Workers that run activities are replaced.
    pub recycling: Recycling,
    /// When the watchdog speaks and `/livez` fails. Not a matter of the environment.
    pub watchdog: Watchdog,
    /// Whether the process runs in a pod: logs are JSON then.
    pub in_pod: bool,
}

/// When an SDK Worker that runs activities is replaced by a new one, to free what it keeps: about 0.5 kB per activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recycling {
    /// After so many activities; absent = never. Default 100 000.
    pub activities: Option<u64>,
    /// After so much time; absent (the default) = never.
    pub age: Option<Duration>,
}

/// Limits of the watchdog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watchdog {
    /// A thread that stands still for so long is named in the log, with the workflow whose code it runs. 2 s.
    pub tell_after: Duration,
    /// A thread that stands still for longer makes `/livez` fail. 20 s.
    pub stuck_after: Duration,
    /// So long no call to Temporal may end while there is room for tasks; then `/livez` fails. Longer than any poll: 180 s.
    pub silent_after: Duration,
}

/// Name and build ID of a Worker Deployment Version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Name of the deployment.
    pub name: String,
    /// Build ID within it.
    pub build_id: String,
}

/// A task queue and what to poll on it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueSettings {
    /// Name of the task queue.
    pub name: String,
    /// Task types; empty means all that the worker has registrations for.
    #[serde(default)]
    pub types: BTreeSet<QueueType>,
}

/// A task type that a queue can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum QueueType {
    /// Workflow tasks.
    Workflow,
    /// Activities.
    Activity,
}

/// Slots and pollers of the pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Slots for activities, shared by all queues. Default 100.
    pub max_concurrent_activities: u32,
    /// Slots for workflow tasks, shared by all queues. Default 100.
    pub max_concurrent_workflow_tasks: u32,
    /// Slots for local activities, shared by all queues. Default 100.
    pub max_concurrent_local_activities: u32,
    /// Activities that the pod starts per second, shared out evenly among its Activity queues; absent = no limit.
    pub max_activities_per_second: Option<f64>,
    /// What the server may hand out of each Activity queue per second. A fleet's operator sets it at the server; here it is what this worker
    /// asks for, and the last worker that asks wins. Absent = no limit.
    pub max_task_queue_activities_per_second: Option<f64>,
    /// Workflows kept in memory, per queue. Default 1000; 0 turns sticky queues off.
    pub max_cached_workflows: u32,
    /// Pollers of workflow tasks; absent = the SDK's default.
    pub workflow_task_pollers: Option<Pollers>,
    /// Pollers of activities; absent = the SDK's default.
    pub activity_task_pollers: Option<Pollers>,
    /// What decides how many tasks run; absent = as the program says, by default [`Tuner::Fixed`].
    pub tuner: Option<Tuner>,
    /// Longest time for which heartbeats of an activity are held back. Default 60 s.
    pub max_heartbeat_throttle: Duration,
    /// The same for activities without a heartbeat timeout. Default 30 s.
    pub default_heartbeat_throttle: Duration,
    /// How long a workflow task waits for the worker that has its workflow in memory. Default 10 s.
    pub sticky_timeout: Duration,
}

/// How many polls are open at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Pollers {
    /// A fixed number.
    SimpleMaximum(u32),
    /// A number that the server steers.
    Autoscaling {
        /// Never fewer. Default 1.
        #[serde(default = "one")]
        minimum: u32,
        /// Never more. Default 100.
        #[serde(default = "hundred")]
        maximum: u32,
        /// At the start. Default 5.
        #[serde(default = "five")]
        initial: u32,
    },
}

/// Ports of the pod; 0 lets the system choose, which only code can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// `/metrics`, default 9464.
    pub metrics: u16,
    /// `WorkerControl`, default 9465.
    pub control: u16,
    /// `/livez` and `/readyz`, default 9466.
    pub health: u16,
}

/// One variable that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Name of the variable.
    pub variable: String,
    /// What is wrong with it.
    pub problem: String,
    /// What would be right.
    pub allowed: String,
}

/// All problems of an environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct InvalidSettings(pub Vec<Problem>);

/// The connection's profile may hold an API key and a private key: of it nothing but the address is shown.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("address", &self.connection.address)
            .field("temporal_namespace", &self.temporal_namespace)
            .field("queues", &self.queues)
            .field("options", &self.options)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads the environment of this process.
    pub fn from_env() -> Result<Self, InvalidSettings> {
        Self::from_os_variables(std::env::vars_os())
    }

    /// Variables of other programs may be written as these like; one of ours that cannot be read must not count as absent.
    fn from_os_variables(all: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, InvalidSettings> {
        let (mut variables, mut problems) = (HashMap::new(), Vec::new());
        for (name, value) in all {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => {
                    variables.insert(name, value);
                }
                Err(_) if name.starts_with("TEMPORAL_") => {
                    problems.push(Problem::new(&name, "cannot be read", "text in UTF-8"));
                }
                Err(_) => {}
            }
        }
        match Self::from_variables(&variables) {
            Ok(settings) if problems.is_empty() => Ok(settings),
            Ok(_) => Err(InvalidSettings(problems)),
            Err(InvalidSettings(others)) => {
                problems.extend(others);
                Err(InvalidSettings(problems))
            }
        }
    }

    /// Reads the given variables instead of the environment. An empty value counts as absent.
    pub fn from_variables(variables: &HashMap<String, String>) -> Result<Self, InvalidSettings> {
        let mut read = Reader::new(variables);
        let connection = read.connection();
        let defaults = Options::default();
        let options = Options {
            max_concurrent_activities: read.number(
                "TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES",
                1,
                MAX_SLOTS,
                defaults.max_concurrent_activities,
            ),
            max_concurrent_workflow_tasks: read.number(
                "TEMPORAL_FLEET_MAX_CONCURRENT_WORKFLOW_TASKS",
                1,
                MAX_SLOTS,
                defaults.max_concurrent_workflow_tasks,
            ),
            max_concurrent_local_activities: read.number(
                "TEMPORAL_FLEET_MAX_CONCURRENT_LOCAL_ACTIVITIES",
                1,
                MAX_SLOTS,
                defaults.max_concurrent_local_activities,
            ),
            max_activities_per_second: read.rate("TEMPORAL_FLEET_MAX_ACTIVITIES_PER_SECOND"),
            max_task_queue_activities_per_second: read.rate("TEMPORAL_FLEET_MAX_TASK_QUEUE_ACTIVITIES_PER_SECOND"),
            max_cached_workflows: read.number(
                "TEMPORAL_FLEET_MAX_CACHED_WORKFLOWS",
                0,
                1_000_000,
                defaults.max_cached_workflows,
            ),
            workflow_task_pollers: read.pollers("TEMPORAL_FLEET_WORKFLOW_TASK_POLLERS", 2),
            activity_task_pollers: read.pollers("TEMPORAL_FLEET_ACTIVITY_TASK_POLLERS", 1),
            tuner: read.tuner(),
            max_heartbeat_throttle: read.seconds(
                "TEMPORAL_FLEET_MAX_HEARTBEAT_THROTTLE_INTERVAL_SECONDS",
                86_400,
                defaults.max_heartbeat_throttle,
            ),
            default_heartbeat_throttle: read.seconds(
                "TEMPORAL_FLEET_DEFAULT_HEARTBEAT_THROTTLE_INTERVAL_SECONDS",
                86_400,
                defaults.default_heartbeat_throttle,
            ),
            sticky_timeout: read.seconds(
                "TEMPORAL_FLEET_STICKY_QUEUE_SCHEDULE_TO_START_TIMEOUT_SECONDS",
                3_600,
                defaults.sticky_timeout,
            ),
        };
        let settings = Self {
            temporal_namespace: connection.namespace.clone().unwrap_or_else(|| "default".to_owned()),
            connection,
            api_key_file: read.get("TEMPORAL_FLEET_API_KEY_FILE").map(PathBuf::from),
            queues: read.queues(),
            options,
            deployment: read.deployment(),
            identity: read.identity(),
            graceful_shutdown: Duration::from_secs(read.number(
                "TEMPORAL_FLEET_GRACEFUL_SHUTDOWN_SECONDS",
                0,
                604_800,
                60,
            )),
            clean_up: Duration::from_secs(18),
            control_dir: read.get("TEMPORAL_FLEET_CONTROL_DIR").map(PathBuf::from),
            ports: Ports {
                metrics: read.number("TEMPORAL_FLEET_METRICS_PORT", 1, u16::MAX, 9464),
                control: read.number("TEMPORAL_FLEET_CONTROL_PORT", 1, u16::MAX, 9465),
                health: read.number("TEMPORAL_FLEET_HEALTH_PORT", 1, u16::MAX, 9466),
            },
            credential_poll: Duration::from_secs(10),
            combined: read.truth("TEMPORAL_FLEET_COMBINED"),
            recycling: read.recycling(),
            watchdog: Watchdog::default(),
            in_pod: read.get("POD_NAME").is_some() || read.get("KUBERNETES_SERVICE_HOST").is_some(),
        };
        settings.check(&mut read.problems);
        if read.problems.is_empty() {
            Ok(settings)
        } else {
            Err(InvalidSettings(read.problems))
        }
    }

    /// What no variable alone can show.
    fn check(&self, problems: &mut Vec<Problem>) {
        let Ports {
            metrics,
            control,
            health,
        } = self.ports;
        if metrics == control || metrics == health || control == health {
            problems.push(Problem::new(
                "TEMPORAL_FLEET_{METRICS,CONTROL,HEALTH}_PORT",
                format!("two are the same: {metrics}, {control}, {health}"),
                "three different ports",
            ));
        }
        let has_key = self.api_key_file.is_some() || self.connection.api_key.is_some();
        problems.extend(check_address(&self.connection, has_key));
        problems.extend(check_secrecy(&self.connection, has_key));
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_concurrent_activities: 100,
            max_concurrent_workflow_tasks: 100,
            max_concurrent_local_activities: 100,
            max_activities_per_second: None,
            max_task_queue_activities_per_second: None,
            max_cached_workflows: 1_000,
            workflow_task_pollers: None,
            activity_task_pollers: None,
            tuner: None,
            max_heartbeat_throttle: Duration::from_mins(1),
            default_heartbeat_throttle: Duration::from_secs(30),
            sticky_timeout: Duration::from_secs(10),
        }
    }
}

impl Default for Recycling {
    fn default() -> Self {
        Self {
            activities: Some(100_000),
            age: None,
        }
    }
}

impl Default for Watchdog {
    fn default() -> Self {
        Self {
            tell_after: Duration::from_secs(2),
            stuck_after: Duration::from_secs(20),
            silent_after: Duration::from_mins(3),
        }
    }
}

impl Problem {
    pub(crate) fn new(variable: &str, problem: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self {
            variable: variable.to_owned(),
            problem: problem.into(),
            allowed: allowed.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; allowed: {}", self.variable, self.problem, self.allowed)
    }
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings cannot be used")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

const fn one() -> u32 {
    1
}

const fn five() -> u32 {
    5
}

const fn hundred() -> u32 {
    100
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
