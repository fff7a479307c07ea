//! Series of single objects. They are kept per object and go with it: nobody alerts on a fleet that was deleted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleet_core::PodView;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::catalog::{self, Kind};
use super::latency::{Buckets, Latencies};

/// Objects that are gone and remembered as such.
const REMEMBERED: usize = 1_000;

/// The one histogram that is summed over pods.
const LATENCY: &str = "temporal_fleet_task_queue_schedule_to_start_seconds";

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

type SeriesKey = (&'static str, Vec<(&'static str, String)>);

#[derive(Default)]
struct Object {
    gauges: Vec<Sample>,
    counters: BTreeMap<SeriesKey, f64>,
    durations: BTreeMap<SeriesKey, Durations>,
    latencies: Latencies,
    /// Labels of the fleet in [`LATENCY`].
    fleet: Vec<(&'static str, String)>,
}

/// Observed durations [s], in buckets.
struct Durations {
    buckets: Buckets,
    sum: f64,
}

impl Durations {
    fn new(bounds: &[f64]) -> Self {
        let buckets = Buckets {
            bounds: bounds.to_vec(),
            counts: vec![0; bounds.len() + 1],
        };
        Self { buckets, sum: 0.0 }
    }

    fn observe(&mut self, seconds: f64) {
        let index = self.buckets.bounds.partition_point(|bound| *bound < seconds);
        self.buckets.counts[index] += 1;
        self.sum += seconds;
    }
}

#[derive(Default)]
struct Objects {
    by_uid: BTreeMap<String, Object>,
    /// The last ones that went: a call that was under way must not bring a series back that nobody would remove.
    gone: VecDeque<String>,
}

impl Objects {
    fn get(&mut self, uid: &str) -> Option<&mut Object> {
        if self.gone.iter().any(|gone| gone == uid) {
            return None;
        }
        Some(self.by_uid.entry(uid.to_owned()).or_default())
    }
}

/// All series, by the UID of their object.
pub struct Series {
    objects: Mutex<Objects>,
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
        if let Some(object) = self.lock().get(uid) {
            object.gauges = gauges;
        }
    }

    /// Adds one to a counter of an object.
    pub fn count(&self, uid: &str, name: &'static str, labels: &[(&'static str, &str)]) {
        if let Some(object) = self.lock().get(uid) {
            *object.counters.entry((name, owned(labels))).or_default() += 1.0;
        }
    }

    /// Adds a duration to a histogram of an object; `bounds` [s] ascend and are the same in every call.
    pub fn observe(
        &self,
        uid: &str,
        name: &'static str,
        labels: &[(&'static str, &str)],
        bounds: &[f64],
        took: Duration,
    ) {
        if let Some(object) = self.lock().get(uid) {
            let durations = object.durations.entry((name, owned(labels)));
            durations
                .or_insert_with(|| Durations::new(bounds))
                .observe(took.as_secs_f64());
        }
    }

    /// Adds what the pods of a fleet report of their queues' schedule-to-start. `fleet` are the labels beside queue and type.
    pub fn latencies(&self, uid: &str, fleet: &[(&'static str, &str)], pods: &[PodView]) {
        if let Some(object) = self.lock().get(uid) {
            object.fleet = owned(fleet);
            object.latencies.observe(pods);
        }
    }

    /// The object is gone.
    pub fn remove(&self, uid: &str) {
        let mut objects = self.lock();
        objects.by_uid.remove(uid);
        objects.gone.push_back(uid.to_owned());
        if objects.gone.len() > REMEMBERED {
            objects.gone.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Objects> {
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
        for object in self.0.lock().by_uid.values() {
            for ((queue, task_type), buckets) in object.latencies.sums() {
                let mut labels = object.fleet.clone();
                labels.push(("task_queue", queue.clone()));
                labels.push(("task_type", task_type.as_str().to_owned()));
                let mut metric = labelled(&labels);
                // Pods report no sum, and a wrong one would be worse than none.
                metric.set_histogram(histogram(buckets, f64::NAN));
                families.entry(LATENCY).or_default().push(metric);
            }
            for ((name, labels), durations) in &object.durations {
                let mut metric = labelled(labels);
                metric.set_histogram(histogram(&durations.buckets, durations.sum));
                families.entry(name).or_default().push(metric);
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
        families
            .into_iter()
            .map(|(name, metrics)| family(name, metrics))
            .collect()
    }
}

/// A family under a name of the catalog.
pub(super) fn family(name: &str, metrics: Vec<Metric>) -> MetricFamily {
    let entry = catalog::find(name);
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(entry.map_or("", |entry| entry.help).to_owned());
    family.set_field_type(match entry.map(|entry| entry.kind) {
        Some(Kind::Counter) => MetricType::COUNTER,
        Some(Kind::Histogram) => MetricType::HISTOGRAM,
        Some(Kind::Gauge) | None => MetricType::GAUGE,
    });
    family.set_metric(metrics);
    family
}

/// Cumulative, as the exposition wants it.
fn histogram(buckets: &Buckets, sum: f64) -> Histogram {
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
    histogram.set_sample_sum(sum);
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

/// A metric of one value: a counter, else a gauge.
pub(super) fn metric(labels: &[(&'static str, String)], value: f64, kind: Kind) -> Metric {
    let mut metric = labelled(labels);
    match kind {
        Kind::Gauge | Kind::Histogram => {
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
        let mut metric = labelled(&[("worker", "a".to_owned())]);
        let buckets = Buckets {
            bounds: vec![0.1, 1.0],
            counts: vec![3, 2, 1],
        };
        metric.set_histogram(histogram(&buckets, f64::NAN));
        let mut text = Vec::new();
        let families = [family(LATENCY, vec![metric])];
        TextEncoder::new().encode(&families, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let series = |suffix: &str, value: &str| format!("{LATENCY}_{suffix} {value}\n");
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
    fn durations_are_kept_per_object_and_go_with_it() {
        let series = Arc::new(Series::new());
        let registry = Registry::new();
        registry
            .register(Box::new(Registered(Arc::clone(&series))))
            .expect("fresh");
        let name = "temporal_fleet_worker_drain_duration_seconds";
        for seconds in [1, 5, 60] {
            let took = Duration::from_secs(seconds);
            series.observe("u", name, &[("worker", "a")], &[1.0, 10.0], took);
        }
        let text = TextEncoder::new().encode_to_string(&registry.gather()).expect("text");
        for line in [
            format!(r#"{name}_bucket{{worker="a",le="1"}} 1"#),
            format!(r#"{name}_bucket{{worker="a",le="10"}} 2"#),
            format!(r#"{name}_bucket{{worker="a",le="+Inf"}} 3"#),
            format!(r#"{name}_sum{{worker="a"}} 66"#),
        ] {
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
        series.remove("u");
        series.observe("u", name, &[("worker", "a")], &[1.0, 10.0], Duration::ZERO);
        series.count("u", "temporal_fleet_worker_drains_total", &[]);
        assert!(registry.gather().is_empty(), "what is gone stays gone");
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
