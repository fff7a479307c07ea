//! Rendering: from a checked fleet to the manifests of its objects. Pure: no client, no clock.

pub mod budget;
pub mod container;
pub mod deployment;
pub mod env;
pub mod volumes;

use std::collections::BTreeMap;

use fleet_crds::{TemporalConnectionSpec, TemporalWorker, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, OwnerReference};
use kube::{Resource, ResourceExt};

/// Revision of what the operator injects into pods. A Deployment keeps the revision it was rendered with until its own next
/// change, so that an upgrade of the operator restarts no pod.
pub const CONTRACT: u32 = 1;

/// A fleet, ready to be rendered.
pub struct Fleet<'a> {
    /// The object itself.
    pub worker: &'a TemporalWorker,
    /// Where its Temporal is, by reference or inline.
    pub connection: &'a TemporalConnectionSpec,
    /// Checksum of the mounted credentials; `None` without any.
    pub credentials_checksum: Option<&'a str>,
    /// Size that the fleet should have, for the disruption budget.
    pub replicas: u32,
}

impl Fleet<'_> {
    /// Name of the fleet and of its Deployment and budget.
    pub fn name(&self) -> String {
        self.worker.name_any()
    }

    /// The `TemporalWorker` as controller of its children.
    pub fn owner(&self) -> Option<OwnerReference> {
        self.worker.controller_owner_ref(&())
    }

    /// Labels of children and pods.
    pub fn labels(&self) -> BTreeMap<String, String> {
        [
            (names::LABEL_MANAGED_BY, names::MANAGED_BY.to_owned()),
            (names::LABEL_APP_NAME, names::APP_NAME.to_owned()),
            (names::LABEL_APP_INSTANCE, self.name()),
            (names::LABEL_WORKER, self.name()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }

    /// Labels by which the fleet's objects select its serving pods.
    pub fn selector_labels(&self) -> BTreeMap<String, String> {
        selector_labels(&self.name())
    }

    /// The same as a selector.
    pub fn selector(&self) -> LabelSelector {
        LabelSelector {
            match_labels: Some(self.selector_labels()),
            ..LabelSelector::default()
        }
    }

    /// Seconds that running tasks get after SIGTERM.
    pub fn graceful_seconds(&self) -> i64 {
        let options = self.worker.spec.worker_options.as_ref();
        if let Some(seconds) = options.and_then(|options| options.graceful_shutdown_seconds) {
            return i64::from(seconds);
        }
        let grace = self
            .worker
            .spec
            .template
            .as_ref()
            .and_then(|template| template.spec.as_ref()?.termination_grace_period_seconds);
        grace.map_or(60, |grace| grace - names::SHUTDOWN_MARGIN_SECONDS)
    }
}

/// Labels by which a fleet's serving pods are selected: quarantined ones are not among them.
pub fn selector_labels(fleet: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (names::LABEL_WORKER.to_owned(), fleet.to_owned()),
        (names::LABEL_QUARANTINED.to_owned(), "false".to_owned()),
    ])
}
