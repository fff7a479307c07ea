//! The client against a real server over TLS, on a port of its own.

use std::net::Ipv4Addr;

use fleet_proto::v1::worker_control_server::{WorkerControl, WorkerControlServer};
use fleet_proto::v1::{DrainRequest, DrainResponse, WatchRequest};
use futures::stream::Empty;
use k8s_openapi::api::core::v1::Secret;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Response, Status};

use super::*;
use crate::control_secret;

struct Pod {
    token: String,
    answer: ReportResponse,
    silent: bool,
}

#[tonic::async_trait]
impl WorkerControl for Pod {
    async fn report(&self, request: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        if self.silent {
            std::future::pending::<()>().await;
        }
        let wanted = format!("Bearer {}", self.token);
        match request.metadata().get("authorization") {
            Some(token) if token == wanted.as_str() => Ok(Response::new(self.answer.clone())),
            _ => Err(Status::unauthenticated("no")),
        }
    }

    type WatchStream = Empty<Result<ReportResponse, Status>>;

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("a pod of an earlier version"))
    }

    async fn drain(&self, request: Request<DrainRequest>) -> Result<Response<DrainResponse>, Status> {
        let wanted = format!("Bearer {}", self.token);
        match request.metadata().get("authorization") {
            Some(token) if token == wanted.as_str() => Ok(Response::new(DrainResponse::default())),
            _ => Err(Status::unauthenticated("no")),
        }
    }
}

fn secret() -> (Secret, ControlCredentials) {
    let secret = control_secret::tests::made();
    let credentials = control_secret::credentials("orders", &secret).unwrap();
    (secret, credentials)
}

/// Serves `pod` with the certificate of `secret`.
async fn serve(pod: Pod, secret: &Secret) -> SocketAddr {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let data = secret.data.as_ref().unwrap();
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(&data["tls.crt"].0, &data["tls.key"].0));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder()
        .tls_config(tls)
        .unwrap()
        .add_service(WorkerControlServer::new(pod));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    address
}

fn answer() -> ReportResponse {
    ReportResponse {
        uptime_ms: 60_000,
        draining: true,
        reloads_credentials: true,
        queues: vec![
            v1::Queue {
                name: "orders".into(),
                r#type: v1::TaskType::Activity.into(),
                polled: true,
                schedule_to_start: Some(v1::Histogram {
                    bounds_ms: vec![100, 5000],
                    counts: vec![7, 2, 1],
                }),
            },
            v1::Queue {
                name: "orders".into(),
                r#type: v1::TaskType::Workflow.into(),
                polled: false,
                schedule_to_start: None,
            },
            // A histogram that does not fit its bounds, and a type of a later version.
            v1::Queue {
                name: "odd".into(),
                r#type: v1::TaskType::Nexus.into(),
                polled: true,
                schedule_to_start: Some(v1::Histogram {
                    bounds_ms: vec![100],
                    counts: vec![1],
                }),
            },
            v1::Queue {
                name: "later".into(),
                r#type: 99,
                polled: true,
                schedule_to_start: None,
            },
        ],
        slots: vec![
            v1::Slots {
                r#type: v1::TaskType::Activity.into(),
                used: 3,
                limit: Some(10),
                completions: 40,
                busy_slot_ms: 12_500,
            },
            v1::Slots {
                r#type: v1::TaskType::LocalActivity.into(),
                used: 0,
                limit: None,
                completions: 0,
                busy_slot_ms: 0,
            },
            v1::Slots {
                r#type: 99,
                used: 1,
                limit: None,
                completions: 1,
                busy_slot_ms: 1,
            },
        ],
        inflight: vec![
            v1::Inflight {
                r#type: v1::TaskType::Activity.into(),
                name: "a".into(),
                age_ms: 4000,
            },
            v1::Inflight {
                r#type: v1::TaskType::Activity.into(),
                name: "b".into(),
                age_ms: 9000,
            },
        ],
        resources: Some(v1::Resources {
            cpu_ms: 2500,
            memory_bytes: 1 << 20,
        }),
        ..ReportResponse::default()
    }
}

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

