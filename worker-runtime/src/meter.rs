//! The SDK's metrics: a `CoreMeter` that keeps them for `/metrics` and picks out what a `Report` needs.
//!
//! Names, units (milliseconds) and labels are the SDK's own; only the buckets of schedule-to-start are ours, since the SDK's begin at
//! 100 ms. Attributes are of the kind `NoOp` (a plain map), the only one besides the SDK's own exporter whose labels also reach
//! worker heartbeats.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    error::Error,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use prometheus::{
    core::{Collector, Desc},
    proto::{Bucket, Histogram as HistogramProto, Metric, MetricFamily, MetricType},
};
use temporalio_common::telemetry::metrics::{
    CoreMeter, Counter, CounterBase, Gauge, GaugeBase, GaugeF64, GaugeF64Base, Histogram, HistogramBase,
    HistogramDuration, HistogramDurationBase, HistogramF64, HistogramF64Base, MetricAttributable, MetricAttributes,
    MetricParameters, NewAttributes, UpDownCounter, UpDownCounterBase, default_buckets_for,
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

/// Receives the SDK's metrics. Cheap to clone: all clones are one meter.
#[derive(Clone)]
pub(crate) struct SdkMeter {
    shared: Arc<Shared>,
    desc: Desc,
}

struct Shared {
    queues: Arc<Queues>,
    calls: Arc<Calls>,
    families: Mutex<BTreeMap<String, Arc<Family>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

struct Family {
    name: String,
    help: String,
    kind: Kind,
    bounds: Vec<f64>,
    queues: Arc<Queues>,
    /// Set for the two that are recorded when a call ends.
    calls: Option<Arc<Calls>>,
    series: Mutex<BTreeMap<Labels, Arc<Series>>>,
}

type Labels = Vec<(String, String)>;

/// One time series: a number (`f64` bits), or the counts of a histogram.
struct Series {
    number: AtomicU64,
    counts: Vec<AtomicU64>,
}

/// A series together with its family: what the SDK records on.
struct Bound {
    family: Arc<Family>,
    series: Arc<Series>,
    /// Set for the two schedule-to-start histograms and for the number of pollers.
    queue: Option<(TaskType, String)>,
}

impl SdkMeter {
    pub(crate) fn new(queues: Arc<Queues>, calls: Arc<Calls>) -> Result<Self, prometheus::Error> {
        let desc = Desc::new(
            "temporal_sdk".to_owned(),
            "Metrics of the Temporal SDK".to_owned(),
            Vec::new(),
            HashMap::new(),
        )?;
        Ok(Self {
            shared: Arc::new(Shared {
                queues,
                calls,
                families: Mutex::default(),
            }),
            desc,
        })
    }

    fn family(&self, params: &MetricParameters, kind: Kind) -> Arc<Family> {
        let mut families = lock(&self.shared.families);
        let family = families.entry(params.name.to_string()).or_insert_with(|| {
            let bounds = match (kind, params.name.as_ref()) {
                (Kind::Histogram, ACTIVITY_SCHEDULE_TO_START | WORKFLOW_SCHEDULE_TO_START) => {
                    BOUNDS_MS.iter().map(|bound| *bound as f64).collect()
                }
                (Kind::Histogram, name) => {
                    default_buckets_for(name.strip_prefix(PREFIX).unwrap_or(name), false).to_vec()
                }
                _ => Vec::new(),
            };
            Arc::new(Family {
                name: params.name.to_string(),
                help: params.description.to_string(),
                kind,
                bounds,
                queues: Arc::clone(&self.shared.queues),
                calls: CALLS
                    .contains(&params.name.as_ref())
                    .then(|| Arc::clone(&self.shared.calls)),
                series: Mutex::default(),
            })
        });
        Arc::clone(family)
    }

    fn instrument(&self, params: &MetricParameters, kind: Kind) -> Arc<Instrument> {
        Arc::new(Instrument(self.family(params, kind)))
    }
}

impl fmt::Debug for SdkMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkMeter")
            .field("families", &lock(&self.shared.families).len())
            .finish_non_exhaustive()
    }
}

struct Instrument(Arc<Family>);

impl Instrument {
    fn bind(&self, attributes: &MetricAttributes) -> Bound {
        let empty = HashMap::new();
        let map = match attributes {
            MetricAttributes::NoOp(labels) => labels.as_ref(),
            _ => &empty,
        };
        let mut labels: Labels = map
            .iter()
            .map(|(key, value)| (key.replace('-', "_"), value.clone()))
            .collect();
        labels.sort_unstable();
        let family = &self.0;
        let mut all = lock(&family.series);
        let series = all.entry(labels).or_insert_with(|| {
            let buckets = if family.kind == Kind::Histogram {
                family.bounds.len() + 1
            } else {
                0
            };
            Arc::new(Series {
                number: AtomicU64::new(0f64.to_bits()),
                counts: (0..buckets).map(|_| AtomicU64::new(0)).collect(),
            })
        });
        let task_type = match family.name.as_str() {
            ACTIVITY_SCHEDULE_TO_START => Some(TaskType::Activity),
            WORKFLOW_SCHEDULE_TO_START => Some(TaskType::Workflow),
            POLLERS => map.get("poller_type").and_then(|poller| match poller.as_str() {
                "activity_task" => Some(TaskType::Activity),
                "workflow_task" => Some(TaskType::Workflow),
                _ => None,
            }),
            _ => None,
        };
        Bound {
            queue: task_type.zip(map.get("task_queue").cloned()),
            family: Arc::clone(family),
            series: Arc::clone(series),
        }
    }
}

