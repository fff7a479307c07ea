//! How much of what the operator may ask of each Temporal namespace it does ask.

use std::collections::HashMap;

use fleet_temporal::Observatory;
use prometheus::Error;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::catalog::{self, Kind};
use super::series;

const USED: &str = "temporal_fleet_temporal_request_budget_used_ratio";

/// The budgets of an [`Observatory`] in a registry.
pub(super) struct Budgets {
    observatory: Observatory,
    /// A registry tells collectors apart by these.
    desc: Desc,
}

impl Budgets {
    pub(super) fn new(observatory: Observatory) -> Result<Self, Error> {
        let entry = catalog::find(USED).ok_or_else(|| Error::Msg(format!("{USED} is not in the catalog")))?;
        let labels = entry.labels.iter().map(|label| (*label).to_owned()).collect();
        let desc = Desc::new(USED.to_owned(), entry.help.to_owned(), labels, HashMap::new())?;
        Ok(Self { observatory, desc })
    }
}

impl Collector for Budgets {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let budgets = self.observatory.budgets().into_iter();
        let metrics: Vec<_> = budgets
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
        vec![series::family(USED, metrics)]
    }
}
