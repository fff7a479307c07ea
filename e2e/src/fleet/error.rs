//! Errors of looking at a cluster, each with what was tried.

use std::{path::PathBuf, process::ExitStatus};

/// Result of this module.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a cluster, or something in it, could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no cluster to talk to.
    #[error("no cluster: {0} (`make cluster-up` makes one; or give a kubeconfig of yours)")]
    NoCluster(String),
    /// The kubeconfig could not be used.
    #[error("failed to read the kubeconfig {}", path.display())]
    Kubeconfig {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<kube::config::KubeconfigError>,
    },
    /// The Kubernetes API refused or did not answer.
    #[error("failed to {what}")]
    Kubernetes {
        /// What was tried.
        what: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// The Kubernetes API did not answer in time.
    #[error("failed to {what}: no answer within {seconds} s")]
    Late {
        /// What was tried.
        what: String,
        /// For how long.
        seconds: u64,
    },
    /// The local cluster's containerd lacks an image or did not answer.
    #[error("failed to ask the local cluster for the image {reference}")]
    Image {
        /// Which.
        reference: String,
        /// Why.
        #[source]
        source: Box<crate::cluster::Error>,
    },
    /// A program could not be started.
    #[error("failed to run {command} (`make setup` installs it)")]
    Start {
        /// The whole command.
        command: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A program ended with an error.
    #[error("{command} failed ({status}): {output}")]
    Command {
        /// The whole command.
        command: String,
        /// Its exit.
        status: ExitStatus,
        /// What it wrote.
        output: String,
    },
    /// A manifest could not be read.
    #[error("failed to read {}: {reason}", path.display())]
    Manifest {
        /// File or folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Something that was waited for did not come.
    #[error("waited {seconds} s for {what}; now: {now}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
        /// What was there instead.
        now: String,
    },
    /// Temporal could not be reached from here.
    #[error("failed to reach Temporal at {address}: {reason}")]
    Temporal {
        /// Its address in the cluster.
        address: String,
        /// Why.
        reason: String,
    },
}

impl Error {
    /// For `map_err`: a refusal by the Kubernetes API while trying `what`.
    pub fn kubernetes(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let what = what.into();
        move |source| Self::Kubernetes {
            what,
            source: Box::new(source),
        }
    }
}
