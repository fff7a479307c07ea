//! The two HTTP servers: probes and metrics. Bound before anything else, so that a probe always gets an answer.

use std::net::Ipv6Addr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::health::Health;
use crate::metrics::Metrics;

/// Serves `/livez` and `/readyz` for ever.
pub async fn health(port: u16, health: Arc<Health>) -> anyhow::Result<()> {
    serve(port, probes(health)).await
}

fn probes(health: Arc<Health>) -> Router {
    let live = Arc::clone(&health);
    Router::new()
        .route("/livez", get(move || async move { answer(live.not_live()) }))
        .route("/readyz", get(move || async move { answer(health.not_ready()) }))
}

/// Serves `/metrics` for ever.
pub async fn metrics(port: u16, metrics: Metrics, health: Arc<Health>) -> anyhow::Result<()> {
    serve(port, exposition(metrics, health)).await
}

fn exposition(metrics: Metrics, health: Arc<Health>) -> Router {
    let page = move || async move {
        metrics.health(&health);
        ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.text())
    };
    Router::new().route("/metrics", get(page))
}

fn answer(trouble: Option<String>) -> (StatusCode, String) {
    match trouble {
        None => (StatusCode::OK, "ok".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

async fn serve(port: u16, router: Router) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
        .await
        .with_context(|| format!("port {port} cannot be bound"))?;
    axum::serve(listener, router).await.context("the HTTP server ended")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt as _;

    use super::*;

    async fn fetch(router: Router, path: &str) -> (StatusCode, String, String) {
        let response = router
            .oneshot(Request::get(path).body(Body::empty()).unwrap())
            .await
            .unwrap();
        let kind = response
            .headers()
            .get(header::CONTENT_TYPE)
            .map_or("", |kind| kind.to_str().unwrap())
            .to_owned();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, kind, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn probes_say_why_not() {
        let health = Arc::new(Health::default());
        let (status, _, text) = fetch(probes(Arc::clone(&health)), "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, "waiting for: the watches have not begun");
        let (live, ..) = fetch(probes(Arc::clone(&health)), "/livez").await;
        assert_eq!(live, StatusCode::OK, "a process that starts is alive");
        health.watching(Vec::new());
        assert_eq!(fetch(probes(Arc::clone(&health)), "/readyz").await.0, StatusCode::OK);
        health.stopping();
        assert_eq!(
            fetch(probes(health), "/readyz").await.0,
            StatusCode::SERVICE_UNAVAILABLE
        );
    }

    #[tokio::test]
    async fn metrics_are_prometheus_text() {
        let metrics = Metrics::new().unwrap();
        metrics.pass("temporalworker", "success", Duration::from_millis(1));
        let health = Arc::new(Health::default());
        let (status, kind, text) = fetch(exposition(metrics, health), "/metrics").await;
        assert_eq!((status, kind.as_str()), (StatusCode::OK, "text/plain; version=0.0.4"));
        assert!(
            text.contains("# TYPE controller_runtime_reconcile_time_seconds histogram"),
            "{text}"
        );
        assert!(
            text.contains("temporal_fleet_operator_health_status 1"),
            "a process that starts is degraded: {text}"
        );
    }
}
