//! Finding pods for Prometheus. Debian builds it without its Kubernetes discovery, so a process of ours watches pods and
//! writes them as a file of targets, with the labels that the built-in discovery (role `pod`) would give them: the scrape
//! configuration stays the one that is used with any other Prometheus.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use serde::Serialize;

use super::error::{Error, Result};
use super::kubernetes::client;
use super::layout::Layout;

/// Name of the file of targets.
pub(super) const FILE: &str = "pods.json";

/// One entry of Prometheus' `file_sd_configs`.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Target {
    targets: [String; 1],
    labels: BTreeMap<String, String>,
}

/// Watches pods for ever and keeps the file of targets fresh.
pub async fn run(layout: &Layout) -> Result<()> {
    let pods: Api<Pod> = Api::all(client(layout).await?);
    let file = layout.state("targets").join(FILE);
    let (reader, writer) = reflector::store();
    // The server ends a watch after these seconds, before the client takes the silence of an idle one for a failure.
    let config = watcher::Config::default().timeout(20);
    let mut events = watcher(pods, config).default_backoff().reflect(writer).boxed();
    loop {
        match events.try_next().await {
            Ok(Some(_)) => write(&file, &targets(reader.state().iter().map(AsRef::as_ref)))?,
            Ok(None) => return Err(Error::Refused("the watch of pods ended".to_owned())),
            // The watcher reconnects by itself; the file keeps what was known.
            Err(error) => {
                eprintln!("watch of pods: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// The targets among the pods: those that run, have an address and ask for it.
fn targets<'a>(pods: impl Iterator<Item = &'a Pod>) -> Vec<Target> {
    let mut found: Vec<_> = pods.filter_map(target).collect();
    found.sort_by(|a, b| a.labels.cmp(&b.labels));
    found
}

fn target(pod: &Pod) -> Option<Target> {
    let annotations = pod.metadata.annotations.as_ref()?;
    let status = pod.status.as_ref()?;
    let ip = status.pod_ip.as_ref().filter(|ip| !ip.is_empty())?;
    annotations
        .get("prometheus.io/scrape")
        .filter(|value| *value == "true")?;
    let mut labels = BTreeMap::new();
    let mut label = |name: &str, value: &str| labels.insert(format!("__meta_kubernetes_{name}"), value.to_owned());
    label("namespace", pod.metadata.namespace.as_deref()?);
    label("pod_name", pod.metadata.name.as_deref()?);
    label("pod_ip", ip);
    label("pod_phase", status.phase.as_deref().unwrap_or_default());
    label("pod_container_init", "false");
    label(
        "pod_node_name",
        pod.spec.as_ref()?.node_name.as_deref().unwrap_or_default(),
    );
    for (name, value) in annotations
        .iter()
        .filter(|(name, _)| name.starts_with("prometheus.io/"))
    {
        label(&format!("pod_annotation_{}", sanitised(name)), value);
    }
    for (name, value) in pod.metadata.labels.iter().flatten() {
        label(&format!("pod_label_{}", sanitised(name)), value);
    }
    Some(Target {
        targets: [ip.clone()],
        labels,
    })
}

/// A name with everything replaced that a label of Prometheus cannot hold.
fn sanitised(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

/// Writes beside and renames: Prometheus never reads half a file. An unchanged file is left alone.
fn write(file: &Path, targets: &[Target]) -> Result<()> {
    let text = serde_json::to_string_pretty(targets).map_err(|error| Error::Refused(error.to_string()))?;
    if fs::read_to_string(file).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let new = file.with_extension("new");
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, file))
        .map_err(Error::file("write", file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(annotation: &str) -> Pod {
        let value = serde_json::json!({
            "metadata": {"name": "p", "namespace": "n", "annotations": {"prometheus.io/scrape": annotation, "prometheus.io/port": "9464"},
                "labels": {"app.kubernetes.io/name": "worker"}},
            "spec": {"containers": [], "nodeName": "node"},
            "status": {"podIP": "10.244.0.9", "phase": "Running"},
        });
        serde_json::from_value(value).expect("a pod")
    }

    #[test]
    fn a_pod_that_asks_for_it_is_a_target_with_the_labels_of_the_built_in_discovery() {
        let pods = [pod("true"), pod("false")];
        let found = targets(pods.iter());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].targets, ["10.244.0.9"]);
        let label = |name: &str| found[0].labels[&format!("__meta_kubernetes_{name}")].as_str();
        assert_eq!(label("pod_annotation_prometheus_io_port"), "9464");
        assert_eq!(label("pod_label_app_kubernetes_io_name"), "worker");
        assert_eq!(label("namespace"), "n");
    }

    #[test]
    fn a_pod_without_an_address_is_no_target() {
        let mut pod = pod("true");
        pod.status = None;
        assert!(targets([pod].iter()).is_empty());
    }
}
