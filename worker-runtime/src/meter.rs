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
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus::{
    core::{Collector, Desc},
    proto::MetricFamily,
};
use temporalio_common::telemetry::metrics::{
    CoreMeter, Counter, CounterBase, Gauge, GaugeBase, GaugeF64, GaugeF64Base, Histogram, HistogramBase,
    HistogramDuration, HistogramDurationBase, HistogramF64, HistogramF64Base, MetricAttributable, MetricAttributes,
    MetricParameters, NewAttributes, UpDownCounter, UpDownCounterBase,
};

use crate::{calls::Calls, queues::Queues};

mod labels;
mod series;

use self::{
    labels::LabelSets,
    series::{Family, Kind, Target},
};

/// Receives the SDK's metrics. Cheap to clone: all clones are one meter.
#[derive(Clone)]
pub(crate) struct SdkMeter {
    shared: Arc<Shared>,
    desc: Desc,
}

struct Shared {
    queues: Arc<Queues>,
    calls: Arc<Calls>,
    labels: LabelSets,
    families: Mutex<BTreeMap<String, Arc<Family>>>,
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
                labels: LabelSets::default(),
                families: Mutex::default(),
            }),
            desc,
        })
    }

    fn instrument(&self, params: &MetricParameters, kind: Kind) -> Arc<Instrument> {
        let Shared { queues, calls, .. } = self.shared.as_ref();
        let mut families = lock(&self.shared.families);
        let family = families
            .entry(params.name.to_string())
            .or_insert_with(|| Arc::new(Family::new(params, kind, queues, calls)));
        Arc::new(Instrument(Arc::clone(family)))
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

/// What an instrument with labels records on.
struct Bound(Arc<Target>);

/// The SDK's traits differ in the type of the value alone.
macro_rules! instrument {
    ($base:ident, $method:ident, $value:ty, |$target:ident, $v:ident| $record:expr) => {
        impl $base for Bound {
            fn $method(&self, $v: $value) {
                let $target = &self.0;
                $record;
            }
        }
        impl MetricAttributable<Box<dyn $base>> for Instrument {
            fn with_attributes(&self, attributes: &MetricAttributes) -> Result<Box<dyn $base>, Box<dyn Error>> {
                Ok(Box::new(Bound(self.0.bind(attributes))))
            }
        }
    };
}

instrument!(CounterBase, adds, u64, |target, v| target.add(v as f64));
instrument!(UpDownCounterBase, adds, i64, |target, v| target.add(v as f64));
instrument!(GaugeBase, records, u64, |target, v| target.set(v as f64));
instrument!(GaugeF64Base, records, f64, |target, v| target.set(v));
instrument!(HistogramBase, records, u64, |target, v| target.observe(v as f64));
instrument!(HistogramF64Base, records, f64, |target, v| target.observe(v));
instrument!(HistogramDurationBase, records, Duration, |target, v| target
    .observe(v.as_secs_f64() * 1_000.0));

impl CoreMeter for SdkMeter {
    fn new_attributes(&self, attribs: NewAttributes) -> MetricAttributes {
        MetricAttributes::NoOp(self.shared.labels.extend(None, attribs))
    }

    fn extend_attributes(&self, existing: MetricAttributes, attribs: NewAttributes) -> MetricAttributes {
        let from = match &existing {
            MetricAttributes::NoOp(labels) => Some(labels),
            _ => None,
        };
        MetricAttributes::NoOp(self.shared.labels.extend(from, attribs))
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
        families.iter().filter_map(|all| all.collect()).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
