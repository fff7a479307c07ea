//! `kubectl temporal-worker`, as a user calls it.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use super::Fleet;
use crate::image::catalog;

/// What a verb of the plugin prints about a fleet; an error with its words if it fails.
pub async fn plugin(fleet: &Fleet, verb: &str, options: &[&str]) -> Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["run", "-q", "--bin", "kubectl-temporal_worker", "--"])
        .args([verb, &fleet.name, "-n", &fleet.namespace])
        .args(options)
        .current_dir(catalog::source_tree())
        .env("KUBECONFIG", fleet.access.kubeconfig())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("failed to run cargo")?;
    ensure!(
        output.status.success(),
        "kubectl temporal-worker {verb}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
