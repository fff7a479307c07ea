//! Metrics of the operator, in a registry of their own. Names of controller-runtime where it has them, so that existing dashboards
//! work. Never a label `namespace`, never a pod's name; seconds and ratios.

mod budgets;
pub mod catalog;
mod latency;
mod register;
pub mod series;
mod workqueue;

use std::sync::Arc;
use std::time::Duration;

use fleet_temporal::{Observatory, Scope};
use prometheus::{Encoder, HistogramVec, IntCounterVec, IntGaugeVec, Registry, TextEncoder};

use crate::health::Health;

pub use series::{Sample, Series};
pub use workqueue::{Working, Workqueue};

/// Buckets for what takes as long as a call over a network [s].
const CALL: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// All metrics. Clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    series: Arc<Series>,
    reconciles: IntCounterVec,
    errors: IntCounterVec,
    times: HistogramVec,
    rest: IntCounterVec,
    leader: IntGaugeVec,
    health: IntGaugeVec,
    missing: IntGaugeVec,
    queues: workqueue::Workqueues,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// If two metrics have one name, or the catalog lacks one: a bug that the first test finds.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let series = Arc::new(Series::new());
        registry.register(Box::new(series::Registered(Arc::clone(&series))))?;
        let inner = Inner {
            reconciles: register::counter(&registry, "controller_runtime_reconcile_total")?,
            errors: register::counter(&registry, "controller_runtime_reconcile_errors_total")?,
            times: register::histogram(&registry, "controller_runtime_reconcile_time_seconds", &CALL)?,
            rest: register::counter(&registry, "rest_client_requests_total")?,
            leader: register::gauge(&registry, "leader_election_master_status")?,
            health: register::gauge(&registry, "temporal_fleet_operator_health_status")?,
            missing: register::gauge(&registry, "temporal_fleet_crd_missing")?,
            queues: workqueue::Workqueues::new(&registry)?,
            series,
            registry: registry.clone(),
        };
        let info = register::gauge(&registry, "temporal_fleet_build_info")?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self(Arc::new(inner)))
    }

    /// Shows from now on how much of its budgets an observatory uses.
    ///
    /// # Errors
    /// If the registry refuses it: a bug that the first start finds.
    pub fn budgets(&self, observatory: Observatory) -> Result<(), prometheus::Error> {
        self.0.registry.register(Box::new(budgets::Budgets::new(observatory)?))
    }

    /// The work queue of a controller.
    pub fn queue(&self, controller: &'static str) -> Workqueue {
        self.0.queues.queue(controller)
    }

    /// The exposition.
    pub fn text(&self) -> String {
        self.0.queues.refresh(tokio::time::Instant::now());
        let mut bytes = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.0.registry.gather(), &mut bytes) {
            tracing::error!(%error, "metrics cannot be encoded");
        }
        String::from_utf8(bytes).unwrap_or_default()
    }

    /// A pass ended.
    pub fn pass(&self, controller: &str, result: &str, took: Duration) {
        self.0.reconciles.with_label_values(&[controller, result]).inc();
        if result == "error" {
            self.0.errors.with_label_values(&[controller]).inc();
        }
        self.0
            .times
            .with_label_values(&[controller])
            .observe(took.as_secs_f64());
    }

    /// The API server answered, or did not.
    pub fn rest(&self, method: &str, code: Option<u16>) {
        let code = code.map_or_else(|| "<error>".to_owned(), |code| code.to_string());
        self.0.rest.with_label_values(&[code.as_str(), method]).inc();
    }

    /// This process leads, or does no longer.
    pub fn leads(&self, lease: &str, leads: bool) {
        self.0.leader.with_label_values(&[lease]).set(i64::from(leads));
    }

    /// What the probes would say at this moment.
    pub fn health(&self, health: &Health) {
        self.0.health.with_label_values::<&str>(&[]).set(health.status());
        for (kind, missing) in health.kinds() {
            self.0.missing.with_label_values(&[kind]).set(i64::from(missing));
        }
    }

    /// Temporal answered, or did not. The series are those of the object that holds the address.
    pub fn temporal(&self, scope: &Scope, method: &str, code: &str, took: Duration) {
        let (series, uid) = (self.series(), &scope.connection_uid);
        let [namespace, connection, method] = [
            ("connection_namespace", scope.kubernetes_namespace.as_str()),
            ("connection", scope.connection.as_str()),
            ("method", method),
        ];
        let labels = [namespace, connection, method, ("code", code)];
        series.count(uid, "temporal_fleet_temporal_requests_total", &labels);
        let labels = [namespace, connection, method];
        series.observe(
            uid,
            "temporal_fleet_temporal_request_duration_seconds",
            &labels,
            &CALL,
            took,
        );
    }

    /// Series of single objects, which go with them.
    pub fn series(&self) -> &Series {
        &self.0.series
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_share_of_a_budget_that_is_used_is_told() {
        let metrics = Metrics::new().expect("no name twice");
        let fake = Arc::new(fleet_temporal::fake::Fake::default());
        let observatory = Observatory::new(
            fake,
            fleet_temporal::Settings::default(),
            fleet_temporal::system_clock(),
        );
        metrics.budgets(observatory.clone()).expect("a name of its own");
        let scope = Scope {
            kubernetes_namespace: "shop".into(),
            connection: "main".into(),
            connection_uid: "u".into(),
            secrets: Vec::new(),
        };
        let endpoint = fleet_temporal::Endpoint::new(scope, "temporal:7233");
        observatory.server(&endpoint, "default").next().await;
        let series = r#"temporal_fleet_temporal_request_budget_used_ratio{address="temporal:7233",connection_namespace="shop",temporal_namespace="default"}"#;
        let text = metrics.text();
        assert!(text.contains(series), "{text}");
    }

    #[test]
    fn names_are_unique_and_the_exposition_reads() {
        let metrics = Metrics::new().expect("no name twice");
        metrics.pass("temporalworker", "success", Duration::from_millis(3));
        metrics.leads("temporal-fleet", true);
        metrics.series().set(
            "uid",
            vec![Sample::gauge("temporal_fleet_worker_pods", &[("worker", "a")], 2.0)],
        );
        let text = metrics.text();
        assert!(
            text.contains(r#"controller_runtime_reconcile_total{controller="temporalworker",result="success"} 1"#),
            "{text}"
        );
        assert!(text.contains(r#"temporal_fleet_worker_pods{worker="a"} 2"#), "{text}");
        metrics.series().remove("uid");
        assert!(!metrics.text().contains("temporal_fleet_worker_pods"));
    }
}
