//! Another autoscaler on the fleet's Deployment: the operator says so, keeps its hands off, and takes over again when it is gone.

use std::time::Duration;

use anyhow::Result;
use fleet_e2e::{
    bed::{self, Bed},
    fleet::handle::FleetView,
};
use serde_json::json;

const PATIENCE: Duration = Duration::from_mins(2);

fn reason(view: &FleetView) -> Option<&str> {
    view.status.condition("ScalingActive").map(|each| each.reason.as_str())
}

#[tokio::test]
async fn an_hpa_on_the_deployment_has_its_size_to_itself_until_it_goes() -> Result<()> {
    let access = bed::cluster().await?;
    let bed = Bed::new(
        access,
        "rival",
        &json!({"spec": {"autoscaling": {"minReplicas": 1, "maxReplicas": 3}}}),
    )
    .await?;
    bed.fleet
        .wait_replicas("one pod", PATIENCE, |replicas| {
            replicas.desired == 1 && replicas.ready == 1
        })
        .await?;
    let namespace = bed.fleet.namespace.clone();
    let scale = async |replicas: u32| {
        let size = format!("--replicas={replicas}");
        bed.access
            .kubectl(&["scale", "deployment", "rival", "-n", &namespace, &size])
            .await
    };

    // Without metrics an HPA does nothing but keep to its bounds.
    let hpa = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "theirs", "namespace": namespace},
        "spec": {
            "minReplicas": 2, "maxReplicas": 4,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "rival"},
            "metrics": [{"type": "External", "external": {
                "metric": {"name": "nobody-has-it"}, "target": {"type": "Value", "value": "1"}}}],
        },
    });
    bed.access.apply(&[hpa]).await?;
    let owned = bed
        .fleet
        .wait_view("the other owner to be named", PATIENCE, |view| {
            reason(view) == Some("ReplicasOwnedByOther")
        })
        .await?;
    assert!(
        owned
            .conditions()
            .contains(&format!("HorizontalPodAutoscaler {namespace}/theirs")),
        "{}",
        owned.conditions()
    );
    bed.fleet
        .wait_replicas("the HPA's least", PATIENCE, |replicas| replicas.desired == 2)
        .await?;

    // Up and down past the operator, which would put the latter right at once if the size were its own.
    for size in [4, 3] {
        scale(size).await?;
        bed.fleet
            .wait_view("the operator to see it", PATIENCE, |view| {
                view.status.desired_replicas == Some(size) && reason(view) == Some("ReplicasOwnedByOther")
            })
            .await?;
    }
    bed.fleet
        .wait_replicas("three pods, all Ready", PATIENCE, |replicas| {
            replicas.desired == 3 && replicas.ready == 3
        })
        .await?;

    bed.access
        .kubectl(&["delete", "hpa", "theirs", "-n", &namespace])
        .await?;
    bed.fleet
        .wait_view("the operator to take over", PATIENCE, |view| {
            reason(view).is_some_and(|reason| reason.starts_with("Signals"))
        })
        .await?;
    scale(2).await?;
    bed.fleet
        .wait_replicas("the size to be put right", PATIENCE, |replicas| replicas.desired == 3)
        .await?;
    bed.end().await
}
