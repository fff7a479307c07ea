//! Families of time series and what is recorded on them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use prometheus::proto::{Bucket, Histogram as HistogramProto, Metric, MetricFamily, MetricType};
use temporalio_common::telemetry::metrics::{MetricAttributes, MetricParameters, default_buckets_for};

use super::{
    labels::{KEPT, Labels},
    lock,
};
use crate::{
    calls::Calls,
    gate::TaskType,
    metrics::{counter, family, gauge, label},
    queues::{BOUNDS_MS, Queues},
};

const PREFIX: &str = "temporal_";
const ACTIVITY_SCHEDULE_TO_START: &str = "temporal_activity_schedule_to_start_latency";
const WORKFLOW_SCHEDULE_TO_START: &str = "temporal_workflow_task_schedule_to_start_latency";
const POLLERS: &str = "temporal_num_pollers";
/// Recorded when a call ends, whatever its result.
const CALLS: [&str; 2] = ["temporal_request_latency", "temporal_long_request_latency"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Labels in order, as they are exposed.
type Names = Vec<(String, String)>;

/// All series of one name.
pub(super) struct Family {
    name: String,
    help: String,
    kind: Kind,
    bounds: Vec<f64>,
    queues: Arc<Queues>,
    /// Set for the two that are recorded when a call ends.
    calls: Option<Arc<Calls>>,
    series: Mutex<BTreeMap<Names, Arc<Series>>>,
    /// What was bound to, by the address of its labels, which are held so that the address stays theirs.
    bound: RwLock<foldhash::HashMap<usize, (Labels, Arc<Target>)>>,
}

/// One time series: a number (`f64` bits), or the counts of a histogram.
struct Series {
    number: AtomicU64,
    counts: Vec<AtomicU64>,
}

/// A series together with its family: what the SDK records on.
pub(super) struct Target {
    family: Arc<Family>,
    series: Arc<Series>,
    /// Set for the two schedule-to-start histograms and for the number of pollers.
    queue: Option<(TaskType, String)>,
}

impl Family {
    pub(super) fn new(params: &MetricParameters, kind: Kind, queues: &Arc<Queues>, calls: &Arc<Calls>) -> Self {
        let bounds = match (kind, params.name.as_ref()) {
            (Kind::Histogram, ACTIVITY_SCHEDULE_TO_START | WORKFLOW_SCHEDULE_TO_START) => {
                BOUNDS_MS.iter().map(|bound| *bound as f64).collect()
            }
            (Kind::Histogram, name) => default_buckets_for(name.strip_prefix(PREFIX).unwrap_or(name), false).to_vec(),
            _ => Vec::new(),
        };
        Self {
            name: params.name.to_string(),
            help: params.description.to_string(),
            kind,
            bounds,
            queues: Arc::clone(queues),
            calls: CALLS.contains(&params.name.as_ref()).then(|| Arc::clone(calls)),
            series: Mutex::default(),
            bound: RwLock::default(),
        }
    }

    /// The series with these labels, a new one if there is none.
    pub(super) fn bind(self: &Arc<Self>, attributes: &MetricAttributes) -> Arc<Target> {
        let MetricAttributes::NoOp(labels) = attributes else {
            return Arc::new(self.target(&HashMap::new()));
        };
        let address = Arc::as_ptr(labels).addr();
        if let Some((_, target)) = self.bound.read().unwrap_or_else(PoisonError::into_inner).get(&address) {
            return Arc::clone(target);
        }
        let target = Arc::new(self.target(labels));
        let mut bound = self.bound.write().unwrap_or_else(PoisonError::into_inner);
        if bound.len() < KEPT {
            bound.insert(address, (Arc::clone(labels), Arc::clone(&target)));
        }
        target
    }

    fn target(self: &Arc<Self>, map: &HashMap<String, String>) -> Target {
        let mut labels: Vec<_> = map
            .iter()
            .map(|(key, value)| (key.replace('-', "_"), value.clone()))
            .collect();
        labels.sort_unstable();
        let series = Arc::clone(lock(&self.series).entry(labels).or_insert_with(|| {
            let buckets = if self.kind == Kind::Histogram {
                self.bounds.len() + 1
            } else {
                0
            };
            Arc::new(Series {
                number: AtomicU64::new(0f64.to_bits()),
                counts: (0..buckets).map(|_| AtomicU64::new(0)).collect(),
            })
        }));
        let task_type = match self.name.as_str() {
            ACTIVITY_SCHEDULE_TO_START => Some(TaskType::Activity),
            WORKFLOW_SCHEDULE_TO_START => Some(TaskType::Workflow),
            POLLERS => map.get("poller_type").and_then(|poller| match poller.as_str() {
                "activity_task" => Some(TaskType::Activity),
                "workflow_task" => Some(TaskType::Workflow),
                _ => None,
            }),
            _ => None,
        };
        Target {
            queue: task_type.zip(map.get("task_queue").cloned()),
            family: Arc::clone(self),
            series,
        }
    }

    /// All its samples; `None` without any, since a family without samples is not part of the exposition.
    pub(super) fn collect(&self) -> Option<MetricFamily> {
        let samples: Vec<Metric> = lock(&self.series)
            .iter()
            .map(|(labels, series)| self.sample(labels, series))
            .collect();
        let kind = match self.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
            Kind::Histogram => MetricType::HISTOGRAM,
        };
        (!samples.is_empty()).then(|| family(&self.name, &self.help, kind, samples))
    }

    fn sample(&self, labels: &[(String, String)], series: &Series) -> Metric {
        let labels = labels.iter().map(|(name, value)| label(name, value)).collect();
        let number = f64::from_bits(series.number.load(Ordering::Relaxed));
        match self.kind {
            Kind::Counter => counter(number, labels),
            Kind::Gauge => gauge(number, labels),
            Kind::Histogram => {
                let mut total = 0;
                let mut buckets = Vec::with_capacity(self.bounds.len());
                for (index, count) in series.counts.iter().enumerate() {
                    total += count.load(Ordering::Relaxed);
                    if let Some(bound) = self.bounds.get(index) {
                        let mut bucket = Bucket::default();
                        bucket.set_upper_bound(*bound);
                        bucket.set_cumulative_count(total);
                        buckets.push(bucket);
                    }
                }
                let mut histogram = HistogramProto::default();
                histogram.set_sample_count(total);
                histogram.set_sample_sum(number);
                histogram.set_bucket(buckets);
                let mut metric = Metric::from_label(labels);
                metric.set_histogram(histogram);
                metric
            }
        }
    }
}

impl Target {
    pub(super) fn add(&self, delta: f64) {
        let _ = self
            .series
            .number
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
                Some((f64::from_bits(bits) + delta).to_bits())
            });
    }

    pub(super) fn set(&self, value: f64) {
        self.series.number.store(value.to_bits(), Ordering::Relaxed);
        if let (Some((task_type, queue)), true) = (&self.queue, value >= 1.0) {
            self.family.queues.polled(*task_type, queue);
        }
    }

    pub(super) fn observe(&self, value: f64) {
        let bucket = self.family.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.series.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.add(value);
        if let Some(calls) = &self.family.calls {
            calls.ended(Instant::now());
        }
        if let Some((task_type, queue)) = &self.queue {
            self.family.queues.schedule_to_start(*task_type, queue, value);
        }
    }
}
