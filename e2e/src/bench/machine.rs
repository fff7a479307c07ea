//! Where a benchmark ran, and how busy the machine was with other things.

use std::{fmt, fs, process::Command};

use anyhow::Result;
use serde::Serialize;

/// A machine and its load.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// Model of the CPU.
    pub(crate) cpu: String,
    /// How many there are.
    pub(crate) cpus: usize,
    /// The kernel.
    pub(crate) kernel: String,
    /// The commit that was measured, with `+` if files were changed.
    pub(crate) commit: String,
    /// Runnable processes, averaged over a minute, before the first measurement.
    pub(crate) load_before: f64,
    /// The same after the last one.
    pub(crate) load_after: Option<f64>,
}

impl Machine {
    /// This one.
    pub(crate) fn read() -> Result<Self> {
        let info = fs::read_to_string("/proc/cpuinfo")?;
        let field = |name: &str| info.lines().find(|line| line.starts_with(name));
        let cpu = field("model name").and_then(|line| line.split_once(": "));
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        Ok(Self {
            cpu: cpu.map_or("unknown", |(_, model)| model).to_owned(),
            cpus: std::thread::available_parallelism()?.get(),
            kernel: release.trim().to_owned(),
            commit: commit(),
            load_before: load()?,
            load_after: None,
        })
    }

    /// The measurements are over.
    pub(crate) fn with_load_at_the_end(mut self) -> Result<Self> {
        self.load_after = Some(load()?);
        Ok(self)
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cpu,
            cpus,
            kernel,
            commit,
            load_before,
            load_after,
        } = self;
        write!(f, "{cpus} x {cpu}, Linux {kernel}, commit {commit}, load {load_before}")?;
        load_after.map_or(Ok(()), |after| write!(f, " before and {after} after"))
    }
}

fn load() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

fn commit() -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    let commit = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|files| !files.is_empty());
    if changed { format!("{commit}+") } else { commit }
}
