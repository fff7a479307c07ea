//! kubectl's everyday commands: explain, get, scale, wait.

use anyhow::{Context as _, Result};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::sandbox::{self, NAMESPACE, eventually};

#[tokio::test]
async fn explain_get_scale_and_wait_work() -> Result<()> {
    sandbox::with("everyday", |sandbox| async move {
        let manifest = json!({
            "kind": "TemporalWorker",
            "metadata": {"name": "fleet"},
            "spec": {
                "connectionRef": {"name": "prod"},
                "temporalNamespace": "orders",
                "taskQueues": [{"name": "q"}],
                "image": "worker:1",
            },
        });
        sandbox.apply(&manifest, "fleet-e2e", false).await?;
        let (workers, group) = (sandbox.workers(), &sandbox.group);
        let name = format!("{workers}/fleet");
        let kubectl = async |args: &[&str]| sandbox.access.kubectl(&[&["-n", NAMESPACE], args].concat()).await;

        // The published schema follows the definition after a moment.
        let version = format!("--api-version={group}/v1alpha1");
        let text = eventually("kubectl explain", async || {
            Ok(kubectl(&["explain", "temporalworkers.spec.autoscaling", &version]).await?)
        })
        .await?;
        for part in [
            "maxReplicas",
            "-required-",
            "Most pods.",
            "Objectives; the largest answer wins.",
        ] {
            assert!(text.contains(part), "kubectl explain lacks {part}:\n{text}");
        }

        kubectl(&["scale", &name, "--replicas=4"]).await?;
        assert_eq!(kubectl(&["get", &name, "-o", "jsonpath={.spec.replicas}"]).await?, "4");

        let status = json!({"status": {
            "observedGeneration": 2, "replicas": 4, "desiredReplicas": 4, "availableReplicas": 3, "backlog": 41,
            "selector": "temporal-fleet.dev/worker=fleet",
            "summary": {"queues": "q", "connection": "prod", "image": "worker:1"},
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Available", "message": "4/4 pods available",
                "observedGeneration": 2, "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        }});
        sandbox
            .api("TemporalWorker")?
            .patch_status("fleet", &PatchParams::default(), &Patch::Merge(status))
            .await?;
        kubectl(&["wait", "--for=condition=Ready", &name, "--timeout=20s"]).await?;

        let table = kubectl(&["get", &workers, "--field-selector", "spec.temporalNamespace=orders"]).await?;
        let columns = |line: Option<&str>| -> Vec<String> {
            line.unwrap_or_default()
                .split_ascii_whitespace()
                .map(str::to_owned)
                .collect()
        };
        let mut lines = table.lines();
        assert_eq!(
            columns(lines.next()),
            ["NAME", "READY", "DESIRED", "AVAILABLE", "BACKLOG", "AGE"]
        );
        let row = columns(lines.next());
        assert_eq!(row.get(..5).context("a short row")?, ["fleet", "True", "4", "3", "41"]);
        let none = kubectl(&[
            "get",
            &workers,
            "--field-selector",
            "spec.connectionRef.name=other",
            "-o",
            "name",
        ])
        .await?;
        assert_eq!(none, "");

        let scale = kubectl(&["get", &name, "--subresource=scale", "-o", "jsonpath={.status}"]).await?;
        let scale: serde_json::Value = serde_json::from_str(&scale)?;
        assert_eq!(
            scale,
            json!({"replicas": 4, "selector": "temporal-fleet.dev/worker=fleet"})
        );
        Ok(())
    })
    .await
}
