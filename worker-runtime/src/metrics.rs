//! What the pod exposes on `/metrics`: the SDK's metrics (through `meter`) and our own, in one registry.
//!
//! Owns the names `temporal_fleet_runtime_*`. Values are read from their sources at the time of the scrape, never stored twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use prometheus::{
    Encoder, Registry, TEXT_FORMAT, TextEncoder,
    core::{Collector, Desc},
    proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType},
};

use crate::{meter::SdkMeter, pod::Pod, process::EXITS};

/// Counters of the runtime's own events.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Credentials read anew and in use.
    pub(crate) reloads: AtomicU64,
    /// Credentials that changed but could not be used; the old ones stay.
    pub(crate) failed_reloads: AtomicU64,
    /// SDK Workers made anew after they ended with an error.
    pub(crate) rebuilds: AtomicU64,
    /// SDK Workers that handed over to a new one.
    pub(crate) recycled: AtomicU64,
    /// Tasks of types that are not registered; shared with those who see tasks arrive.
    pub(crate) unregistered: Arc<AtomicU64>,
}

/// Adds one to a counter.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The registry of the process: SDK metrics and ours.
pub(crate) fn registry(pod: &Arc<Pod>, meter: &SdkMeter) -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    registry.register(Box::new(meter.clone()))?;
    registry.register(Box::new(RuntimeCollector::new(Arc::clone(pod))?))?;
    Ok(registry)
}

/// The routes of the metrics port.
pub(crate) fn router(registry: Registry) -> Router {
    let answer = |State(registry): State<Registry>| async move {
        let mut buffer = Vec::new();
        match TextEncoder::new().encode(&registry.gather(), &mut buffer) {
            Ok(()) => (StatusCode::OK, [(CONTENT_TYPE, TEXT_FORMAT)], buffer),
            Err(error) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                [(CONTENT_TYPE, "text/plain")],
                error.to_string().into(),
            ),
        }
    };
    Router::new().route("/metrics", get(answer)).with_state(registry)
}

/// A label pair.
pub(crate) fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

/// A sample of a gauge.
pub(crate) fn gauge(value: f64, labels: Vec<LabelPair>) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = Metric::from_label(labels);
    metric.set_gauge(gauge);
    metric
}

/// A sample of a counter.
pub(crate) fn counter(value: f64, labels: Vec<LabelPair>) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value);
    let mut metric = Metric::from_label(labels);
    metric.set_counter(counter);
    metric
}

/// A family of samples.
pub(crate) fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

struct RuntimeCollector {
    pod: Arc<Pod>,
    desc: Desc,
}

impl RuntimeCollector {
    fn new(pod: Arc<Pod>) -> Result<Self, prometheus::Error> {
        // The registry needs one descriptor to tell collectors apart; samples bring their own names.
        let desc = Desc::new(
            "temporal_fleet_runtime_draining".to_owned(),
            "1 while the process accepts no new task".to_owned(),
            Vec::new(),
            std::collections::HashMap::new(),
        )?;
        Ok(Self { pod, desc })
    }
}

impl Collector for RuntimeCollector {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        families(&self.pod, &EXITS.all(), Instant::now())
    }
}

/// All metrics of the runtime, as they are at this moment.
fn families(pod: &Pod, exits: &[(&str, u64)], now: Instant) -> Vec<MetricFamily> {
    let (mut inflight, mut oldest) = (Vec::new(), Vec::new());
    for gate in pod.gates.all() {
        let report = gate.report(1, now);
        let labels = || vec![label("task_type", report.task_type.as_str())];
        inflight.push(gauge(f64::from(report.used), labels()));
        let age = report.running.first().map_or(0.0, |(_, age)| age.as_secs_f64());
        oldest.push(gauge(age, labels()));
    }
    let stalls = pod
        .pulses
        .all(now)
        .into_iter()
        .map(|beat| gauge(beat.age.as_secs_f64(), vec![label("thread", &beat.thread)]))
        .collect();
    let workers = pod.workers.per_thread();
    let workers = workers
        .iter()
        .map(|(thread, count)| gauge(f64::from(*count), vec![label("thread", thread)]));
    let workers = workers.collect();
    let draining = if pod.phases.is_serving() { 0.0 } else { 1.0 };
    let counters = &pod.counters;
    let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
    let exits = exits
        .iter()
        .map(|(reason, count)| counter(*count as f64, vec![label("reason", reason)]));
    let drained_in = pod.phases.get().elapsed(now).unwrap_or_default();
    vec![
        family(
            "temporal_fleet_runtime_child_exits_total",
            "Child processes of pools that ended; alert on a rise of reason=\"crashed\"",
            MetricType::COUNTER,
            exits.collect(),
        ),
        family(
            "temporal_fleet_runtime_inflight",
            "Tasks running, per task type",
            MetricType::GAUGE,
            inflight,
        ),
        family(
            "temporal_fleet_runtime_oldest_task_seconds",
            "Age of the oldest running task, per task type",
            MetricType::GAUGE,
            oldest,
        ),
        family(
            "temporal_fleet_runtime_workflow_thread_stall_seconds",
            "Time since each worker thread last moved; alert above 5: workflow code blocks it, or async activities thread=\"tasks\"",
            MetricType::GAUGE,
            stalls,
        ),
        family(
            "temporal_fleet_runtime_draining",
            "1 while the process accepts no new task",
            MetricType::GAUGE,
            vec![gauge(draining, Vec::new())],
        ),
        family(
            "temporal_fleet_runtime_drain_duration_seconds",
            "Time since draining began, or that it took; 0 before",
            MetricType::GAUGE,
            vec![gauge(drained_in.as_secs_f64(), Vec::new())],
        ),
        family(
            "temporal_fleet_runtime_credential_reloads_total",
            "Changed credential files, by outcome; alert on outcome=\"rejected\": the old credentials are still in use",
            MetricType::COUNTER,
            vec![
                counter(value(&counters.reloads), vec![label("outcome", "used")]),
                counter(value(&counters.failed_reloads), vec![label("outcome", "rejected")]),
            ],
        ),
        family(
            "temporal_fleet_runtime_unregistered_tasks_total",
            "Tasks of types that this worker does not know, which fail and are tried again; alert on any: a deployment is missing code",
            MetricType::COUNTER,
            vec![counter(value(&counters.unregistered), Vec::new())],
        ),
        family(
            "temporal_fleet_runtime_rebuilds_total",
            "SDK Workers made anew, by reason; alert on a rise of reason=\"failed\": polling did not survive an error",
            MetricType::COUNTER,
            vec![
                counter(value(&counters.rebuilds), vec![label("reason", "failed")]),
                counter(value(&counters.recycled), vec![label("reason", "recycled")]),
            ],
        ),
        family(
            "temporal_fleet_runtime_workers",
            "SDK Workers in memory, per thread: more than one while one hands over to the next",
            MetricType::GAUGE,
            workers,
        ),
    ]
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
