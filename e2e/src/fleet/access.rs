//! The way into a cluster: a Kubernetes client, and kubectl and Helm pointed at the same cluster.
//!
//! Which cluster is never guessed from the user's own defaults: it is the kubeconfig given, that of the environment
//! variable, or the local cluster's.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::{io::AsyncWriteExt, process::Command};

use super::error::{Error, Result};
use crate::cluster::Layout;

/// Longest wait for one answer of the Kubernetes API.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// One cluster.
#[derive(Clone)]
pub struct Access {
    /// Client of its API.
    pub client: Client,
    kubeconfig: PathBuf,
    is_local: bool,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("kubeconfig", &self.kubeconfig)
            .finish_non_exhaustive()
    }
}

impl Access {
    /// Opens the cluster of `kubeconfig`, else of `KUBECONFIG`, else the local one, and asks it for its version.
    pub async fn open(kubeconfig: Option<&Path>) -> Result<Self> {
        // An error means that the process has chosen a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let local = Layout::of_user().map(|layout| layout.kubeconfig()).ok();
        let given = kubeconfig.map(Path::to_owned).or_else(|| {
            std::env::var_os("KUBECONFIG")
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        });
        let path = match (given, &local) {
            (Some(path), _) => path,
            (None, Some(local)) if local.exists() => local.clone(),
            (None, _) => return Err(Error::NoCluster("neither KUBECONFIG nor a local cluster".to_owned())),
        };
        if !path.exists() {
            return Err(Error::NoCluster(format!("there is no file {}", path.display())));
        }
        let broken = |source| Error::Kubeconfig {
            path: path.clone(),
            source: Box::new(source),
        };
        let file = Kubeconfig::read_from(&path).map_err(broken)?;
        let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
            .await
            .map_err(broken)?;
        config.connect_timeout = Some(Duration::from_secs(5));
        let client = Client::try_from(config).map_err(Error::kubernetes("make a Kubernetes client"))?;
        match tokio::time::timeout(CALL_TIMEOUT, client.apiserver_version()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(Error::NoCluster(format!("{} does not answer: {error}", path.display()))),
            Err(_) => return Err(Error::NoCluster(format!("{} does not answer", path.display()))),
        }
        let is_local = local.is_some_and(|local| local == path);
        Ok(Self {
            client,
            kubeconfig: path,
            is_local,
        })
    }

    /// Whether this is the cluster that `make cluster-up` makes.
    pub fn is_local(&self) -> bool {
        self.is_local
    }

    /// The kubeconfig in use.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Runs kubectl and gives what it wrote.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.run("kubectl", args, None).await
    }

    /// Applies manifests, as `kubectl apply -f -` does.
    pub async fn apply(&self, objects: &[serde_json::Value]) -> Result<()> {
        let text = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        self.run("kubectl", &["apply", "-f", "-"], Some(&text)).await.map(drop)
    }

    /// Runs Helm and gives what it wrote.
    pub async fn helm(&self, args: &[&str]) -> Result<String> {
        self.run("helm", args, None).await
    }

    async fn run(&self, program: &str, args: &[&str], input: Option<&str>) -> Result<String> {
        let command = format!("{program} {}", args.join(" "));
        let failed = |source| Error::Start {
            command: command.clone(),
            source,
        };
        let mut child = Command::new(tool(program))
            .args(args)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
            // A program that stops reading early says why by its exit status, not through this pipe.
            pipe.write_all(input.as_bytes()).await.ok();
        }
        let output = child.wait_with_output().await.map_err(failed)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Err(Error::Command {
            command,
            status: output.status,
            output: text.trim().to_owned(),
        })
    }
}

/// The pinned program if `make setup` has built it, else whatever the user's PATH has.
fn tool(name: &str) -> OsString {
    Layout::of_user()
        .and_then(|layout| layout.program(name))
        .map_or_else(|_| OsString::from(name), PathBuf::into_os_string)
}

/// A deadline around one call of the Kubernetes API: the client has none of its own.
pub async fn answer<T>(what: &str, call: impl Future<Output = kube::Result<T>>) -> Result<T> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(result) => result.map_err(Error::kubernetes(what)),
        Err(_) => Err(Error::Late {
            what: what.to_owned(),
            seconds: CALL_TIMEOUT.as_secs(),
        }),
    }
}
