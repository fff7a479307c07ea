//! For tests only: someone who has just cloned this project and types what a page says.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;

use crate::{cluster::Layout, image::catalog};

/// How a shell is set up.
#[derive(Debug, Clone, Copy)]
pub enum Has<'a> {
    /// A clone and nothing else.
    Nothing,
    /// A cluster of the reader's: it is in the environment, with the tools for it.
    Cluster(&'a Layout),
}

/// Runs a script as a newcomer's shell would: without our programs in the path or a cluster in the environment, unless the reader has
/// these already. `variables` says where compilers put what tests need not build twice. Ends what the script leaves running; an error
/// holds the last lines of what was written.
pub async fn shell(
    folder: &Path,
    script: &str,
    has: Has<'_>,
    variables: &[(&str, &Path)],
    patience: Duration,
) -> Result<()> {
    let log = folder.join(format!("shell-{}.log", std::process::id()));
    let output = File::create(&log)?;
    let mut command = std::process::Command::new("bash");
    command
        .args(["-c", script])
        .current_dir(folder)
        .env_remove("KUBECONFIG")
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .env_remove("CARGO_TARGET_DIR")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0);
    for name in catalog::crate_variables() {
        command.env_remove(name);
    }
    let bin = Layout::of_user()?.cache().join("bin");
    let path = std::env::var("PATH").unwrap_or_default();
    let foreign: Vec<_> = path.split(':').filter(|dir| Path::new(dir) != bin).collect();
    match has {
        Has::Nothing => command.env("PATH", foreign.join(":")),
        Has::Cluster(layout) => command
            .env("KUBECONFIG", layout.kubeconfig())
            .env("PATH", format!("{}:{}", bin.display(), foreign.join(":"))),
    };
    let mut child = Command::from(command).kill_on_drop(true).spawn()?;
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let ended = tokio::time::timeout(patience, child.wait()).await;
    // Servers in the background, after a command that failed: the group lives as long as one of them.
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::TERM);
    }
    let text = fs::read(&log)?;
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(60)..].join("\n");
    let status = ended.with_context(|| format!("not done in {patience:?}: {tail}"))??;
    ensure!(status.success(), "a command of the page failed ({status}): {tail}");
    fs::remove_file(log)?;
    Ok(())
}

/// A clone of what is committed, in place of what is at `to`. Files that are not changed are as old as their originals, so that a shared
/// build folder serves both.
pub async fn clone(to: &Path) -> Result<PathBuf> {
    let source = fs::canonicalize(catalog::source_tree())?;
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    let (from, into) = (source.display().to_string(), to.display().to_string());
    let cloned = Command::new("git")
        .args(["clone", "--quiet", "--no-hardlinks", &from, &into])
        .status()
        .await?;
    ensure!(cloned.success(), "git clone {from} {into}");
    let files = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(to)
        .output()
        .await?;
    for file in String::from_utf8(files.stdout)?.split_terminator('\0') {
        keep_age(&source.join(file), &to.join(file)).with_context(|| format!("comparing {file}"))?;
    }
    Ok(to.to_owned())
}

/// Cargo decides by a file's age whether to compile it again: one with the same content is as old as its original.
fn keep_age(original: &Path, copy: &Path) -> Result<()> {
    if original.is_file() && copy.is_file() && fs::read(original)? == fs::read(copy)? {
        let age = fs::metadata(original)?.modified()?;
        File::options().write(true).open(copy)?.set_modified(age)?;
    }
    Ok(())
}
