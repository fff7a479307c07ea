//! What can go wrong with the local cluster. Every message says what was tried; a component that died brings its last
//! log lines along, so that nobody has to know where logs lie to learn why.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A failure of `up`, `down`, `status` or one of their steps.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read, written or removed.
    #[error("failed to {action} {path}", path = path.display())]
    File {
        /// The verb, as in "failed to write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program could not be started at all.
    #[error("failed to run {command}")]
    Run {
        /// The command line.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// A program ran and said no.
    #[error("{command} failed ({status}): {output}")]
    Command {
        /// The command line.
        command: String,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// What it wrote, standard error first.
        output: String,
    },
    /// Something that `make setup` provides is not there.
    #[error("{what} is missing: run `make setup`")]
    Missing {
        /// The program or file.
        what: String,
    },
    /// A component of the cluster ended while others waited for it.
    #[error("{component} died; the end of {log}:\n{tail}", log = log.display())]
    Died {
        /// Its name, also that of its log file.
        component: String,
        /// The whole log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {after:?}: {last}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
        /// What was seen last.
        last: String,
    },
    /// A certificate or key could not be made.
    #[error("failed to make the certificate of {name}")]
    Certificate {
        /// Its file name.
        name: String,
        /// Why.
        source: rcgen::Error,
    },
    /// The API server refused or could not be reached.
    #[error("failed to {action}")]
    Kubernetes {
        /// What was tried.
        action: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// The kubeconfig does not make a client.
    #[error("failed to read the kubeconfig {path}", path = path.display())]
    Kubeconfig {
        /// Where it lies.
        path: PathBuf,
        /// Why.
        source: Box<kube::config::KubeconfigError>,
    },
    /// An image could not be written or read.
    #[error(transparent)]
    Image(#[from] crate::image::Error),
    /// Something of the machine stands in the way.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// Wraps an I/O error about a file; `action` is a verb.
    pub fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    /// Wraps an error of the Kubernetes client; `action` is a phrase with a verb.
    pub fn kubernetes(action: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let action = action.into();
        move |source| Self::Kubernetes {
            action,
            source: Box::new(source),
        }
    }
}

/// The result of a step of the local cluster.
pub type Result<T, E = Error> = std::result::Result<T, E>;
