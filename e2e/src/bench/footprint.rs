//! What the image's program costs before it does anything: start, memory, download, and being looked at.

use std::{fs, path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tokio::{process::Command, time::sleep};

use super::{
    Args, python,
    report::{Bar, Row},
    subject::{Subject, WorkerPorts},
};
use crate::{dev_server::DevServer, image::catalog};

/// Starts that are measured.
const STARTS: usize = 10;

/// All of it.
pub(super) async fn measure(args: &Args, server: &DevServer) -> Result<Vec<Row>> {
    let (mut starts, mut memory) = (Vec::new(), Vec::new());
    for index in 0..STARTS {
        let ports = WorkerPorts::free().await?;
        let mut command = Command::new(catalog::sample_worker_binary()?);
        python::environment(&mut command, server.address(), &format!("start-{index}"), ports);
        let (subject, took) = Subject::start(command, ports.health, "/readyz").await?;
        starts.push(took.as_secs_f64() * 1_000.0);
        memory.push(subject.usage()?.resident_mib);
        subject.stop().await?;
    }
    let [idle, watched] = reports(args, server).await?;
    let image = catalog::target_dir().join("images/sample-worker.tar");
    Ok(vec![
        Row::new("from start to having polled every queue", "ms", starts)?.with_bar(Bar::AtMost(1_000.0)),
        Row::new("resident memory before the first task", "MiB", memory)?.with_bar(Bar::AtMost(40.0)),
        Row::new("image, compressed (gzip)", "MB", vec![compressed_mb(&image).await?])?.with_bar(Bar::AtMost(30.0)),
        Row::new("one Report a second, of a core", "%", vec![(watched - idle) * 100.0])?.with_bar(Bar::AtMost(0.5)),
        Row::new("idle worker, of a core", "%", vec![idle * 100.0])?,
    ])
}

/// CPU time per second of an idle worker, alone and with a report each second.
async fn reports(args: &Args, server: &DevServer) -> Result<[f64; 2]> {
    let folder = tempfile::tempdir()?;
    let control = folder.path();
    let made = rcgen::generate_simple_self_signed(vec!["bench.control".to_owned()])?;
    fs::write(control.join("tls.crt"), made.cert.pem())?;
    fs::write(control.join("tls.key"), made.signing_key.serialize_pem())?;
    fs::write(control.join("token"), "token")?;

    let ports = WorkerPorts::free().await?;
    let mut command = Command::new(catalog::sample_worker_binary()?);
    python::environment(&mut command, server.address(), "reports", ports);
    command.env("TEMPORAL_FLEET_CONTROL_DIR", control);
    let (subject, _) = Subject::start(command, ports.health, "/readyz").await?;
    // What a start leaves to do is not part of being idle.
    sleep(Duration::from_secs(5)).await;

    let begin = subject.usage()?;
    sleep(Duration::from_secs(args.idle_seconds.into())).await;
    let middle = subject.usage()?;
    let reporter = Command::new(catalog::bench_worker()?)
        .args(["reports", &ports.control.to_string()])
        .arg(control)
        .arg(args.idle_seconds.to_string())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .status();
    ensure!(reporter.await?.success(), "the reports failed");
    let end = subject.usage()?;
    subject.stop().await?;
    let seconds = f64::from(args.idle_seconds);
    Ok([
        (middle.cpu_seconds - begin.cpu_seconds) / seconds,
        (end.cpu_seconds - middle.cpu_seconds) / seconds,
    ])
}

/// What a registry would send: millions of bytes.
async fn compressed_mb(archive: &Path) -> Result<f64> {
    let output = Command::new("gzip").arg("-c").arg(archive).output().await?;
    ensure!(
        output.status.success(),
        "gzip {}: {}; `make images` writes it",
        archive.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    u32::try_from(output.stdout.len())
        .map(|bytes| f64::from(bytes) / 1e6)
        .context("an image of more than 4 GB")
}
