//! TLS in front of a server, for those with an API key: as Temporal Cloud does it.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures::{FutureExt as _, future::BoxFuture};
use tonic::{
    Status,
    body::Body,
    codegen::{Service, http},
    server::NamedService,
    transport::{Channel, Endpoint, Identity, Server, ServerTlsConfig, server::TcpIncoming},
};

use crate::{temporal, tls::Pair};

/// A proxy that serves until the test ends.
pub(crate) struct Proxy {
    address: SocketAddr,
    keys: Keys,
}

/// Calls so far for each key: `None` if it is refused.
#[derive(Clone, Default)]
struct Keys(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    accepted: HashMap<String, usize>,
    refused: usize,
}

#[derive(Clone)]
struct Guard {
    keys: Keys,
    upstream: Channel,
}

impl Proxy {
    /// On a free port, with this certificate.
    pub(crate) async fn start(server: &temporal::Server, pair: &Pair) -> Self {
        let keys = Keys::default();
        let upstream = Endpoint::from_shared(format!("http://{}", server.address())).expect("an address");
        let guard = Guard {
            keys: keys.clone(),
            upstream: upstream.connect_lazy(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(&pair.cert, &pair.key));
        let serving = Server::builder()
            .tls_config(tls)
            .expect("a configuration")
            .add_service(guard)
            .serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(serving);
        Self { address, keys }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on this key is good.
    pub(crate) fn accept(&self, key: &str) {
        self.keys.state().accepted.insert(format!("Bearer {key}"), 0);
    }

    /// From now on it is not.
    pub(crate) fn revoke(&self, key: &str) {
        self.keys.state().accepted.remove(&format!("Bearer {key}"));
    }

    /// Calls with this key that were let through.
    pub(crate) fn calls(&self, key: &str) -> usize {
        let key = format!("Bearer {key}");
        self.keys.state().accepted.get(&key).copied().unwrap_or_default()
    }

    /// Calls that were refused.
    pub(crate) fn refused(&self) -> usize {
        self.keys.state().refused
    }
}

impl Keys {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call with this header is let through; counts it.
    fn allow(&self, header: Option<&str>) -> bool {
        let mut state = self.state();
        if let Some(calls) = header.and_then(|header| state.accepted.get_mut(header)) {
            *calls += 1;
            return true;
        }
        state.refused += 1;
        false
    }
}

impl NamedService for Guard {
    const NAME: &'static str = "temporal.api.workflowservice.v1.WorkflowService";
}

impl Service<http::Request<Body>> for Guard {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let header = request
            .headers()
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        let allowed = self.keys.allow(header);
        let mut upstream = self.upstream.clone();
        async move {
            if !allowed {
                return Ok(Status::permission_denied("Request unauthorized.").into_http());
            }
            let answer = async {
                poll_fn(|context| upstream.poll_ready(context)).await?;
                upstream.call(request).await
            };
            Ok(answer
                .await
                .unwrap_or_else(|error| Status::unavailable(error.to_string()).into_http()))
        }
        .boxed()
    }
}
