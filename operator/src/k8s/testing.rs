//! An API server of one function, for unit tests: each request is recorded and answered as the test says.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{
    body::to_bytes,
    http::{Request, Response},
};
use kube::{Client, client::Body, core::Status};
use serde_json::Value;

use super::{Cluster, Writes};

/// One request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) content_type: String,
    pub(crate) body: Value,
}

impl Call {
    /// Method and path.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The parameters, sorted.
    pub(crate) fn parameters(&self) -> Vec<&str> {
        let mut parameters: Vec<&str> = self.query.split('&').filter(|part| !part.is_empty()).collect();
        parameters.sort_unstable();
        parameters
    }
}

/// What the server does with a request.
pub(crate) enum Answer {
    Json(u16, Value),
    Silence,
}

impl Answer {
    pub(crate) fn not_found() -> Self {
        Self::failure(404, "NotFound")
    }

    pub(crate) fn failure(code: u16, reason: &str) -> Self {
        let status = Status::failure(reason, reason).with_code(code);
        Self::Json(code, serde_json::to_value(status).unwrap())
    }

    /// Answers with what was sent.
    pub(crate) fn echo(call: &Call) -> Self {
        Self::Json(200, call.body.clone())
    }
}

/// The requests so far.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<Call>>>);

impl Calls {
    pub(crate) fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A cluster answered by `answer`.
pub(crate) fn mock(answer: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> (Cluster, Calls) {
    let calls = Calls::default();
    let recorded = calls.clone();
    let answer = Arc::new(answer);
    let service = tower::service_fn(move |request: Request<Body>| {
        let (recorded, answer) = (recorded.clone(), Arc::clone(&answer));
        async move {
            let (parts, body) = request.into_parts();
            let bytes = to_bytes(axum::body::Body::new(body), usize::MAX).await.unwrap();
            let content_type = parts
                .headers
                .get("content-type")
                .map_or("", |value| value.to_str().unwrap());
            let call = Call {
                method: parts.method.to_string(),
                path: parts.uri.path().to_owned(),
                query: parts.uri.query().unwrap_or_default().to_owned(),
                content_type: content_type.to_owned(),
                body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            };
            let answer = answer(&call);
            recorded.0.lock().unwrap().push(call);
            match answer {
                Answer::Json(code, body) => {
                    let body = Body::from(serde_json::to_vec(&body).unwrap());
                    Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
                }
                Answer::Silence => std::future::pending().await,
            }
        }
    });
    (Cluster::new(Client::new(service, "default"), Writes::default()), calls)
}
