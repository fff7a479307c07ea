//! Chooses a pod's source: `WorkerControl`, else its metrics page, else its heartbeats. A pod keeps the best source that ever
//! answered: counters of two sources are not those of one, and silence of the one it has is a gap, not a reason to change.

use std::sync::Arc;

use fleet_autoscale::Seen;
use fleet_core::WorkerReport;
use fleet_temporal::Observatory;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;

use super::control;
use super::heartbeat::{Heartbeats, Place};
use super::reports::Reports;
use super::scrape::Scrapes;

/// All sources of reports.
pub struct Sources {
    reports: Reports,
    scrapes: Scrapes,
    heartbeats: Heartbeats,
}

/// What sources need to know of a fleet.
pub struct Fleet<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its `WorkerControl` Secret, if it is there.
    pub control: Option<&'a Arc<Secret>>,
    /// Port of its pods' metrics.
    pub metrics_port: u16,
    /// Where its workers are listed; `None` without a usable connection.
    pub place: Option<Place<'a>>,
}

impl Sources {
    /// Sources that read heartbeats through `observatory`.
    pub fn new(observatory: Observatory) -> Self {
        Self {
            reports: Reports::default(),
            scrapes: Scrapes::default(),
            heartbeats: Heartbeats::new(observatory),
        }
    }

    /// Tells a pod that reports by `WorkerControl` to take no new task. No other source can.
    pub async fn drain(&self, uid: &str) -> Result<(), control::Error> {
        self.reports.drain(uid).await
    }

    /// What the pod reports, by the best source it has, and whether it looks like an image that never serves `WorkerControl`.
    pub async fn of(&self, pod: &Pod, fleet: &Fleet<'_>, now: Timestamp) -> (Seen<WorkerReport>, bool) {
        let (report, never_reported) = self.reports.of(pod, fleet.name, fleet.control, now).await;
        let Seen::Unknown { reason: control } = &report else {
            return (report, never_reported);
        };
        let scraped_before = self.scrapes.answered(&pod.uid().unwrap_or_default());
        if !never_reported && !scraped_before {
            return (report, never_reported);
        }
        let scraped = self.scrapes.of(pod, fleet.metrics_port, now).await;
        let Seen::Unknown { reason: scrape } = &scraped else {
            return (scraped, never_reported);
        };
        if scraped_before {
            return (scraped, never_reported);
        }
        let beaten = match &fleet.place {
            Some(place) => self.heartbeats.of(pod, place, now),
            None => Seen::unknown("no connection to Temporal"),
        };
        let report = match beaten {
            Seen::Known(report) => Seen::Known(report),
            Seen::Unknown { reason } => Seen::unknown(format!("{control}; {scrape}; {reason}")),
        };
        (report, never_reported)
    }
}
