//! The pinned Temporal server as one plain process on the loopback interface: for a laptop, for tests that need no cluster, and
//! for benchmarks. Configured as the one in the cluster; its state is a file in a folder of the caller's.

use std::{
    fs, io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_yaml::Value;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use crate::cluster::temporal;

/// From start to the first answer; a busy machine takes its time.
const PATIENCE: Duration = Duration::from_mins(2);
/// From SIGTERM to SIGKILL.
const LAST_WORDS: Duration = Duration::from_secs(10);
const MANIFEST: &str = include_str!("../manifests/temporal.yaml");
const LOOPBACK: &str = "127.0.0.1";

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be written, or the program not be started.
    #[error("failed to {action} {path}", path = path.display())]
    File {
        /// The verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No free port on the loopback interface.
    #[error("no free port at {LOOPBACK}")]
    Port(#[source] io::Error),
    /// The port is in use.
    #[error("port {0} at {LOOPBACK} is in use: does another Temporal server run?")]
    Taken(u16),
    /// The manifest of the cluster's server does not hold the configuration that is expected there.
    #[error("e2e/manifests/temporal.yaml: {0}")]
    Manifest(String),
    /// It ended, or did not serve in time.
    #[error("the Temporal server does not serve: {reason}; its log: {log}")]
    Silent {
        /// The last answer.
        reason: String,
        /// The end of its log.
        log: String,
    },
}

/// The ports that the server listens on.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    frontend: u16,
    http: u16,
    /// Of matching and history.
    grpc: [u16; 2],
    /// Of frontend, matching, history and worker.
    membership: [u16; 4],
}

/// A server that runs. Ends with this value.
#[derive(Debug)]
pub struct DevServer {
    child: Child,
    address: String,
    log: PathBuf,
}

impl Ports {
    /// The usual ones: clients need no setting.
    pub const USUAL: Self = Self {
        frontend: 7233,
        http: 7243,
        grpc: [7235, 7234],
        membership: [6933, 6935, 6934, 6939],
    };

    /// Ports that are free now.
    pub fn free() -> Result<Self, Error> {
        // All are held until the last is known, so that they differ.
        let held: Vec<TcpListener> = (0..8)
            .map(|_| TcpListener::bind((LOOPBACK, 0)))
            .collect::<Result<_, _>>()
            .map_err(Error::Port)?;
        let mut ports = held
            .iter()
            .filter_map(|each| each.local_addr().ok().map(|address| address.port()));
        let mut next = || ports.next().unwrap_or_default();
        Ok(Self {
            frontend: next(),
            http: next(),
            grpc: [next(), next()],
            membership: [next(), next(), next(), next()],
        })
    }
}

impl DevServer {
    /// Starts the program with its state in `dir`, and waits until it serves the Temporal namespace `default`.
    pub async fn start(program: &Path, dir: &Path, ports: Ports) -> Result<Self, Error> {
        if TcpListener::bind((LOOPBACK, ports.frontend)).is_err() {
            return Err(Error::Taken(ports.frontend));
        }
        let file = |action, path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { action, path, source }
        };
        let config = dir.join("config");
        fs::create_dir_all(&config).map_err(file("create", &config))?;
        for (name, text) in [
            ("local.yaml", config_text(dir, ports)?),
            ("dynamic.yaml", "{}\n".to_owned()),
        ] {
            let path = config.join(name);
            fs::write(&path, text).map_err(file("write", &path))?;
        }
        let log = dir.join("server.log");
        let output = fs::File::create(&log).map_err(file("create", &log))?;
        let errors = output.try_clone().map_err(file("open", &log))?;
        let child = Command::new(program)
            .arg("--root")
            .arg(dir)
            .args(["--config", "config", "--env", "local", "--allow-no-auth", "start"])
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .map_err(file("run", program))?;
        let mut server = Self {
            child,
            address: format!("{LOOPBACK}:{}", ports.frontend),
            log,
        };
        server.wait_until_it_serves().await?;
        Ok(server)
    }

    async fn wait_until_it_serves(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reason = match temporal::try_register(&self.address, "default").await {
                Ok(()) => return Ok(()),
                Err(reason) => reason,
            };
            let ended = self.child.try_wait().ok().flatten();
            if ended.is_some() || Instant::now() >= deadline {
                return Err(Error::Silent {
                    reason: ended.map_or(reason, |status| format!("it ended ({status})")),
                    log: self.last_words(),
                });
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// `host:port` of its frontend.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What it logs.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until it ends by itself, which it should not.
    pub async fn ended(&mut self) -> Error {
        let reason = match self.child.wait().await {
            Ok(status) => format!("it ended ({status})"),
            Err(error) => error.to_string(),
        };
        Error::Silent {
            reason,
            log: self.last_words(),
        }
    }

    /// Ends it in order, or by force after ten seconds.
    pub async fn stop(mut self) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(pid) = pid
            && kill_process(pid, Signal::TERM).is_ok()
        {
            // Dropped, it is killed.
            let _ = timeout(LAST_WORDS, self.child.wait()).await;
        }
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

/// The configuration of the cluster's server, with these ports at the loopback interface and its files in `dir`.
fn config_text(dir: &Path, ports: Ports) -> Result<String, Error> {
    let broken = |what: &str| Error::Manifest(what.to_owned());
    let map = MANIFEST
        .split("\n---\n")
        .find(|document| document.contains("kind: ConfigMap"))
        .ok_or_else(|| broken("no ConfigMap"))?;
    let map: Value = serde_yaml::from_str(map).map_err(|error| broken(&error.to_string()))?;
    let text = map["data"]["local.yaml"]
        .as_str()
        .ok_or_else(|| broken("no local.yaml"))?;
    let mut config: Value = serde_yaml::from_str(text).map_err(|error| broken(&error.to_string()))?;
    let Ports {
        frontend,
        http,
        grpc: [matching, history],
        membership,
    } = ports;
    let grpc = [Some(frontend), Some(matching), Some(history), None];
    let services = ["frontend", "matching", "history", "worker"];
    for ((name, grpc), membership) in services.into_iter().zip(grpc).zip(membership) {
        let rpc = &mut config["services"][name]["rpc"];
        rpc["bindOnIP"] = LOOPBACK.into();
        rpc["membershipPort"] = membership.into();
        if let Some(grpc) = grpc {
            rpc["grpcPort"] = grpc.into();
        }
    }
    config["services"]["frontend"]["rpc"]["httpPort"] = http.into();
    let active = &mut config["clusterMetadata"]["clusterInformation"]["active"];
    active["rpcAddress"] = format!("{LOOPBACK}:{frontend}").into();
    active["httpAddress"] = format!("{LOOPBACK}:{http}").into();
    let at = |name: &str| Value::from(dir.join(name).display().to_string());
    config["persistence"]["datastores"]["file"]["sql"]["databaseName"] = at("temporal.db");
    config["dynamicConfigClient"]["filepath"] = at("config/dynamic.yaml");
    // Nobody scrapes it here, and the port would be one more.
    if let Some(global) = config["global"].as_mapping_mut() {
        global.remove("metrics");
    }
    serde_yaml::to_string(&config).map_err(|error| broken(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_the_clusters_on_the_loopback_interface() {
        let text = config_text(Path::new("/somewhere"), Ports::USUAL).expect("the manifest");
        let config: Value = serde_yaml::from_str(&text).expect("YAML");
        let frontend = &config["services"]["frontend"]["rpc"];
        assert_eq!(
            (frontend["grpcPort"].as_u64(), frontend["bindOnIP"].as_str()),
            (Some(7233), Some(LOOPBACK))
        );
        assert_eq!(
            config["persistence"]["datastores"]["file"]["sql"]["databaseName"].as_str(),
            Some("/somewhere/temporal.db")
        );
        assert_eq!(config["persistence"]["numHistoryShards"].as_u64(), Some(1));
        for elsewhere in ["0.0.0.0", "/data", "/etc", "metrics"] {
            assert!(!text.contains(elsewhere), "{elsewhere} in {text}");
        }
    }

    #[test]
    fn free_ports_differ() {
        let Ports {
            frontend,
            http,
            grpc,
            membership,
        } = Ports::free().expect("ports");
        let mut all = [&[frontend, http][..], &grpc, &membership].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 8);
    }
}
