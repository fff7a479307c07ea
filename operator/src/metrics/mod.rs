//! Metrics of the operator, in a registry of their own. Names of controller-runtime where it has them, so that existing dashboards
//! work. Never a label `namespace`, never a pod's name; seconds and ratios.

mod latency;
pub mod series;

use std::sync::Arc;
use std::time::Duration;

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::health::Health;

pub use series::{Kind, Sample, Series};

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
    health: IntGauge,
    missing: IntGaugeVec,
    temporal: IntCounterVec,
    temporal_times: HistogramVec,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// If two metrics have one name: a bug that the first test finds.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let series = Arc::new(Series::new());
        registry.register(Box::new(series::Registered(Arc::clone(&series))))?;
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vec.clone()))?;
            Ok::<_, prometheus::Error>(vec)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vec.clone()))?;
            Ok::<_, prometheus::Error>(vec)
        };
        let histogram = |name: &str, help: &str, labels: &[&str], buckets: &[f64]| {
            let vec = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?;
            registry.register(Box::new(vec.clone()))?;
            Ok::<_, prometheus::Error>(vec)
        };
        let health = IntGauge::new(
            "temporal_fleet_operator_health_status",
            "Health of the operator: 0 alive and ready, 1 not ready, 2 not alive.",
        )?;
        registry.register(Box::new(health.clone()))?;
        let call = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        let inner = Inner {
            reconciles: counter(
                "controller_runtime_reconcile_total",
                "Total number of reconciliations per controller.",
                &["controller", "result"],
            )?,
            errors: counter(
                "controller_runtime_reconcile_errors_total",
                "Total number of reconciliation errors per controller. Alert on a share above 10 % of all.",
                &["controller"],
            )?,
            times: histogram(
                "controller_runtime_reconcile_time_seconds",
                "Length of time per reconciliation per controller.",
                &["controller"],
                call,
            )?,
            rest: counter(
                "rest_client_requests_total",
                "Number of requests to the Kubernetes API by code and method.",
                &["code", "method"],
            )?,
            leader: gauge(
                "leader_election_master_status",
                "Whether this process leads (1) or stands by (0). Alert if none leads.",
                &["name"],
            )?,
            health,
            missing: gauge(
                "temporal_fleet_crd_missing",
                "Whether the API server does not serve a kind that the operator watches (1). Alert if so.",
                &["crd"],
            )?,
            temporal: counter(
                "temporal_fleet_temporal_requests_total",
                "Calls of the operator to Temporal.",
                &["connection_namespace", "method", "code"],
            )?,
            temporal_times: histogram(
                "temporal_fleet_temporal_request_duration_seconds",
                "Duration of calls of the operator to Temporal.",
                &["connection_namespace", "method"],
                call,
            )?,
            series,
            registry: registry.clone(),
        };
        let info = gauge(
            "temporal_fleet_build_info",
            "Build information of the operator, always 1.",
            &["version"],
        )?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self(Arc::new(inner)))
    }

    /// The exposition.
    pub fn text(&self) -> String {
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
        self.0.health.set(health.status());
        for (kind, missing) in health.kinds() {
            self.0.missing.with_label_values(&[kind]).set(i64::from(missing));
        }
    }

    /// Temporal answered, or did not.
    pub fn temporal(&self, namespace: &str, method: &str, code: &str, took: Duration) {
        self.0.temporal.with_label_values(&[namespace, method, code]).inc();
        self.0
            .temporal_times
            .with_label_values(&[namespace, method])
            .observe(took.as_secs_f64());
    }

    /// Series of single objects, which go with them.
    pub fn series(&self) -> &Series {
        &self.0.series
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
