//! The pool: gives tasks to children, passes on heartbeats and cancellation, and replaces children that end.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use temporalio_common::error::ApplicationFailure;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio::{process::Command, sync::Semaphore};

use super::{
    Failure, IS_CHILD, MEMORY,
    frame::{Frame, Kind},
    running::{Exit, Process},
};
use crate::deadline;

/// Variables that children get unless more are allowed: where to find things, how to speak, how to log. No credentials.
const ENVIRONMENT: [&str; 10] = [
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "PATH",
    "POD_NAME",
    "RUST_LOG",
    "TEMP",
    "TMPDIR",
    "TZ",
];

/// What stays for the worker's last calls after a child was killed at the end of the process.
const LAST_CALLS: Duration = Duration::from_secs(3);

/// Children of this process that ended, by how.
pub(crate) static EXITS: Exits = Exits {
    crashed: AtomicU64::new(0),
    killed: AtomicU64::new(0),
    replaced: AtomicU64::new(0),
};

/// Counters of children that ended.
#[derive(Debug)]
pub(crate) struct Exits {
    crashed: AtomicU64,
    killed: AtomicU64,
    replaced: AtomicU64,
}

/// Child processes for activities.
///
/// Make one per kind of work and keep it in the activities' struct. Children start on demand and stay for later tasks. With as many
/// children as activity slots no task waits for a child; a task that waits sends no heartbeats.
#[derive(Debug)]
pub struct Pool {
    children: Arc<Semaphore>,
    idle: Mutex<Vec<Process>>,
    kill_after: Duration,
    max_tasks: u32,
    memory: Option<u64>,
    environment: BTreeSet<OsString>,
    arguments: Vec<OsString>,
}

impl Pool {
    /// A pool of at most `children` processes (at least one), each with one task at a time.
    pub fn new(children: usize) -> Self {
        Self {
            children: Arc::new(Semaphore::new(children.clamp(1, Semaphore::MAX_PERMITS))),
            idle: Mutex::default(),
            kill_after: Duration::from_secs(5),
            max_tasks: 1_000,
            memory: None,
            environment: ENVIRONMENT.iter().map(OsString::from).collect(),
            arguments: Vec::new(),
        }
    }

    /// How long a body may go on after its task was cancelled, before its process is killed. Default 5 s. When the process ends it is
    /// shortened to what is left before the hard deadline.
    #[must_use]
    pub const fn kill_after(mut self, limit: Duration) -> Self {
        self.kill_after = limit;
        self
    }

    /// How many tasks a child runs before another takes its place, so that what its libraries leak stays small. Default 1000, at least 1.
    #[must_use]
    pub const fn max_tasks(mut self, tasks: u32) -> Self {
        self.max_tasks = if tasks == 0 { 1 } else { tasks };
        self
    }

    /// Limit of each child's address space in bytes (`RLIMIT_AS`), which is more than the memory it uses. Default none.
    ///
    /// A child that asks for more ends with SIGABRT or an error of its own, and the activity is tried again. Without a limit the kubelet
    /// has the whole container killed when one process runs out of the container's memory.
    #[must_use]
    pub const fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Lets children see one more variable of the worker's environment. They get `PATH`, `HOME`, `TMPDIR`, `TZ`, language, logging and
    /// the pod's name, and no credentials. Not `RUST_BACKTRACE` either: a backtrace pushes what it explains out of the 2 kB that a
    /// failure keeps.
    #[must_use]
    pub fn allow_env(mut self, name: impl Into<OsString>) -> Self {
        self.environment.insert(name.into());
        self
    }

