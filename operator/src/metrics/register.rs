//! Puts a metric of the catalog into a registry, with the labels and the help it has there.

use prometheus::core::Collector;
use prometheus::{Error, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

use super::catalog::{self, Entry};

/// A counter.
pub(super) fn counter(registry: &Registry, name: &str) -> Result<IntCounterVec, Error> {
    let entry = find(name)?;
    registered(registry, IntCounterVec::new(opts(entry), entry.labels)?)
}

/// A gauge of whole numbers.
pub(super) fn gauge(registry: &Registry, name: &str) -> Result<IntGaugeVec, Error> {
    let entry = find(name)?;
    registered(registry, IntGaugeVec::new(opts(entry), entry.labels)?)
}

/// A gauge of any numbers.
pub(super) fn ratio(registry: &Registry, name: &str) -> Result<GaugeVec, Error> {
    let entry = find(name)?;
    registered(registry, GaugeVec::new(opts(entry), entry.labels)?)
}

/// A histogram.
pub(super) fn histogram(registry: &Registry, name: &str, bounds: &[f64]) -> Result<HistogramVec, Error> {
    let entry = find(name)?;
    let opts = HistogramOpts::from(opts(entry)).buckets(bounds.to_vec());
    registered(registry, HistogramVec::new(opts, entry.labels)?)
}

fn find(name: &str) -> Result<&'static Entry, Error> {
    catalog::find(name).ok_or_else(|| Error::Msg(format!("{name} is not in the catalog")))
}

fn opts(entry: &Entry) -> Opts {
    Opts::new(entry.name, entry.help)
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
