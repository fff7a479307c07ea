//! A small Temporal frontend on a real socket, with certificates made for the test.
#![allow(dead_code, unreachable_pub)] // each test binary uses a part of it
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)] // a helper of tests

use std::convert::Infallible;
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use fleet_temporal::{
    AddressPolicy, CaBundle, Client, ClientCert, ClientSettings, Clock, Endpoint, Origin, Scope, system_clock,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use temporalio_common::protos::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, DescribeNamespaceResponse, DescribeTaskQueueRequest, DescribeTaskQueueResponse,
    GetSystemInfoRequest, GetSystemInfoResponse,
};
use tonic::body::Body;
use tonic::codegen::http;
use tonic::server::{Grpc, NamedService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

/// Name in the servers' certificates.
pub const NAME: &str = "temporal.example";

/// A call: its name, `authorization`, `temporal-namespace`.
pub type Call = (String, Option<String>, Option<String>);

/// What the frontend does.
#[derive(Clone, Default)]
pub struct Frontend {
    /// Metadata of all calls so far: (call, `authorization`, `temporal-namespace`).
    pub calls: Arc<Mutex<Vec<Call>>>,
    /// Every call fails so.
    pub failing: Arc<Mutex<Option<Status>>>,
    /// Answer to `DescribeTaskQueue`.
    pub queue: Arc<Mutex<DescribeTaskQueueResponse>>,
    /// Requests to `DescribeTaskQueue`.
    pub queue_requests: Arc<Mutex<Vec<DescribeTaskQueueRequest>>>,
}

impl NamedService for Frontend {
    const NAME: &'static str = "temporal.api.workflowservice.v1.WorkflowService";
}

impl tower::Service<http::Request<Body>> for Frontend {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let this = self.clone();
        let call = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let header = |name| {
            request
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let seen = (call.clone(), header("authorization"), header("temporal-namespace"));
        this.calls.lock().unwrap().push(seen);
        async move {
            let failing = this.failing.lock().unwrap().clone();
            let outcome = failing.map_or(Ok(()), Err);
            let answer = match call.as_str() {
                "DescribeNamespace" => {
                    let answer = service_fn(move |request: Request<DescribeNamespaceRequest>| {
                        let found = request.get_ref().namespace == "default";
                        let refused = Status::not_found("Namespace is not found.");
                        let answer = outcome.clone().and(if found { Ok(()) } else { Err(refused) });
                        async move { answer.map(|()| Response::new(DescribeNamespaceResponse::default())) }
                    });
                    Grpc::new(ProstCodec::default()).unary(answer, request).await
                }
                "GetSystemInfo" => {
                    let answer = service_fn(move |_: Request<GetSystemInfoRequest>| {
                        let info = GetSystemInfoResponse {
                            server_version: "1.31.2".into(),
                            ..Default::default()
                        };
                        let answer = outcome.clone().map(|()| Response::new(info));
                        async move { answer }
                    });
                    Grpc::new(ProstCodec::default()).unary(answer, request).await
                }
                "DescribeTaskQueue" => {
                    let answer = service_fn(move |request: Request<DescribeTaskQueueRequest>| {
                        this.queue_requests.lock().unwrap().push(request.into_inner());
                        let queue = this.queue.lock().unwrap().clone();
                        let answer = outcome.clone().map(|()| Response::new(queue));
                        async move { answer }
                    });
                    Grpc::new(ProstCodec::default()).unary(answer, request).await
                }
                _ => Status::unimplemented("unknown method").into_http(),
            };
            Ok(answer)
        }
        .boxed()
    }
}

impl Frontend {
    /// Serves on a free port until the test ends.
    pub async fn serve(&self, tls: Option<ServerTlsConfig>) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).unwrap();
        }
        tokio::spawn(
            server
                .add_service(self.clone())
                .serve_with_incoming(TcpIncoming::from(listener)),
        );
        address
    }

    /// Calls so far.
    pub fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }
}

/// An authority made for a test.
pub struct Authority {
    /// Its certificate.
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
pub struct Pair {
    /// The certificate.
    pub chain: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// A new one, trusted by nobody yet.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for [`NAME`] that is valid in the years `from..to`.
    pub fn issue(&self, from: i32, to: i32) -> Pair {
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate: Certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// For a server that shows `pair`.
    pub fn server(pair: &Pair) -> ServerTlsConfig {
        ServerTlsConfig::new().identity(Identity::from_pem(&pair.chain, &pair.key))
    }

    /// As a bundle to trust.
    pub fn bundle(&self) -> CaBundle {
        CaBundle::parse(&Origin::new("temporal-ca", "ca.crt"), self.pem.as_bytes()).unwrap()
    }
}

impl Pair {
    /// As the operator's own.
    pub fn client(&self) -> ClientCert {
        let (chain, key) = (
            Origin::new("temporal-client", "tls.crt"),
            Origin::new("temporal-client", "tls.key"),
        );
        ClientCert::parse((&chain, self.chain.as_bytes()), (&key, self.key.as_bytes()), middle()).unwrap()
    }
}

/// A time at which certificates of the years 2000..2100 are valid.
pub fn middle() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

/// An endpoint at `address`, plain text.
pub fn endpoint(address: impl Display) -> Endpoint {
    let scope = Scope {
        kubernetes_namespace: "team".into(),
        connection: "main".into(),
        connection_uid: "uid".into(),
        secrets: Vec::new(),
    };
    Endpoint::new(scope, address.to_string())
}

/// A client that may connect to this machine, with short deadlines.
pub fn client() -> Client {
    client_at(system_clock())
}

/// The same with its own time.
pub fn client_at(clock: Clock) -> Client {
    let settings = ClientSettings {
        addresses: AddressPolicy {
            allow_loopback: true,
            denied: Vec::new(),
        },
        ..settings(Duration::from_secs(5))
    };
    Client::new(settings, clock)
}

/// Settings with one deadline for all.
pub fn settings(deadline: Duration) -> ClientSettings {
    ClientSettings {
        connect_deadline: deadline,
        call_deadline: deadline,
        ..ClientSettings::new("test")
    }
}
