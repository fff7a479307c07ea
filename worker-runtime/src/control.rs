//! Port 9465: `WorkerControl`, by which the operator reads and drains this pod.
//!
//! TLS with the certificate of the control directory, and the fleet's token on every call. The files are read again when they change.
//! Served by the keeper's runtime, which no task shares, so a report is answered while all worker threads are busy.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use fleet_proto::v1::{
    DrainProgress, DrainRequest, DrainResponse, Histogram, Inflight, Queue, ReportRequest, ReportResponse, Slots,
    TaskType as ProtoTaskType, WatchRequest,
    worker_control_server::{WorkerControl, WorkerControlServer},
};
use futures::{Stream, StreamExt, stream::BoxStream};
use tokio::time::MissedTickBehavior;
use tonic::{
    Request, Response, Status,
    transport::{Identity, Server, ServerTlsConfig, server::TcpIncoming},
};

use crate::{
    gate::{GateReport, TaskType},
    phase::Phase,
    pod::Pod,
    queues::{BOUNDS_MS, QueueReport},
    resources,
};

/// Running tasks listed in a report.
const INFLIGHT: usize = 200;

/// A caller that does not answer for twice as long is gone.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// The files of the control directory.
#[derive(Clone, PartialEq, Eq)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    token: String,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("failed to read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{0} is empty")]
    Empty(PathBuf),
    #[error("failed to use the listener")]
    Listen(#[source] std::io::Error),
    #[error("failed to serve with the certificate of the control directory")]
    Serve(#[source] tonic::transport::Error),
}

/// Serves for ever, with the files of `directory` as they are; waits for them if they are missing.
pub(crate) async fn serve(listener: TcpListener, directory: PathBuf, pod: Arc<Pod>, poll_interval: Duration) {
    let mut complained = String::new();
    loop {
        let outcome = match read(&directory) {
            Ok(files) => serve_with(&listener, &directory, files, &pod, poll_interval).await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            let text = crate::chain(&error);
            if text != complained {
                tracing::warn!(error = text, "WorkerControl is not served");
                complained = text;
            }
            tokio::time::sleep(poll_interval).await;
        }
    }
}

/// Serves until the files change.
async fn serve_with(
    listener: &TcpListener,
    directory: &Path,
    files: Files,
    pod: &Arc<Pod>,
    poll_interval: Duration,
) -> Result<(), Error> {
    let incoming =
        tokio::net::TcpListener::from_std(listener.try_clone().map_err(Error::Listen)?).map_err(Error::Listen)?;
    let expected = format!("Bearer {}", files.token);
    let authorized = move |request: Request<()>| {
        let given = request
            .metadata()
            .get("authorization")
            .map_or(&b""[..], |value| value.as_bytes());
        if same(given, expected.as_bytes()) {
            Ok(request)
        } else {
            Err(Status::unauthenticated("the fleet's token is missing or wrong"))
        }
    };
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(&files.certificate, &files.key));
    let serving = Server::builder()
        .tls_config(tls)
        .map_err(Error::Serve)?
        // A watcher that vanished without a word is noticed.
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_service(WorkerControlServer::with_interceptor(
            Service(Arc::clone(pod)),
            authorized,
        ))
        .serve_with_incoming(TcpIncoming::from(incoming));
    tokio::select! {
        result = serving => result.map_err(Error::Serve),
        () = changed(directory, &files, poll_interval) => Ok(()),
    }
}

/// Ends when the directory holds other, readable files.
async fn changed(directory: &Path, current: &Files, poll_interval: Duration) {
    loop {
        tokio::time::sleep(poll_interval).await;
        if read(directory).is_ok_and(|files| files != *current) {
            return;
        }
    }
}

fn read(directory: &Path) -> Result<Files, Error> {
    let read = |name: &str| {
        let path = directory.join(name);
        match std::fs::read(&path) {
            Ok(content) if content.is_empty() => Err(Error::Empty(path)),
            Ok(content) => Ok(content),
            Err(source) => Err(Error::Read { path, source }),
        }
    };
    let token = String::from_utf8_lossy(&read("token")?).trim().to_owned();
    Ok(Files {
        certificate: read("tls.crt")?,
        key: read("tls.key")?,
        token,
    })
}

/// Compares in a time that does not depend on where the two differ.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |sum, (l, r)| sum | (l ^ r)) == 0
}

struct Service(Arc<Pod>);

#[tonic::async_trait]
impl WorkerControl for Service {
    async fn report(&self, _: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        Ok(Response::new(report(&self.0, Instant::now())))
    }

