//! How much of what the operator may ask of each Temporal namespace it does ask.

use fleet_temporal::Observatory;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::catalog::Kind;
use super::series;

/// The budgets of an [`Observatory`] in a registry.
pub(super) struct Budgets(pub(super) Observatory);

impl Collector for Budgets {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let metrics: Vec<_> = self
            .0
            .budgets()
            .into_iter()
            .map(|(key, ratio)| {
                let labels = [
                    ("connection_namespace", key.kubernetes_namespace().to_owned()),
                    ("address", key.address().to_owned()),
                    ("temporal_namespace", key.temporal_namespace().to_owned()),
                ];
                series::metric(&labels, ratio, Kind::Gauge)
            })
            .collect();
        if metrics.is_empty() {
            return Vec::new();
        }
        vec![series::family(
            "temporal_fleet_temporal_request_budget_used_ratio",
            metrics,
        )]
    }
}
