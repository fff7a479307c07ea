//! `status`: which components run, and for those that should and do not, their last words.

use std::fmt;

use super::components;
use super::config::Ports;
use super::kubernetes::{api_ready, client};
use super::layout::Layout;
use super::ports;
use super::process::{log_tail, running};
use super::temporal;

/// The state of the cluster at one moment.
#[derive(Debug)]
pub struct Status {
    /// Each component with its pid, or with the end of its log if it does not run.
    pub components: Vec<(&'static str, Result<u32, String>)>,
    /// What does not answer although its process runs.
    pub problems: Vec<String>,
    /// Where Prometheus and the UI listen.
    pub ports: Option<Ports>,
}

impl Status {
    /// Whether nothing is wrong.
    pub fn healthy(&self) -> bool {
        self.problems.is_empty() && self.components.iter().all(|(_, state)| state.is_ok())
    }

    /// Whether nothing runs at all.
    pub fn is_down(&self) -> bool {
        self.components.iter().all(|(_, state)| state.is_err())
    }
}

/// Looks at every component, and asks the API server and Temporal whether they serve.
pub async fn status(layout: &Layout) -> Status {
    let state = |name: &&'static str| (*name, running(layout, name).ok_or_else(|| log_tail(layout, name, 5)));
    let components: Vec<_> = components::ALL.iter().map(state).collect();
    let mut problems = Vec::new();
    if components.iter().any(|(_, state)| state.is_ok()) {
        let api = async { api_ready(layout, &client(layout).await?).await };
        let served = tokio::time::timeout(std::time::Duration::from_secs(5), api).await;
        match served {
            Ok(Ok(())) => {
                if let Err(error) = temporal::serving().await {
                    problems.push(error.to_string());
                }
            }
            Ok(Err(error)) => problems.push(error.to_string()),
            Err(_) => problems.push("the API server does not become ready".to_owned()),
        }
    }
    Status {
        components,
        problems,
        ports: ports::stored(layout),
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_down() {
            return writeln!(f, "the local cluster is down");
        }
        for (name, state) in &self.components {
            match state {
                Ok(pid) => writeln!(f, "{name:<24} running (pid {pid})")?,
                Err(tail) => write!(f, "{name:<24} NOT RUNNING; the end of its log:\n{tail}")?,
            }
        }
        for problem in &self.problems {
            writeln!(f, "PROBLEM: {problem}")?;
        }
        if let Some(ports) = self.ports {
            writeln!(f, "Temporal      {}", temporal::address())?;
            writeln!(f, "Temporal UI   http://127.0.0.1:{}", ports.ui)?;
            writeln!(f, "Prometheus    http://127.0.0.1:{}", ports.prometheus)?;
        }
        Ok(())
    }
}
