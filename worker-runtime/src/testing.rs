//! For `cargo test` of workflow code: recorded histories are replayed, and code that would decide differently today is found.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use temporalio_client::WorkflowHistory;
use temporalio_common::{WorkflowDefinition, data_converters::DataConverter};
use temporalio_sdk::{
    workflow_replayer::{WorkflowReplayer, WorkflowReplayerOptions},
    workflows::WorkflowImplementation,
};

use crate::dynamic::{self, Dynamic, DynamicWorkflow};

/// Replays the histories of a directory: its files `*.json`, as `temporal workflow show --output json` writes them.
///
/// ```no_run
/// # use temporalio_macros::{workflow, workflow_methods};
/// # use temporalio_sdk::{WorkflowContext, WorkflowResult};
/// # #[workflow] #[derive(Default)] pub struct Orders;
/// # #[workflow_methods] impl Orders { #[run(name = "Orders")] pub async fn run(_: &mut WorkflowContext<Self>) -> WorkflowResult<()> { Ok(()) } }
/// # /*
/// #[test]
/// # */
/// fn running_workflows_survive_this_version() {
///     fleet_worker::testing::replay("tests/histories").workflow::<Orders>().run().unwrap();
/// }
/// ```
pub fn replay(directory: impl Into<PathBuf>) -> Replay {
    Replay {
        directory: directory.into(),
        options: WorkflowReplayerOptions::new().build(),
        problems: Vec::new(),
    }
}

/// A replay to be run.
#[must_use = "nothing is replayed before `run`"]
pub struct Replay {
    directory: PathBuf,
    options: WorkflowReplayerOptions,
    problems: Vec<String>,
}

/// Why histories cannot be replayed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A file or the directory cannot be read.
    #[error("failed to read {path}")]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A test that replays nothing proves nothing.
    #[error("there is no history (*.json) in {0}")]
    Empty(PathBuf),
    /// Workflows do not fit together, or the SDK could not replay.
    #[error("failed to replay: {0}")]
    Setup(String),
    /// The code does not fit histories.
    #[error("{} of {of} histories cannot be replayed:{}", .failed.len(), list(.failed))]
    Histories {
        /// File and reason, for each that failed.
        failed: Vec<(PathBuf, String)>,
        /// How many there are.
        of: usize,
    },
}

// `unwrap` in a test shows this: the same text that people read elsewhere.
impl fmt::Debug for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::chain(self))
    }
}

fn list(failed: &[(PathBuf, String)]) -> String {
    failed
        .iter()
        .map(|(path, reason)| format!("\n  {}: {reason}", path.display()))
        .collect()
}

impl Replay {
    /// Registers a workflow.
    pub fn workflow<W>(mut self) -> Self
    where
        W: WorkflowImplementation,
        <W::Run as WorkflowDefinition>::Input: Send,
    {
        if let Err(error) = self.options.register_workflow::<W>() {
            self.problems.push(error.to_string());
        }
        self
    }

    /// Registers a dynamic workflow under each of the names.
    pub fn dynamic_workflows<W: DynamicWorkflow>(mut self, names: impl IntoIterator<Item: Into<String>>) -> Self {
        for name in names {
            self = dynamic::named(&name.into(), || self.workflow::<Dynamic<W>>());
        }
        self
    }

    /// Reads payloads in another way than the SDK's default: with the codec of the worker, for instance.
    pub fn data_converter(mut self, converter: DataConverter) -> Self {
        self.options.data_converter = converter;
        self
    }

    /// Replays all histories, and says how many there were. Blocks the thread; not for use within a Tokio runtime.
    ///
    /// # Errors
    /// There is none, one cannot be read, or the code does not fit one. All that fail are named.
    pub fn run(self) -> Result<usize, ReplayError> {
        if let Some(problem) = self.problems.into_iter().next() {
            return Err(ReplayError::Setup(problem));
        }
        let (mut paths, mut histories, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        let files = files(&self.directory)?;
        let of = files.len();
        for path in files {
            let bytes = fs::read(&path).map_err(|source| ReplayError::Read {
                path: path.clone(),
                source,
            })?;
            match WorkflowHistory::from_json(&bytes) {
                Ok(history) => {
                    paths.push(path);
                    histories.push(history);
                }
                Err(error) => failed.push((path, format!("not a history: {}", crate::chain(&error)))),
            }
        }
        let setup = |text: String| ReplayError::Setup(text);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| setup(error.to_string()))?;
        let replayer = WorkflowReplayer::new(self.options).map_err(|error| setup(crate::chain(&error)))?;
        let results = runtime
            .block_on(replayer.replay_workflows(histories))
            .map_err(|error| setup(crate::chain(&error)))?;
        for (path, result) in paths.into_iter().zip(results) {
            if let Some(failure) = result.replay_failure {
                failed.push((path, failure.to_string()));
            }
        }
        if failed.is_empty() {
            Ok(of)
        } else {
            Err(ReplayError::Histories { failed, of })
        }
    }
}

/// The histories of a directory, sorted by name; at least one.
fn files(directory: &Path) -> Result<Vec<PathBuf>, ReplayError> {
    let read = || {
        let entries: io::Result<Vec<_>> = fs::read_dir(directory)?.collect();
        Ok(entries?.into_iter().map(|entry| entry.path()))
    };
    let paths = read().map_err(|source| ReplayError::Read {
        path: directory.to_owned(),
        source,
    })?;
    let mut files: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(ReplayError::Empty(directory.to_owned()));
    }
    Ok(files)
}