    type WatchStream = BoxStream<'static, Result<ReportResponse, Status>>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let every = interval(request.into_inner().interval_ms);
        Ok(Response::new(watch(Arc::clone(&self.0), every).boxed()))
    }

    async fn drain(&self, _: Request<DrainRequest>) -> Result<Response<DrainResponse>, Status> {
        let (pod, now) = (&self.0, Instant::now());
        pod.phases.ask_to_drain(now);
        Ok(Response::new(DrainResponse {
            progress: report(pod, now).drain,
        }))
    }
}

/// Time between two reports of a `Watch`, from what was asked for.
fn interval(asked_ms: u32) -> Duration {
    let ms = if asked_ms == 0 {
        1_000
    } else {
        asked_ms.clamp(100, 60_000)
    };
    Duration::from_millis(ms.into())
}

/// Reports at once, once per interval, and at each change of phase. Nothing happens while nobody reads.
fn watch(pod: Arc<Pod>, every: Duration) -> impl Stream<Item = Result<ReportResponse, Status>> {
    let changes = pod.phases.subscribe();
    let mut ticks = tokio::time::interval(every);
    // A caller that was slow to read gets the next report, not all that it missed.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    futures::stream::unfold((pod, changes, ticks), |(pod, mut changes, mut ticks)| async move {
        tokio::select! {
            _ = ticks.tick() => {}
            changed = changes.changed() => changed.ok()?,
        }
        let report = report(&pod, Instant::now());
        Some((Ok(report), (pod, changes, ticks)))
    })
}

/// The state of this moment.
pub(crate) fn report(pod: &Pod, now: Instant) -> ReportResponse {
    let gates: Vec<_> = pod.gates.all().map(|gate| gate.report(INFLIGHT, now)).collect();
    let mut inflight: Vec<Inflight> = gates
        .iter()
        .flat_map(|gate| {
            gate.running.iter().map(|(name, age)| Inflight {
                r#type: proto(gate.task_type).into(),
                name: name.to_string(),
                age_ms: millis(*age),
            })
        })
        .collect();
    inflight.sort_by_key(|task| std::cmp::Reverse(task.age_ms));
    inflight.truncate(INFLIGHT);
    let phase = pod.phases.get();
    let used = resources::read();
    #[expect(
        clippy::disallowed_methods,
        reason = "for display: the contract wants the wall clock of the pod"
    )]
    let wall_clock = SystemTime::now().duration_since(UNIX_EPOCH);
    ReportResponse {
        at_unix_ms: wall_clock.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
        uptime_ms: millis(pod.uptime(now)),
        identity: pod.identity.clone(),
        runtime_version: env!("CARGO_PKG_VERSION").to_owned(),
        draining: phase != Phase::Serving,
        queues: pod.queues.report().into_iter().map(queue).collect(),
        slots: gates
            .iter()
            .map(|gate| Slots {
                r#type: proto(gate.task_type).into(),
                used: gate.used,
                limit: gate.limit,
                completions: gate.completions,
                busy_slot_ms: gate.busy_slot_ms,
            })
            .collect(),
        inflight,
        resources: Some(fleet_proto::v1::Resources {
            cpu_ms: millis(used.cpu),
            memory_bytes: used.memory_bytes,
        }),
        reloads_credentials: true,
        drain: progress(phase, &gates, now),
    }
}

/// How far the drain is; `None` while the pod serves.
fn progress(phase: Phase, gates: &[GateReport], now: Instant) -> Option<DrainProgress> {
    let elapsed = phase.elapsed(now)?;
    let oldest = gates
        .iter()
        .filter_map(|gate| gate.running.first())
        .map(|(_, age)| *age);
    Some(DrainProgress {
        drained: matches!(phase, Phase::Drained { .. }),
        running: gates.iter().map(|gate| gate.used).sum(),
        oldest_age_ms: oldest.max().map_or(0, millis),
        // Local activities are not polled for; the SDK holds a slot for the next one all the same.
        open_polls: gates
            .iter()
            .filter(|gate| gate.task_type != TaskType::LocalActivity)
            .map(|gate| gate.open_polls)
            .sum(),
        elapsed_ms: millis(elapsed),
    })
}

fn queue(queue: QueueReport) -> Queue {
    let QueueReport {
        name,
        task_type,
        polled,
        counts,
    } = queue;
    Queue {
        name,
        r#type: proto(task_type).into(),
        polled,
        schedule_to_start: Some(Histogram {
            bounds_ms: BOUNDS_MS.to_vec(),
            counts,
        }),
    }
}

const fn proto(task_type: TaskType) -> ProtoTaskType {
    match task_type {
        TaskType::Workflow => ProtoTaskType::Workflow,
        TaskType::Activity => ProtoTaskType::Activity,
        TaskType::LocalActivity => ProtoTaskType::LocalActivity,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
