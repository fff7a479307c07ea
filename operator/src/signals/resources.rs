//! CPU and memory of pods by the metrics API: one list per interval for all fleets.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fleet_autoscale::Seen;
use fleet_crds::names;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::k8s::{self, CALL_DEADLINE, chain, quantity};

/// Time between two lists. The metrics server itself measures every 15 s.
const INTERVAL: Duration = Duration::from_secs(15);
/// A list older than this says nothing about now: three lists failed in a row.
const STALE: Duration = Duration::from_mins(1);

/// What the worker container of a pod uses, or the whole pod if no container has that name; `None` where a figure is missing or
/// cannot be read: unknown is not zero.
#[derive(Clone, Copy)]
struct Usage {
    /// CPU [cores].
    cores: Option<f64>,
    /// Memory, as the working set [bytes].
    bytes: Option<f64>,
}

/// Pods by Kubernetes namespace and name.
type Usages = BTreeMap<(String, String), Usage>;

/// The newest list.
#[derive(Default)]
pub struct PodResources(Mutex<State>);

#[derive(Default)]
struct State {
    list: Option<(Instant, Usages)>,
    trouble: Option<String>,
}

impl PodResources {
    /// Lists for ever, in `namespaces`, or in all of them if there are none. A failure keeps the last list until it is stale.
    pub async fn run(&self, client: Client, namespaces: &[String]) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.refresh(&client, namespaces).await;
        }
    }

    /// CPU use of the pod's worker container, or of the whole pod if no container has that name [cores].
    pub fn cpu(&self, namespace: &str, pod: &str) -> Seen<f64> {
        self.usage(namespace, pod, |usage| usage.cores)
    }

    /// Memory of the same, as the working set, which is what counts against its limit [bytes].
    pub fn memory(&self, namespace: &str, pod: &str) -> Seen<f64> {
        self.usage(namespace, pod, |usage| usage.bytes)
    }

    fn usage(&self, namespace: &str, pod: &str, figure: fn(&Usage) -> Option<f64>) -> Seen<f64> {
        let state = self.lock();
        let fresh = state.list.as_ref().filter(|(at, _)| at.elapsed() <= STALE);
        let Some((_, usages)) = fresh else {
            return Seen::unknown(
                state
                    .trouble
                    .clone()
                    .unwrap_or_else(|| "the metrics API was not asked yet".to_owned()),
            );
        };
        match usages.get(&(namespace.to_owned(), pod.to_owned())).and_then(figure) {
            Some(figure) => Seen::Known(figure),
            // A young pod: the metrics server has not measured it yet.
            None => Seen::unknown("the metrics API does not have the pod yet"),
        }
    }

    async fn refresh(&self, client: &Client, namespaces: &[String]) {
        let result = list(client, namespaces).await;
        let mut state = self.lock();
        match result {
            Ok(usages) => {
                *state = State {
                    list: Some((Instant::now(), usages)),
                    trouble: None,
                }
            }
            Err(error) => {
                let text = if error.is_not_found() {
                    "the metrics API (metrics.k8s.io) is not served by this cluster".to_owned()
                } else {
                    chain(&error)
                };
                // Said once per kind of trouble: many clusters have no metrics server, and stay so.
                if state.trouble.as_ref() != Some(&text) {
                    tracing::warn!(
                        error = text,
                        "no CPU figures of pods; those without WorkerControl scale by their queues alone"
                    );
                    state.trouble = Some(text);
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn list(client: &Client, namespaces: &[String]) -> Result<Usages, k8s::Error> {
    let kind = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("metrics.k8s.io", "v1beta1", "PodMetrics"),
        "pods",
    );
    // The metrics server copies the labels of the pods.
    let ours = ListParams::default().labels(&format!("{}={}", names::LABEL_MANAGED_BY, names::MANAGED_BY));
    let scopes: Vec<Api<DynamicObject>> = if namespaces.is_empty() {
        vec![Api::all_with(client.clone(), &kind)]
    } else {
        namespaces
            .iter()
            .map(|namespace| Api::namespaced_with(client.clone(), namespace, &kind))
            .collect()
    };
    let mut usages = Usages::new();
    for api in scopes {
        let list = k8s::within(CALL_DEADLINE, "list the metrics of pods", api.list(&ours)).await?;
        usages.extend(list.items.into_iter().filter_map(|pod| {
            let key = (pod.metadata.namespace?, pod.metadata.name?);
            let usage = Usage {
                cores: used(&pod.data, "/usage/cpu"),
                bytes: used(&pod.data, "/usage/memory"),
            };
            Some((key, usage))
        }));
    }
    Ok(usages)
}

/// `None` if any figure is missing or unreadable: unknown is not zero.
fn used(pod: &Value, figure: &str) -> Option<f64> {
    let containers = pod.get("containers")?.as_array()?;
    let amount = |container: &Value| quantity::parse(container.pointer(figure)?.as_str()?);
    let worker = containers
        .iter()
        .find(|container| container.get("name").and_then(Value::as_str) == Some(names::WORKER_CONTAINER));
    match worker {
        Some(worker) => amount(worker),
        None if containers.is_empty() => None,
        None => containers.iter().map(amount).sum(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use serde_json::json;

    use super::*;
    use crate::k8s::testing::{Answer, Call, mock};

    fn figures() -> Value {
        let pod = |name: &str, containers: Value| json!({"metadata": {"name": name, "namespace": "shop"}, "containers": containers});
        json!({"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": [
            pod("with-sidecar", json!([
                {"name": "worker", "usage": {"cpu": "250m", "memory": "64Mi"}},
                {"name": "proxy", "usage": {"cpu": "3", "memory": "1Mi"}},
            ])),
            pod("other-name", json!([
                {"name": "a", "usage": {"cpu": "100m"}}, {"name": "b", "usage": {"cpu": "50000000n"}},
            ])),
            pod("unreadable", json!([{"name": "worker", "usage": {"cpu": "?"}}])),
            pod("empty", json!([])),
        ]})
    }

    #[tokio::test]
    async fn the_worker_container_counts_and_what_cannot_be_read_is_unknown() {
        let (cluster, calls) = mock(|_| Answer::Json(200, figures()));
        let resources = PodResources::default();
        assert!(!resources.cpu("shop", "with-sidecar").is_known());
        resources.refresh(&cluster.client(), &[]).await;
        assert_eq!(resources.cpu("shop", "with-sidecar"), Seen::Known(0.25));
        assert!(
            resources
                .cpu("shop", "other-name")
                .known()
                .is_some_and(|cores| (cores - 0.15).abs() < 1e-9)
        );
        assert_eq!(resources.memory("shop", "with-sidecar"), Seen::Known(67_108_864.0));
        assert!(!resources.memory("shop", "other-name").is_known(), "CPU alone is told");
        for pod in ["unreadable", "empty", "young"] {
            assert!(!resources.cpu("shop", pod).is_known(), "{pod}");
            assert!(!resources.memory("shop", pod).is_known(), "{pod}");
        }
        assert!(!resources.cpu("other", "with-sidecar").is_known());
        let calls = calls.take();
        assert_eq!(calls[0].line(), "GET /apis/metrics.k8s.io/v1beta1/pods");
        assert!(
            calls[0]
                .query
                .contains("labelSelector=app.kubernetes.io%2Fmanaged-by%3Dtemporal-fleet"),
            "{}",
            calls[0].query
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_keeps_the_last_list_until_it_is_stale() {
        let fail = Arc::new(AtomicBool::new(false));
        let failing = Arc::clone(&fail);
        let (cluster, calls) = mock(move |_| {
            if failing.load(Ordering::Relaxed) {
                Answer::not_found()
            } else {
                Answer::Json(200, figures())
            }
        });
        let resources = Arc::new(PodResources::default());
        let (reader, client) = (Arc::clone(&resources), cluster.client());
        tokio::spawn(async move { reader.run(client, &[]).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(resources.cpu("shop", "with-sidecar"), Seen::Known(0.25));
        fail.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(resources.cpu("shop", "with-sidecar"), Seen::Known(0.25), "two failures");
        tokio::time::sleep(Duration::from_mins(1)).await;
        let Seen::Unknown { reason } = resources.cpu("shop", "with-sidecar") else {
            panic!("stale")
        };
        assert!(reason.contains("not served"), "{reason}");
        assert!(calls.take().len() <= 8, "one list per interval, failing or not");
    }

    #[tokio::test]
    async fn each_watched_namespace_is_listed() {
        let (cluster, calls) = mock(|_| Answer::Json(200, figures()));
        PodResources::default()
            .refresh(&cluster.client(), &["a".into(), "b".into()])
            .await;
        let lines: Vec<String> = calls.take().iter().map(Call::line).collect();
        let path = |namespace: &str| format!("GET /apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods");
        assert_eq!(lines, [path("a"), path("b")]);
    }
}
