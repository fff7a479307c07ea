//! The local cluster as a good guest: none of its packets leaves the machine.

use std::time::Duration;

use anyhow::{Result, ensure};
use fleet_e2e::{
    bed,
    cluster::egress,
    fleet::{Access, Fleet},
};
use serde_json::json;

/// Two fleets look for Temporal outside, by address and by name: the operator's and the workers' packets are rejected at once, and
/// the counter of what passed nevertheless stays at zero for all that the cluster has ever sent.
#[tokio::test]
async fn no_packet_leaves_the_machine() -> Result<()> {
    let access: Access = bed::cluster().await?;
    ensure!(
        access.is_local(),
        "the guard is the local cluster's: make cluster-up, without KUBECONFIG"
    );
    let before = egress::read()?;
    let namespace = bed::fresh_namespace(&access, "egress").await?;
    // 198.51.100.0/24 is reserved for documentation (RFC 5737), the name for testing (RFC 6761).
    let outside = [("by-address", "198.51.100.1:7233"), ("by-name", "temporal.test:7233")];
    let mut fleets = Vec::new();
    for (name, address) in outside {
        let change = json!({"spec": {"connection": {"address": address}, "autoscaling": {"minReplicas": 1}}});
        access
            .apply(&[bed::manifest_of(name, &namespace, name, &change)?.0])
            .await?;
        fleets.push(Fleet::named(&access, &namespace, name));
    }
    for fleet in &fleets {
        let unreachable = |view: &fleet_e2e::fleet::handle::FleetView| {
            view.status
                .condition("ConnectionReady")
                .is_some_and(|each| each.reason == "Unreachable")
        };
        fleet
            .wait_view("Temporal to be unreachable", Duration::from_mins(2), unreachable)
            .await?;
    }
    fleets[0]
        .wait("a rejected packet", Duration::from_mins(1), async || {
            let rejected = egress::read().map(|now| now.rejected).unwrap_or_default();
            Ok(if rejected > before.rejected {
                Ok(())
            } else {
                Err(format!("{rejected} rejected"))
            })
        })
        .await?;
    assert_eq!(
        egress::read()?.leaked,
        0,
        "packets were on their way out of the machine"
    );
    for fleet in &fleets {
        fleet.delete(Duration::from_mins(2)).await?;
    }
    access
        .kubectl(&["delete", "namespace", &namespace, "--wait=false"])
        .await?;
    Ok(())
}
