//! The plugin on a real fleet: its size is pinned, held and given back, and it says why the fleet has it.

use std::time::Duration;

use anyhow::Result;
use fleet_e2e::{
    bed::{self, Bed},
    fleet::plugin::plugin,
};
use serde_json::json;

const PATIENCE: Duration = Duration::from_mins(2);

#[tokio::test]
async fn a_person_pins_a_fleet_reads_why_and_lets_it_go() -> Result<()> {
    let access = bed::cluster().await?;
    let change = json!({"spec": {"autoscaling": {"minReplicas": 1, "maxReplicas": 3, "pollingIntervalSeconds": 5}}});
    let bed = Bed::new(access, "plugin", &change).await?;
    let fleet = &bed.fleet;
    fleet
        .wait_replicas("the smallest size", PATIENCE, |replicas| replicas.ready == 1)
        .await?;

    plugin(fleet, "pause", &["--at", "2"]).await?;
    fleet
        .wait_replicas("the pinned size", PATIENCE, |replicas| {
            replicas.desired == 2 && replicas.ready == 2
        })
        .await?;
    paused(&bed, "True", "PausedAtReplicas").await?;
    // The autoscaler goes on reckoning beside it.
    fleet
        .wait("the arithmetic beside a pinned size", PATIENCE, async || {
            let said = match plugin(fleet, "explain", &[]).await {
                Ok(said) => said,
                Err(error) => return Ok(Err(error.to_string())),
            };
            let whole = ["PausedAtReplicas", "demand", "targets", "bounds"]
                .iter()
                .all(|part| said.contains(part));
            if whole && said.contains("1..3") {
                Ok(Ok(()))
            } else {
                Ok(Err(said))
            }
        })
        .await?;
    let tree = plugin(fleet, "get", &[]).await?;
    let pods = fleet.pods().await?;
    assert_eq!(pods.len(), 2);
    for pod in &pods {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        assert!(tree.contains(name), "{name} in {tree}");
    }

    let unknown = plugin(
        &fleet_e2e::fleet::Fleet::named(&bed.access, &fleet.namespace, "nobody"),
        "pause",
        &[],
    )
    .await;
    let said = unknown.unwrap_or_else(|error| error.to_string());
    assert!(said.contains("nobody"), "{said}");

    plugin(fleet, "resume", &[]).await?;
    paused(&bed, "False", "NotPaused").await?;
    let events = fleet.events().await?;
    for reason in ["Paused", "Resumed"] {
        assert!(
            events.iter().any(|event| event.starts_with(reason)),
            "no {reason} in {events:?}"
        );
    }
    bed.end().await
}

/// Waits for the condition that tells of a pause.
async fn paused(bed: &Bed, status: &str, reason: &str) -> Result<()> {
    bed.fleet
        .wait_view(&format!("ScalingPaused={status} {reason}"), PATIENCE, |view| {
            view.status
                .condition("ScalingPaused")
                .is_some_and(|each| (each.status.as_str(), each.reason.as_str()) == (status, reason))
        })
        .await?;
    Ok(())
}
