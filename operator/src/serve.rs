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
    let live = Arc::clone(&health);
    let router = Router::new()
        .route("/livez", get(move || async move { answer(live.not_live()) }))
        .route("/readyz", get(move || async move { answer(health.not_ready()) }));
    serve(port, router).await
}

/// Serves `/metrics` for ever.
pub async fn metrics(port: u16, metrics: Metrics) -> anyhow::Result<()> {
    let router = Router::new().route(
        "/metrics",
        get(move || async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.text()) }),
    );
    serve(port, router).await
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
