//! Programs of this source tree, as a user calls them.

use std::{ffi::OsStr, process::Stdio};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::image::catalog;

/// What a program prints; an error with its words if it fails. It is built first if it is not.
pub async fn run(name: &str, args: &[&str], env: &[(&str, &OsStr)]) -> Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["run", "-q", "--bin", name, "--"])
        .args(args)
        .current_dir(catalog::source_tree())
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("failed to run cargo")?;
    let (said, complaint) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    ensure!(
        output.status.success(),
        "{name} {}: {}{}",
        args.join(" "),
        complaint.trim(),
        said.trim()
    );
    Ok(said.into_owned())
}
