//! `WorkerControl` as the operator calls it: over TLS, with the fleet's certificate and token.

use std::{path::PathBuf, sync::Arc, time::Duration};

use fleet_proto::v1::{
    DrainProgress, DrainRequest, ReportRequest, ReportResponse, WatchRequest,
    worker_control_client::WorkerControlClient,
};
use fleet_worker::Ended;
use tokio::runtime::Runtime;
use tonic::{
    Request, Status, Streaming,
    transport::{Certificate, Channel, ClientTlsConfig},
};

use crate::{
    fake::Frontend,
    support::{settings, spawn},
};

/// A control directory as the operator mounts it; the certificate is its own authority.
pub(crate) fn control_dir(name: &str) -> (PathBuf, String) {
    let directory = std::env::temp_dir().join(format!("fleet-worker-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let made = rcgen::generate_simple_self_signed(vec!["f.control".to_owned()]).expect("a certificate");
    std::fs::write(directory.join("tls.crt"), made.cert.pem()).expect("written");
    std::fs::write(directory.join("tls.key"), made.signing_key.serialize_pem()).expect("written");
    std::fs::write(directory.join("token"), "the-token\n").expect("written");
    (directory, made.cert.pem())
}

/// The operator's side of one pod.
pub(crate) struct Operator {
    runtime: Runtime,
    client: WorkerControlClient<Channel>,
    token: String,
}

impl Operator {
    pub(crate) fn new(port: u16, certificate: &str, token: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let within = runtime.enter();
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(certificate))
            .domain_name("f.control");
        let channel = Channel::from_shared(format!("https://127.0.0.1:{port}"))
            .expect("an address")
            .tls_config(tls)
            .expect("TLS")
            .connect_lazy();
        drop(within);
        Self {
            runtime,
            client: WorkerControlClient::new(channel),
            token: format!("Bearer {token}"),
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let token = self.token.parse().expect("a header");
        request.metadata_mut().insert("authorization", token);
        request
    }

    pub(crate) fn report(&self) -> Result<ReportResponse, Status> {
        let call = async { self.client.clone().report(self.request(ReportRequest {})).await };
        Ok(self.runtime.block_on(call)?.into_inner())
    }

    pub(crate) fn drain(&self) -> Result<DrainProgress, Status> {
        let call = async { self.client.clone().drain(self.request(DrainRequest {})).await };
        let answer = self.runtime.block_on(call)?.into_inner();
        Ok(answer.progress.expect("a pod that drains tells its progress"))
    }

    fn watch(&self, interval_ms: u32) -> Streaming<ReportResponse> {
        let call = async {
            self.client
                .clone()
                .watch(self.request(WatchRequest { interval_ms }))
                .await
        };
        self.runtime.block_on(call).expect("a stream").into_inner()
    }

    /// The next report of a stream; `None` at its end.
    fn next(&self, stream: &mut Streaming<ReportResponse>) -> Option<ReportResponse> {
        let next = async { tokio::time::timeout(Duration::from_secs(10), stream.message()).await };
        self.runtime.block_on(next).expect("in time").ok().flatten()
    }
}

#[test]
fn a_watcher_gets_reports_at_once_then_at_its_interval() {
    let frontend = Arc::new(Frontend::default());
    frontend.state().completes_polls = true;
    let (directory, certificate) = control_dir("watch");
    let mut settings = settings(&[]);
    settings.control_dir = Some(directory.clone());
    let worker = spawn(&frontend, settings);
    let operator = Operator::new(worker.ports().control, &certificate, "the-token");
    // 1 is below the bounds: 100 ms.
    let mut stream = operator.watch(1);
    let uptimes: Vec<u64> = (0..4)
        .map(|_| operator.next(&mut stream).expect("a report").uptime_ms)
        .collect();
    let gaps: Vec<u64> = uptimes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Measured by the pod itself; a tick may come up to a few milliseconds late, and the next one then early.
    assert!(gaps.iter().all(|gap| *gap >= 80), "{gaps:?}");

    let refused = Operator::new(worker.ports().control, &certificate, "another");
    let call = async {
        refused
            .client
            .clone()
            .watch(refused.request(WatchRequest::default()))
            .await
    };
    assert!(refused.runtime.block_on(call).is_err(), "no report without the token");

    worker.stop();
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
    while operator.next(&mut stream).is_some() {}
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn a_watcher_learns_of_a_drain_when_it_happens() {
    let frontend = Arc::new(Frontend::default());
    let (directory, certificate) = control_dir("watch-drain");
    let mut settings = settings(&[]);
    settings.control_dir = Some(directory.clone());
    let worker = spawn(&frontend, settings);
    let operator = Operator::new(worker.ports().control, &certificate, "the-token");
    // Longer than this test is patient: what comes in between comes because of a change.
    let mut stream = operator.watch(60_000);
    let first = operator.next(&mut stream).expect("a report");
    assert!(!first.draining && first.drain.is_none());
    operator.drain().expect("accepted");
    let second = operator.next(&mut stream).expect("a report");
    assert!(second.draining);
    let last = if second.drain.is_some_and(|drain| drain.drained) {
        second
    } else {
        operator.next(&mut stream).expect("a report")
    };
    assert!(last.drain.is_some_and(|drain| drain.drained), "{last:?}");
    worker.stop();
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
    let _ = std::fs::remove_dir_all(directory);
}