#[tokio::test]
async fn a_pod_of_the_fleet_reports_in_the_planners_terms() {
    let (secret, credentials) = secret();
    let pod = Pod {
        token: credentials.token.clone(),
        answer: answer(),
        silent: false,
    };
    let address = serve(pod, &secret).await;
    let line = Line::to(address, &credentials).unwrap();
    let report = line.report(now()).await.unwrap();
    assert_eq!(
        line.report(now()).await.unwrap(),
        report,
        "one line serves many reports"
    );
    let WorkerReport {
        source,
        pod,
        oldest_task,
        draining,
        drained,
        reloads_credentials,
        polled,
    } = report;
    assert!(draining && !drained && reloads_credentials);
    assert_eq!(source, Source::WorkerControl);
    assert_eq!(oldest_task, Some(SignedDuration::from_secs(9)));
    let names: Vec<&str> = polled.iter().map(|queue| queue.name.as_str()).collect();
    assert_eq!(
        names,
        ["orders", "odd"],
        "what was not polled, or is of an unknown type, is not polled"
    );
    assert_eq!(pod.started, "2026-11-22T11:59:00Z".parse().unwrap());
    assert_eq!(pod.cpu_seconds, Some(2.5));
    assert_eq!(pod.memory_bytes, Some(1 << 20));
    assert_eq!(pod.slots.len(), 2, "slots of an unknown type are left out");
    assert_eq!(
        (pod.slots[0].used, pod.slots[0].limit, pod.slots[0].completions),
        (3, Some(10), 40)
    );
    assert!((pod.slots[0].busy_seconds - 12.5).abs() < 1e-9);
    assert_eq!(pod.slots[1].kind, SlotKind::LocalActivity);
    assert_eq!(
        pod.schedule_to_start.len(),
        1,
        "a histogram that does not fit its bounds is left out"
    );
    assert_eq!(pod.schedule_to_start[0].bounds_seconds, [0.1, 5.0]);
}

#[tokio::test]
async fn a_pod_takes_the_order_to_drain_and_tells_when_it_is_done() {
    let (secret, credentials) = secret();
    let drain = v1::DrainProgress {
        drained: true,
        ..v1::DrainProgress::default()
    };
    let pod = Pod {
        token: credentials.token.clone(),
        answer: ReportResponse {
            drain: Some(drain),
            ..answer()
        },
        silent: false,
    };
    let address = serve(pod, &secret).await;
    let line = Line::to(address, &credentials).unwrap();
    line.drain().await.unwrap();
    assert!(line.report(now()).await.unwrap().drained);
}

#[tokio::test]
async fn the_order_to_drain_needs_the_fleets_token() {
    let (secret, credentials) = secret();
    let pod = Pod {
        token: "older".into(),
        answer: answer(),
        silent: false,
    };
    let address = serve(pod, &secret).await;
    let error = Line::to(address, &credentials).unwrap().drain().await.unwrap_err();
    assert!(matches!(error, Error::Refused), "{error:?}");
}

#[tokio::test]
async fn another_fleets_certificate_is_not_trusted_and_gets_no_token() {
    let ((theirs, _), (_, ours)) = (secret(), secret());
    let pod = Pod {
        token: ours.token.clone(),
        answer: answer(),
        silent: false,
    };
    let address = serve(pod, &theirs).await;
    let error = Line::to(address, &ours).unwrap().report(now()).await.unwrap_err();
    assert!(matches!(error, Error::Connect), "{error:?}");
}

#[tokio::test]
async fn a_certificate_of_another_name_is_not_trusted() {
    let (secret, mut credentials) = secret();
    credentials.server_name = "billing.control".into();
    let pod = Pod {
        token: credentials.token.clone(),
        answer: answer(),
        silent: false,
    };
    let address = serve(pod, &secret).await;
    let error = Line::to(address, &credentials)
        .unwrap()
        .report(now())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Connect), "{error:?}");
}

#[tokio::test]
async fn a_pod_with_an_older_token_refuses() {
    let (secret, credentials) = secret();
    let address = serve(
        Pod {
            token: "older".into(),
            answer: answer(),
            silent: false,
        },
        &secret,
    )
    .await;
    let error = Line::to(address, &credentials)
        .unwrap()
        .report(now())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Refused), "{error:?}");
}

#[tokio::test]
async fn a_silent_pod_is_given_up_in_time() {
    let (secret, credentials) = secret();
    let pod = Pod {
        token: credentials.token.clone(),
        answer: answer(),
        silent: true,
    };
    let address = serve(pod, &secret).await;
    let started = tokio::time::Instant::now();
    let error = Line::to(address, &credentials)
        .unwrap()
        .report(now())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Deadline), "{error:?}");
    assert!(started.elapsed() < DEADLINE * 2, "{:?}", started.elapsed());
}

#[tokio::test]
async fn nobody_at_the_port_is_told_apart_and_heals_by_itself() {
    let (secret, credentials) = secret();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    let line = Line::to(free, &credentials).unwrap();
    let error = line.report(now()).await.unwrap_err();
    assert!(matches!(error, Error::Connect), "{error:?}");
    assert!(error.to_string().contains("NetworkPolicy"), "{error}");
    drop(secret);
}
