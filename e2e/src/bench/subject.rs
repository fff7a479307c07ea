//! A worker process that is measured: started, watched from outside, ended by its process ID.

use std::{fs, path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

const PATIENCE: Duration = Duration::from_mins(1);

/// Ports of a worker that are free now.
#[derive(Debug, Clone, Copy)]
pub(super) struct WorkerPorts {
    /// `/metrics`.
    pub(super) metrics: u16,
    /// `WorkerControl`.
    pub(super) control: u16,
    /// `/readyz`.
    pub(super) health: u16,
}

/// CPU time and memory of a process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    /// Seconds of CPU time of all its threads since its start; Linux counts them in steps of 10 ms.
    pub(super) cpu_seconds: f64,
    /// Resident memory in MiB.
    pub(super) resident_mib: f64,
}

/// A process. Killed when dropped.
#[derive(Debug)]
pub(super) struct Subject {
    child: Child,
    id: u32,
}

impl WorkerPorts {
    /// Three that differ.
    pub(super) async fn free() -> Result<Self> {
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(TcpListener::bind(("127.0.0.1", 0)).await?);
        }
        let mut ports = held.iter().map(|each| each.local_addr().map(|address| address.port()));
        let mut next = || ports.next().context("a port")?.context("its number");
        Ok(Self {
            metrics: next()?,
            control: next()?,
            health: next()?,
        })
    }
}

impl Subject {
    /// Starts a worker; `GET path` at the port tells when it is there. Gives the time that this took, too.
    pub(super) async fn start(mut command: Command, port: u16, path: &str) -> Result<(Self, Duration)> {
        let began = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("failed to run {}", command.as_std().get_program().display()))?;
        let id = child.id().context("a process that has just started")?;
        let mut subject = Self { child, id };
        while !get(port, path)
            .await
            .is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
        {
            if let Some(status) = subject.child.try_wait()? {
                bail!("the worker ended ({status})");
            }
            ensure!(began.elapsed() < PATIENCE, "the worker is not there after {PATIENCE:?}");
            sleep(Duration::from_millis(2)).await;
        }
        Ok((subject, began.elapsed()))
    }

    /// What it used so far.
    pub(super) fn usage(&self) -> Result<Usage> {
        let proc = Path::new("/proc").join(self.id.to_string());
        let stat = fs::read_to_string(proc.join("stat"))?;
        let status = fs::read_to_string(proc.join("status"))?;
        usage(&stat, &status).context("/proc has another form than expected")
    }

    /// Ends it as a kubelet would; it has ten seconds.
    pub(super) async fn stop(mut self) -> Result<()> {
        let pid = Pid::from_raw(self.id.cast_signed()).context("a process ID")?;
        kill_process(pid, Signal::TERM)?;
        // One that takes longer is killed, and nothing is measured any more.
        if let Ok(status) = timeout(Duration::from_secs(10), self.child.wait()).await {
            status?;
        }
        Ok(())
    }
}

/// The answer to a GET request to this machine; none if nobody listens.
pub(super) async fn get(port: u16, path: &str) -> Option<String> {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    };
    timeout(Duration::from_secs(5), ask).await.ok().flatten()
}

fn usage(stat: &str, status: &str) -> Option<Usage> {
    // The second field is the program's name in parentheses and may hold blanks; utime and stime are the 14th and 15th.
    let fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let ticks: Vec<f64> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = resident.trim().strip_suffix("kB")?.trim().parse().ok()?;
    (ticks.len() == 2).then(|| Usage {
        cpu_seconds: ticks.iter().sum::<f64>() / 100.0,
        resident_mib: kib / 1_024.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_whatever_the_name() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 150 25 0 0 20 0 5 0 1 2 3";
        let usage = usage(stat, "Name:\tx\nVmRSS:\t   2048 kB\n").expect("both");
        assert!(
            (usage.cpu_seconds - 1.75).abs() < 1e-9 && (usage.resident_mib - 2.0).abs() < 1e-9,
            "{usage:?}"
        );
    }
}
