//! KEDA from its own Go module, as `make keda` built it: images through our image tool, manifests by kustomize over the module's own
//! `config/minimal`.
//!
//! Owned here is only what this machine needs: no registry, one replica, small requests, quick probes. What KEDA decides is untouched.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    cluster::{self, Layout},
    fleet::Access,
    image::{self, catalog},
};

/// KEDA's own Kubernetes namespace.
const NAMESPACE: &str = "keda";
const EXTERNAL_METRICS: &str = "/apis/external.metrics.k8s.io/v1beta1";
const PATIENCE: Duration = Duration::from_mins(3);
const PAUSE: Duration = Duration::from_secs(1);

/// An error unless everything is built.
pub(super) fn check() -> Result<()> {
    let layout = Layout::of_user()?;
    for part in needed(&layout) {
        ensure!(
            part.exists(),
            "{} is missing: `make keda` builds KEDA (once, long); `--scalers ours,hpa-cpu` does without",
            part.display()
        );
    }
    Ok(())
}

fn needed(layout: &Layout) -> Vec<PathBuf> {
    let programs = catalog::keda()
        .into_iter()
        .map(|addon| layout.cache().join("bin").join(addon.program));
    programs
        .chain([folder(layout).join("config/minimal/kustomization.yaml")])
        .collect()
}

/// What `e2e/tools/build-keda` and this module put into the cache.
fn folder(layout: &Layout) -> PathBuf {
    layout.cache().join("keda")
}