impl Bound {
    fn add(&self, delta: f64) {
        let _ = self
            .series
            .number
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
                Some((f64::from_bits(bits) + delta).to_bits())
            });
    }

    fn set(&self, value: f64) {
        self.series.number.store(value.to_bits(), Ordering::Relaxed);
        if let (Some((task_type, queue)), true) = (&self.queue, value >= 1.0) {
            self.family.queues.polled(*task_type, queue);
        }
    }

    fn observe(&self, value: f64) {
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

/// The SDK's traits differ in the type of the value alone.
macro_rules! instrument {
    ($base:ident, $method:ident, $value:ty, |$bound:ident, $v:ident| $record:expr) => {
        impl $base for Bound {
            fn $method(&self, $v: $value) {
                let $bound = self;
                $record;
            }
        }
        impl MetricAttributable<Box<dyn $base>> for Instrument {
            fn with_attributes(&self, attributes: &MetricAttributes) -> Result<Box<dyn $base>, Box<dyn Error>> {
                Ok(Box::new(self.bind(attributes)))
            }
        }
    };
}

instrument!(CounterBase, adds, u64, |bound, v| bound.add(v as f64));
instrument!(UpDownCounterBase, adds, i64, |bound, v| bound.add(v as f64));
instrument!(GaugeBase, records, u64, |bound, v| bound.set(v as f64));
instrument!(GaugeF64Base, records, f64, |bound, v| bound.set(v));
instrument!(HistogramBase, records, u64, |bound, v| bound.observe(v as f64));
instrument!(HistogramF64Base, records, f64, |bound, v| bound.observe(v));
instrument!(HistogramDurationBase, records, Duration, |bound, v| bound
    .observe(v.as_secs_f64() * 1_000.0));

impl CoreMeter for SdkMeter {
    fn new_attributes(&self, attribs: NewAttributes) -> MetricAttributes {
        MetricAttributes::NoOp(Arc::new(attribs.into()))
    }

    fn extend_attributes(&self, existing: MetricAttributes, attribs: NewAttributes) -> MetricAttributes {
        let mut labels = match existing {
            MetricAttributes::NoOp(labels) => labels.as_ref().clone(),
            _ => HashMap::new(),
        };
        labels.extend(HashMap::<String, String>::from(attribs));
        MetricAttributes::NoOp(Arc::new(labels))
    }

    fn counter(&self, params: MetricParameters) -> Counter {
        Counter::new(self.instrument(&params, Kind::Counter))
    }

    fn histogram(&self, params: MetricParameters) -> Histogram {
        Histogram::new(self.instrument(&params, Kind::Histogram))
    }

    fn histogram_f64(&self, params: MetricParameters) -> HistogramF64 {
        HistogramF64::new(self.instrument(&params, Kind::Histogram))
    }

    fn histogram_duration(&self, mut params: MetricParameters) -> HistogramDuration {
        params.unit = Cow::Borrowed("ms");
        HistogramDuration::new(self.instrument(&params, Kind::Histogram))
    }

    fn gauge(&self, params: MetricParameters) -> Gauge {
        Gauge::new(self.instrument(&params, Kind::Gauge))
    }

    fn gauge_f64(&self, params: MetricParameters) -> GaugeF64 {
        GaugeF64::new(self.instrument(&params, Kind::Gauge))
    }

    fn up_down_counter(&self, params: MetricParameters) -> UpDownCounter {
        UpDownCounter::new(self.instrument(&params, Kind::Gauge))
    }
}

impl Collector for SdkMeter {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let families: Vec<Arc<Family>> = lock(&self.shared.families).values().cloned().collect();
        families
            .iter()
            .filter_map(|all| {
                let samples: Vec<Metric> = lock(&all.series)
                    .iter()
                    .map(|(labels, series)| all.sample(labels, series))
                    .collect();
                let kind = match all.kind {
                    Kind::Counter => MetricType::COUNTER,
                    Kind::Gauge => MetricType::GAUGE,
                    Kind::Histogram => MetricType::HISTOGRAM,
                };
                // A family without samples is not part of the exposition.
                (!samples.is_empty()).then(|| family(&all.name, &all.help, kind, samples))
            })
            .collect()
    }
}

impl Family {
    fn sample(&self, labels: &Labels, series: &Series) -> Metric {
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
