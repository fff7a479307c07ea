//! Where everything of the local cluster lies, and the addresses it uses. Owns names and numbers only; touches nothing.

use std::env;
use std::path::{Path, PathBuf};

use super::error::{Error, Result};

/// Name of the only node.
pub const NODE: &str = "local-node";
/// The bridge that all pods hang on; a link name has at most 15 bytes.
pub const BRIDGE: &str = "tfleet0";
/// Address of the node on the bridge; the API server and the kubelet listen here and nowhere else.
pub const NODE_IP: &str = "10.244.0.1";
/// Addresses of pods.
pub const POD_RANGE: &str = "10.244.0.0/24";
/// Addresses of Services.
pub const SERVICE_RANGE: &str = "10.96.0.0/16";
/// The Service `kubernetes`.
pub const API_SERVICE_IP: &str = "10.96.0.1";
/// The Service of the cluster's DNS.
pub const DNS_IP: &str = "10.96.0.10";
/// The Service of Temporal's frontend: fixed, so that host processes (the UI, load) need no DNS of the cluster.
pub const TEMPORAL_IP: &str = "10.96.0.20";
/// Port of Temporal's frontend.
pub const TEMPORAL_PORT: u16 = 7233;
/// User and group of every image that is not told otherwise.
pub const NONROOT: u32 = 65532;

/// Folders of the cluster; all below one root outside any clone, so that several clones share what was built.
#[derive(Debug, Clone)]
pub struct Layout {
    cache: PathBuf,
}

impl Layout {
    /// The layout of this user: `${XDG_CACHE_HOME:-$HOME/.cache}/temporal-fleet`.
    pub fn of_user() -> Result<Self> {
        let base = match env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
            Some(base) => PathBuf::from(base),
            None => env::home_dir()
                .ok_or_else(|| Error::Refused("neither XDG_CACHE_HOME nor HOME is set".to_owned()))?
                .join(".cache"),
        };
        Self::at(base.join("temporal-fleet"))
    }

    /// A layout below another folder. The path must be short: containerd's socket lies in it and sockets have 107 bytes.
    pub fn at(cache: impl Into<PathBuf>) -> Result<Self> {
        let layout = Self { cache: cache.into() };
        let socket = layout.containerd_socket();
        if !socket.is_absolute() || socket.as_os_str().len() > 107 {
            return Err(Error::Refused(format!(
                "{} is no absolute path of at most 107 bytes: set XDG_CACHE_HOME to a shorter folder",
                socket.display()
            )));
        }
        Ok(layout)
    }

    /// Programs built from the pinned Go modules, and images made of them.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// All state of the cluster itself; gone after `down --purge`.
    pub fn root(&self) -> PathBuf {
        self.cache.join("cluster")
    }

    /// One program built by `make setup`; an error names it if it is not there.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let path = self.cache.join("bin").join(name);
        if path.exists() {
            Ok(path)
        } else {
            Err(Error::Missing {
                what: path.display().to_string(),
            })
        }
    }

    /// Image archives of the add-ons.
    pub fn archives(&self) -> PathBuf {
        self.cache.join("images")
    }

    /// Configuration files, rewritten by each `up`.
    pub fn config(&self, name: &str) -> PathBuf {
        self.root().join("etc").join(name)
    }

    /// Certificates, keys and kubeconfigs; kept by `down`.
    pub fn pki(&self, name: &str) -> PathBuf {
        self.root().join("pki").join(name)
    }

    /// Pid files, sockets and what `down` needs to restore the machine.
    pub fn run(&self, name: &str) -> PathBuf {
        self.root().join("run").join(name)
    }

    /// Data of components.
    pub fn state(&self, name: &str) -> PathBuf {
        self.root().join("state").join(name)
    }

    /// Folder of the logs, one file per component.
    pub fn logs(&self) -> PathBuf {
        self.root().join("logs")
    }

    /// Log of one component.
    pub fn log(&self, component: &str) -> PathBuf {
        self.logs().join(format!("{component}.log"))
    }

    /// The kubeconfig of the cluster's administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.pki("admin.kubeconfig")
    }

    /// The socket of our own containerd.
    pub fn containerd_socket(&self) -> PathBuf {
        self.run("containerd/containerd.sock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_too_long_for_a_socket_is_refused_with_advice() {
        let error = Layout::at(format!("/{}", "x".repeat(100))).expect_err("too long");
        assert!(error.to_string().contains("XDG_CACHE_HOME"), "{error}");
        assert!(Layout::at("/root/.cache/temporal-fleet").is_ok());
    }

    #[test]
    fn a_program_that_was_not_built_names_the_target_that_builds_it() {
        let layout = Layout::at("/nonexistent").expect("layout");
        assert!(
            layout
                .program("etcd")
                .expect_err("missing")
                .to_string()
                .contains("make setup")
        );
    }
}