/// Installs KEDA and waits until it serves its metrics.
pub(super) async fn install(access: &Access) -> Result<()> {
    check()?;
    let layout = Layout::of_user()?;
    let images = folder(&layout).join("images");
    for addon in catalog::keda() {
        let bin = layout.cache().join("bin");
        let archive = images.join(format!("{}.tar", addon.program));
        if is_older(&archive, &bin.join(addon.program)) {
            image::write(
                &catalog::addon(&addon, &bin)?,
                Path::new(catalog::AUTHORITIES),
                &archive,
            )?;
        }
    }
    cluster::import_folder(&layout, &images)?;
    let manifests = manifests(access, &layout).await?;
    let path = manifests.display().to_string();
    // On the server's side: one definition is too large for the annotation of the other way.
    access
        .kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &path])
        .await?;
    for deployment in ["keda-operator", "keda-metrics-apiserver"] {
        let target = format!("deployment/{deployment}");
        access
            .kubectl(&["rollout", "status", &target, "-n", NAMESPACE, "--timeout=3m"])
            .await?;
    }
    // Ready pods are not enough: the metrics API is served once its certificate is there, and the operator has started again with it.
    let deadline = Instant::now() + PATIENCE;
    loop {
        match access.kubectl(&["get", "--raw", EXTERNAL_METRICS]).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => {
                return Err(error).context("KEDA's metrics API does not answer");
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Whether a file is missing or older than what it is made of: writing an archive of hundreds of MB for each run would be felt.
fn is_older(made: &Path, of: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    match (modified(made), modified(of)) {
        (Some(made), Some(of)) => made < of,
        _ => true,
    }
}

/// Deletes what KEDA's operator must still see end: their finalizer is its own.
pub(super) async fn delete_scaled_objects(access: &Access, namespace: &str) -> Result<()> {
    // Without KEDA there is no such kind.
    let kind = [
        "get",
        "customresourcedefinition",
        "scaledobjects.keda.sh",
        "--ignore-not-found",
        "-o",
        "name",
    ];
    if !access.kubectl(&kind).await?.trim().is_empty() {
        let delete = [
            "delete",
            "scaledobjects.keda.sh",
            "--all",
            "-n",
            namespace,
            "--timeout=2m",
        ];
        access.kubectl(&delete).await?;
    }
    Ok(())
}

/// Removes KEDA and its kinds.
pub(super) async fn uninstall(access: &Access) -> Result<()> {
    let rendered = rendered(&Layout::of_user()?);
    if rendered.exists() {
        let path = rendered.display().to_string();
        access
            .kubectl(&["delete", "--ignore-not-found", "--timeout=3m", "-f", &path])
            .await?;
    }
    Ok(())
}

fn rendered(layout: &Layout) -> PathBuf {
    folder(layout).join("rendered.yaml")
}

/// Renders the module's manifests with our overlay.
async fn manifests(access: &Access, layout: &Layout) -> Result<PathBuf> {
    let overlay = folder(layout).join("overlay");
    fs::create_dir_all(&overlay).with_context(|| format!("failed to create {}", overlay.display()))?;
    let file = overlay.join("kustomization.yaml");
    fs::write(&file, kustomization()?).with_context(|| format!("failed to write {}", file.display()))?;
    let text = access.kubectl(&["kustomize", &overlay.display().to_string()]).await?;
    let rendered = rendered(layout);
    fs::write(&rendered, text).with_context(|| format!("failed to write {}", rendered.display()))?;
    Ok(rendered)
}

/// The overlay: images of this machine, one replica without the wait for a lease, small requests, quick probes.
fn kustomization() -> Result<String> {
    let mut patches = Vec::new();
    for addon in catalog::keda() {
        let (deployment, args, scheme) = if addon.program == "keda-operator" {
            let args = json!([
                "--zap-log-level=info",
                "--zap-encoder=console",
                "--zap-time-encoding=rfc3339",
                "--enable-cert-rotation=true",
                "--enable-webhook-patching=false",
            ]);
            ("keda-operator", args, "HTTP")
        } else {
            let args = json!([
                "--secure-port=6443",
                "--zap-log-level=error",
                "--client-ca-file=/certs/ca.crt",
                "--tls-cert-file=/certs/tls.crt",
                "--tls-private-key-file=/certs/tls.key",
                "--cert-dir=/certs",
            ]);
            ("keda-metrics-apiserver", args, "HTTPS")
        };
        let port = if scheme == "HTTP" { 8081 } else { 6443 };
        let container = "/spec/template/spec/containers/0";
        let probe = json!({"httpGet": {"path": "/readyz", "port": port, "scheme": scheme}, "periodSeconds": 1});
        let operations = json!([
            {"op": "replace", "path": format!("{container}/image"), "value": addon.reference},
            {"op": "replace", "path": format!("{container}/imagePullPolicy"), "value": "Never"},
            {"op": "add", "path": format!("{container}/command"), "value": [format!("/{}", addon.program)]},
            {"op": "replace", "path": format!("{container}/args"), "value": args},
            {"op": "replace", "path": format!("{container}/readinessProbe"), "value": probe},
            {"op": "replace", "path": format!("{container}/resources"),
             "value": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}},
            {"op": "add", "path": "/spec/template/spec/securityContext/runAsUser", "value": 65532},
        ]);
        patches.push(json!({
            "target": {"kind": "Deployment", "name": deployment},
            "patch": operations.to_string(),
        }));
    }
    let overlay = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["../config/minimal"],
        "patches": patches,
    });
    Ok(serde_yaml::to_string(&overlay)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_names_the_target_that_builds_it() {
        let layout = Layout::at("/nonexistent").expect("a layout");
        let needed = needed(&layout);
        assert_eq!(needed.len(), 3, "{needed:?}");
        assert!(needed.iter().all(|part| !part.exists()));
    }

    #[test]
    fn the_overlay_sets_images_that_are_never_pulled() {
        let text = kustomization().expect("an overlay");
        let overlay: serde_json::Value = serde_yaml::from_str(&text).expect("YAML");
        let patches = overlay["patches"].as_array().expect("patches");
        assert_eq!(patches.len(), 2);
        for (patch, program) in patches.iter().zip(["keda-operator", "keda-adapter"]) {
            let operations: serde_json::Value =
                serde_json::from_str(patch["patch"].as_str().expect("text")).expect("operations");
            let operations = operations.to_string();
            assert!(operations.contains(&format!("localhost/{program}:")), "{operations}");
            assert!(
                operations.contains("\"Never\"") && !operations.contains("--leader-elect"),
                "{operations}"
            );
        }
    }
}
