//! Series of single objects. They are kept per object and go with it: nobody alerts on a fleet that was deleted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet_core::PodView;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::latency::{Buckets, Latencies};

/// What a series measures, by name: type and help. A closed set.
const HELP: &[(&str, Kind, &str)] = &[
    (
        "temporal_fleet_connection_ready",
        Kind::Gauge,
        "Whether the connection is usable.",
    ),
    (
        "temporal_fleet_connection_certificate_expiration_timestamp_seconds",
        Kind::Gauge,
        "When the client certificate expires. Alert below 14 days.",
    ),
    ("temporal_fleet_worker_info", Kind::Gauge, "What a fleet is, always 1."),
    (
        "temporal_fleet_worker_condition",
        Kind::Gauge,
        "Conditions of a fleet: 1 for the present status of each type.",
    ),
    (
        "temporal_fleet_worker_replicas_desired",
        Kind::Gauge,
        "Pods that the fleet should have.",
    ),
    (
        "temporal_fleet_worker_replicas_ready",
        Kind::Gauge,
        "Pods that are ready.",
    ),
    (
        "temporal_fleet_worker_replicas_available",
        Kind::Gauge,
        "Pods that are available.",
    ),
    (
        "temporal_fleet_worker_replicas_min",
        Kind::Gauge,
        "Lower bound of the size.",
    ),
    (
        "temporal_fleet_worker_replicas_max",
        Kind::Gauge,
        "Upper bound of the size.",
    ),
    ("temporal_fleet_worker_pods", Kind::Gauge, "Pods by state."),
    (
        "temporal_fleet_worker_drains_total",
        Kind::Counter,
        "Pods that ended as asked, by outcome. Alert on any that was Forced.",
    ),
    (
        "temporal_fleet_worker_slots_used",
        Kind::Gauge,
        "Tasks running, by slot type.",
    ),
    (
        "temporal_fleet_worker_slots_limit",
        Kind::Gauge,
        "Room for tasks, by slot type; absent with resource-based slots.",
    ),
    (
        "temporal_fleet_worker_cpu_utilization_ratio",
        Kind::Gauge,
        "Mean CPU of the ready pods, of their limit or else request.",
    ),
    (
        "temporal_fleet_task_queue_backlog",
        Kind::Gauge,
        "Tasks that wait on the server.",
    ),
    (
        "temporal_fleet_task_queue_backlog_age_seconds",
        Kind::Gauge,
        "Age of the oldest waiting task.",
    ),
    (
        "temporal_fleet_task_queue_pollers",
        Kind::Gauge,
        "Pods of the fleet that poll the queue.",
    ),
    (
        "temporal_fleet_task_queue_add_rate",
        Kind::Gauge,
        "Tasks added per second, as the server counts.",
    ),
    (
        "temporal_fleet_task_queue_dispatch_rate",
        Kind::Gauge,
        "Tasks dispatched per second, as the server counts.",
    ),
    (
        "temporal_fleet_task_queue_schedule_to_start_p99_seconds",
        Kind::Gauge,
        "99th percentile of schedule-to-start over the last minute, all queues of the fleet, as the scaling law sees it.",
    ),
    (
        "temporal_fleet_autoscaler_objective_seconds",
        Kind::Gauge,
        "Objective of schedule-to-start.",
    ),
    (
        "temporal_fleet_autoscaler_offered_load",
        Kind::Gauge,
        "Demand in busy slots.",
    ),
    (
        "temporal_fleet_autoscaler_target_replicas",
        Kind::Gauge,
        "Pods that one target asks for.",
    ),
    (
        "temporal_fleet_autoscaler_recommended_replicas",
        Kind::Gauge,
        "Pods that the autoscaler asks for, also in DryRun.",
    ),
    (
        "temporal_fleet_autoscaler_decisions_total",
        Kind::Counter,
        "Changes of size, by direction and reason.",
    ),
    (
        "temporal_fleet_autoscaler_signal_errors_total",
        Kind::Counter,
        "Passes in which a source of signals failed.",
    ),
];

/// Name and help of the one histogram that is summed over pods.
const LATENCY: (&str, &str) = (
    "temporal_fleet_task_queue_schedule_to_start_seconds",
    "Time from scheduling a task to a worker starting it, as the pods report it. Alert on a 99th percentile above the objective. \
     Pods report buckets only: the sum is not known.",
);

/// Type of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only grows.
    Counter,
}

/// One value of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    name: &'static str,
    labels: Vec<(&'static str, String)>,
    value: f64,
}

impl Sample {
    /// A gauge.
    pub fn gauge(name: &'static str, labels: &[(&'static str, &str)], value: f64) -> Self {
        Self {
            name,
            labels: owned(labels),
            value,
        }
    }

    /// The same with one more label.
    #[must_use]
    pub fn with(mut self, label: &'static str, value: impl Into<String>) -> Self {
        self.labels.push((label, value.into()));
        self
    }
}

fn owned(labels: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    labels
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

type Counters = BTreeMap<(&'static str, Vec<(&'static str, String)>), f64>;

#[derive(Default)]
struct Object {
    gauges: Vec<Sample>,
    counters: Counters,
    latencies: Latencies,
    /// Labels of the fleet in [`LATENCY`].
    fleet: Vec<(&'static str, String)>,
}

/// All series, by the UID of their object.
pub struct Series {
    objects: Mutex<BTreeMap<String, Object>>,
}

impl Series {
    /// None yet.
    pub fn new() -> Self {
        Self {
            objects: Mutex::default(),
        }
    }

