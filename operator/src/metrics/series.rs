//! Series of single objects. They are kept per object and go with it: nobody alerts on a fleet that was deleted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

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
        for object in self.0.lock().values() {
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
            .collect()
    }
}

fn metric(labels: &[(&'static str, String)], value: f64, kind: Kind) -> Metric {
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
    let mut metric = Metric::from_label(pairs);
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
