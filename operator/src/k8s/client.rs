//! The client of the API server: its timeouts, and the place where every answer is seen.
//!
//! The stack of the client library retries 429, 503 and 504 by itself, up to 15 times. That is switched off: a retry hidden below the
//! deadline of a call cannot be counted, and errors have a class with a backoff per object. Watches have a backoff of
//! their own.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::http::{Request, Response, Uri};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
};
use tower::{Layer, Service};

/// Longest time for a connection to the API server to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// One answer of the API server, or its absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Method, upper case, from the closed set of HTTP methods that the client uses; `WATCH` for a watch.
    pub method: &'static str,
    /// Path of the request, without parameters.
    pub path: String,
    /// Code of the answer; `None` if there was none.
    pub code: Option<u16>,
}

/// What looks at each answer. Called on the task of the request: it must be quick.
pub type Observer = Arc<dyn Fn(&Answered) + Send + Sync>;

/// Connects to the API server of the environment: in a cluster by the service account, else by the kubeconfig.
///
/// # Errors
/// If there is no usable configuration. Nothing is sent yet.
pub async fn connect(observer: Observer) -> Result<Client, kube::Error> {
    let config = Config::infer().await.map_err(kube::Error::InferConfig)?;
    client(config, observer)
}

/// A client for `config` whose answers `observer` sees.
///
/// # Errors
/// If the configuration's certificates or addresses are unusable.
pub fn client(mut config: Config, observer: Observer) -> Result<Client, kube::Error> {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.default_retry = false;
    Ok(ClientBuilder::try_from(config)?
        .with_layer(&ObserveLayer(observer))
        .build())
}

/// Adds [`Observe`] to a stack.
#[derive(Clone)]
struct ObserveLayer(Observer);

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Observe<S> {
        Observe {
            inner,
            observer: Arc::clone(&self.0),
        }
    }
}

/// Shows each answer to an observer.
#[derive(Clone)]
struct Observe<S> {
    inner: S,
    observer: Observer,
}

impl<S, B> Service<Request<Body>> for Observe<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut answered = Answered {
            method: method_of(&request),
            path: request.uri().path().to_owned(),
            code: None,
        };
        let observer = Arc::clone(&self.observer);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            answered.code = answer.as_ref().ok().map(|response| response.status().as_u16());
            observer(&answered);
            answer
        })
    }
}

fn method_of<B>(request: &Request<B>) -> &'static str {
    match request.method().as_str() {
        "GET" if is_watch(request.uri()) => "WATCH",
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "OTHER",
    }
}

fn is_watch(uri: &Uri) -> bool {
    uri.query()
        .is_some_and(|query| query.split('&').any(|part| part == "watch=true"))
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Mutex};

    use k8s_openapi::api::core::v1::Pod;
    use kube::{Api, api::WatchParams};

    use super::*;

    #[tokio::test]
    async fn each_answer_is_seen_and_a_watch_is_told_from_a_read() {
        let seen: Arc<Mutex<Vec<Answered>>> = Arc::default();
        let sink = Arc::clone(&seen);
        let server = tower::service_fn(|_: Request<Body>| async {
            Ok::<_, Infallible>(Response::builder().status(503).body(Body::empty()).unwrap())
        });
        let layer = ObserveLayer(Arc::new(move |answered: &Answered| {
            sink.lock().unwrap().push(answered.clone());
        }));
        let client = ClientBuilder::new(server, "default").with_layer(&layer).build();
        let api: Api<Pod> = Api::namespaced(client, "ns");
        assert!(api.get("a").await.is_err());
        assert!(api.watch(&WatchParams::default(), "0").await.is_err());
        let path = "/api/v1/namespaces/ns/pods";
        assert_eq!(
            *seen.lock().unwrap(),
            [
                Answered {
                    method: "GET",
                    path: format!("{path}/a"),
                    code: Some(503)
                },
                Answered {
                    method: "WATCH",
                    path: path.into(),
                    code: Some(503)
                },
            ]
        );
    }
}
