//! What runs inside the cluster from the start: DNS, the metrics API and Temporal.

use std::fs;
use std::os::unix::fs::chown;

use kube::Client;

use super::config::{self, Ports};
use super::error::{Error, Result};
use super::kubernetes::{apply, deployment_ready};
use super::layout::{Layout, NONROOT};

/// Applies the manifests of all add-ons; waits for none of them.
pub(super) fn install(layout: &Layout, ports: Ports) -> Result<()> {
    // The file of the Temporal server lives longer than its pods, and belongs to the user that the image runs as.
    let data = layout.state("temporal");
    fs::create_dir_all(&data).map_err(Error::file("create", &data))?;
    chown(&data, Some(NONROOT), Some(NONROOT)).map_err(Error::file("change the owner of", &data))?;
    apply(layout, &config::manifests(layout, ports)?)
}

/// Waits for the cluster's DNS.
pub(super) async fn dns_ready(layout: &Layout, client: &Client) -> Result<()> {
    deployment_ready(layout, client, "kube-system", "coredns").await
}

/// Waits for the Temporal server's pod.
pub(super) async fn temporal_ready(layout: &Layout, client: &Client) -> Result<()> {
    deployment_ready(layout, client, "temporal", "temporal").await
}

/// Waits for the metrics API.
pub(super) async fn metrics_ready(layout: &Layout, client: &Client) -> Result<()> {
    deployment_ready(layout, client, "kube-system", "metrics-server").await
}