    /// Replaces all gauges of an object: what is not named any more is gone.
    pub fn set(&self, uid: &str, gauges: Vec<Sample>) {
        self.lock().entry(uid.to_owned()).or_default().gauges = gauges;
    }

    /// Adds one to a counter of an object.
    pub fn count(&self, uid: &str, name: &'static str, labels: &[(&'static str, &str)]) {
        let mut objects = self.lock();
        *objects
            .entry(uid.to_owned())
            .or_default()
            .counters
            .entry((name, owned(labels)))
            .or_default() += 1.0;
    }

    /// Adds what the pods of a fleet report of their queues' schedule-to-start. `fleet` are the labels beside queue and type.
    pub fn latencies(&self, uid: &str, fleet: &[(&'static str, &str)], pods: &[PodView]) {
        let mut objects = self.lock();
        let object = objects.entry(uid.to_owned()).or_default();
        object.fleet = owned(fleet);
        object.latencies.observe(pods);
    }

    /// The object is gone.
    pub fn remove(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Series {
    fn default() -> Self {
        Self::new()
    }
}

/// [`Series`] in a registry, shared with those who set them.
pub struct Registered(pub Arc<Series>);

impl Collector for Registered {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families: BTreeMap<&str, Vec<Metric>> = BTreeMap::new();
        let mut latencies = Vec::new();
        for object in self.0.lock().values() {
            for ((queue, task_type), buckets) in object.latencies.sums() {
                let mut labels = object.fleet.clone();
                labels.push(("task_queue", queue.clone()));
                labels.push(("task_type", task_type.as_str().to_owned()));
                let mut metric = labelled(&labels);
                metric.set_histogram(histogram(buckets));
                latencies.push(metric);
            }
            for Sample { name, labels, value } in &object.gauges {
                families
                    .entry(name)
                    .or_default()
                    .push(metric(labels, *value, Kind::Gauge));
            }
            for ((name, labels), value) in &object.counters {
                families
                    .entry(name)
                    .or_default()
                    .push(metric(labels, *value, Kind::Counter));
            }
        }
        let latency = (!latencies.is_empty()).then(|| {
            let mut family = MetricFamily::default();
            family.set_name(LATENCY.0.to_owned());
            family.set_help(LATENCY.1.to_owned());
            family.set_field_type(MetricType::HISTOGRAM);
            family.set_metric(latencies);
            family
        });
        families
            .into_iter()
            .map(|(name, metrics)| {
                let known = HELP.iter().find(|(known, ..)| *known == name);
                let mut family = MetricFamily::default();
                family.set_name(name.to_owned());
                family.set_help(known.map_or("", |(_, _, help)| help).to_owned());
                family.set_field_type(match known {
                    Some((_, Kind::Counter, _)) => MetricType::COUNTER,
                    Some((_, Kind::Gauge, _)) | None => MetricType::GAUGE,
                });
                family.set_metric(metrics);
                family
            })
            .chain(latency)
            .collect()
    }
}

/// Cumulative, as the exposition wants it. Pods report no sum, and a wrong one would be worse than none.
fn histogram(buckets: &Buckets) -> Histogram {
    let mut count = 0_u64;
    let mut cumulative = Vec::new();
    for (index, more) in buckets.counts.iter().enumerate() {
        count = count.saturating_add(*more);
        if let Some(bound) = buckets.bounds.get(index) {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(count);
            cumulative.push(bucket);
        }
    }
    let mut histogram = Histogram::default();
    histogram.set_bucket(cumulative);
    histogram.set_sample_count(count);
    histogram.set_sample_sum(f64::NAN);
    histogram
}

fn labelled(labels: &[(&'static str, String)]) -> Metric {
    let mut pairs: Vec<_> = labels
        .iter()
        .map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(value.clone());
            pair
        })
        .collect();
    pairs.sort_by(|a, b| a.name().cmp(b.name()));
    Metric::from_label(pairs)
}

fn metric(labels: &[(&'static str, String)], value: f64, kind: Kind) -> Metric {
    let mut metric = labelled(labels);
    match kind {
        Kind::Gauge => {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        Kind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        }
    }
    metric
}

#[cfg(test)]
mod tests {
    use prometheus::{Encoder, Registry, TextEncoder};

    use super::*;

    #[test]
    fn buckets_are_exported_cumulatively_and_the_sum_is_not_known() {
        let mut family = MetricFamily::default();
        family.set_name(LATENCY.0.to_owned());
        family.set_field_type(MetricType::HISTOGRAM);
        let mut metric = labelled(&[("worker", "a".to_owned())]);
        metric.set_histogram(histogram(&Buckets {
            bounds: vec![0.1, 1.0],
            counts: vec![3, 2, 1],
        }));
        family.set_metric(vec![metric]);
        let mut text = Vec::new();
        TextEncoder::new().encode(&[family], &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let series = |suffix: &str, value: &str| format!("{}_{suffix} {value}\n", LATENCY.0);
        for line in [
            series(r#"bucket{worker="a",le="0.1"}"#, "3"),
            series(r#"bucket{worker="a",le="1"}"#, "5"),
            series(r#"bucket{worker="a",le="+Inf"}"#, "6"),
            series(r#"count{worker="a"}"#, "6"),
            series(r#"sum{worker="a"}"#, "NaN"),
        ] {
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_fleet_without_reports_has_no_histogram() {
        let series = Arc::new(Series::new());
        series.latencies("u", &[("worker", "a")], &[]);
        let registry = Registry::new();
        registry.register(Box::new(Registered(series))).unwrap();
        assert!(registry.gather().is_empty());
    }
}
