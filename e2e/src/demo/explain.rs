//! The last screen: why the fleet has its size, in the words that a user gets.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::{fleet::Fleet, image::catalog};

/// What `kubectl temporal-worker explain` prints of the fleet.
pub(super) async fn explain(fleet: &Fleet) -> Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["run", "-q", "--bin", "kubectl-temporal_worker", "--"])
        .args(["explain", &fleet.name, "-n", &fleet.namespace])
        .current_dir(catalog::source_tree())
        .env("KUBECONFIG", fleet.access.kubeconfig())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("failed to run cargo")?;
    ensure!(
        output.status.success(),
        "kubectl temporal-worker explain: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