    /// Command line of the children, empty by default. In a test binary: what makes the harness run the test that calls [`super::child`].
    #[must_use]
    pub fn args<T: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// Runs the body of that name in a child; waits if all are busy.
    ///
    /// Heartbeats of the body become heartbeats of the activity, as bytes; the details of the attempt before are at hand in the child.
    /// When the activity is cancelled the body is told, and killed if it goes on for [`Pool::kill_after`]. Should the returned future be
    /// dropped, the child is killed.
    ///
    /// # Errors
    /// What the body returned; `cancelled`; or a retryable failure of type `ChildExited` with the signal or exit code and the last 2 kB
    /// of its standard error, if the process ended, or `ChildNotStarted`.
    pub async fn run(&self, ctx: &ActivityContext, body: &str, input: Vec<u8>) -> Result<Vec<u8>, ActivityError> {
        let _one = tokio::select! {
            biased;
            () = ctx.cancelled() => return Err(ActivityError::cancelled()),
            permit = self.children.acquire() => permit?,
        };
        let mut process = self.process().await.map_err(|error| {
            let text = format!("failed to start a child process: {}", crate::chain(&error));
            failure(text, "ChildNotStarted")
        })?;
        process.begin(ctx.info().clone());
        let mut parts = vec![body.as_bytes().to_vec(), input];
        parts.extend(details(ctx));
        if let Err(error) = process.send(Frame::new(Kind::Task, parts)).await
            && error.kind() == io::ErrorKind::InvalidData
        {
            self.keep(process);
            return Err(Failure::new(error.to_string())
                .kind("InputTooLong")
                .non_retryable()
                .into());
        }
        // A child that could not be written to has ended: the next frame says so.
        let cancelled = ctx.cancelled();
        tokio::pin!(cancelled);
        let mut killed_at: Option<Instant> = None;
        loop {
            let kill = async {
                match killed_at {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            let frame = tokio::select! {
                frame = process.next() => frame,
                () = &mut cancelled, if killed_at.is_none() => {
                    killed_at = Some(Instant::now() + self.patience());
                    let _ = process.send(Frame::new(Kind::Cancel, [])).await;
                    continue;
                }
                () = kill => {
                    let pid = ctx.info().activity_id.as_str();
                    tracing::warn!(activity_id = pid, body, "the body ignored its cancellation; its process is killed");
                    process.kill().await;
                    EXITS.count(Exit::Killed);
                    return Err(ActivityError::cancelled());
                }
            };
            let (kind, part) = match frame {
                Some(Ok(Frame { kind, parts })) => (kind, parts.into_iter().next().unwrap_or_default()),
                Some(Err(_)) | None => return Err(died(process, killed_at.is_some()).await),
            };
            match kind {
                Kind::Heartbeat => ctx.record_heartbeat(part).await?,
                Kind::Done => {
                    self.keep(process);
                    return Ok(part);
                }
                Kind::Failed => {
                    self.keep(process);
                    let failure = serde_json::from_slice(&part).unwrap_or_else(Failure::from);
                    return Err(failure.into());
                }
                Kind::Task | Kind::Cancel => return Err(died(process, killed_at.is_some()).await),
            }
        }
    }

    /// An idle child, or a new one.
    async fn process(&self) -> io::Result<Process> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(process) => Ok(process),
            None => Process::start(self.command()?).await,
        }
    }

    /// Keeps a child for the next task, unless it has run enough of them.
    fn keep(&self, process: Process) {
        if process.tasks < self.max_tasks {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(process);
        } else {
            EXITS.count(Exit::Replaced);
            tokio::spawn(process.dismiss());
        }
    }

    fn command(&self) -> io::Result<Command> {
        // The file may have been replaced on disk since the start; the kernel still has the one that runs.
        let mut command = if cfg!(target_os = "linux") {
            let mut command = Command::new("/proc/self/exe");
            command.arg0(env::args_os().next().unwrap_or_default());
            command
        } else {
            Command::new(env::current_exe()?)
        };
        command.env_clear().args(&self.arguments).env(IS_CHILD, "1");
        for name in &self.environment {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some(bytes) = self.memory {
            command.env(MEMORY, bytes.to_string());
        }
        Ok(command)
    }

    /// Time for a cancelled body to stop.
    fn patience(&self) -> Duration {
        let left = deadline::left(Instant::now()).map(|left| left.saturating_sub(LAST_CALLS));
        left.map_or(self.kill_after, |left| left.min(self.kill_after))
    }
}

impl Exits {
    fn count(&self, exit: Exit) {
        self.get(exit).fetch_add(1, Ordering::Relaxed);
    }

    /// Name of the label and number so far, for each way to end.
    pub(crate) fn all(&self) -> [(&'static str, u64); 3] {
        [
            ("crashed", Exit::Crashed),
            ("killed", Exit::Killed),
            ("replaced", Exit::Replaced),
        ]
        .map(|(name, exit)| (name, self.get(exit).load(Ordering::Relaxed)))
    }

    const fn get(&self, exit: Exit) -> &AtomicU64 {
        match exit {
            Exit::Crashed => &self.crashed,
            Exit::Killed => &self.killed,
            Exit::Replaced => &self.replaced,
        }
    }
}

/// The child has ended in the middle of its task.
async fn died(process: Process, cancelled: bool) -> ActivityError {
    let (how, tail) = process.post_mortem().await;
    EXITS.count(Exit::Crashed);
    tracing::warn!(how, "a child process ended in the middle of its task");
    if cancelled {
        return ActivityError::cancelled();
    }
    let said = if tail.is_empty() {
        String::new()
    } else {
        format!(": {tail}")
    };
    failure(format!("the child process ended with {how}{said}"), "ChildExited")
}

fn failure(text: String, kind: &str) -> ActivityError {
    ActivityError::application(
        ApplicationFailure::builder(anyhow::anyhow!(text))
            .type_name(kind.to_owned())
            .build(),
    )
}

/// Details of the attempt before, if they are bytes: those of a child are.
fn details(ctx: &ActivityContext) -> Option<Vec<u8>> {
    ctx.heartbeat_details().deserialize::<Vec<u8>>().ok().flatten()
}
