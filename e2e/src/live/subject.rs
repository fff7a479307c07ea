//! What is scaled, and by whom: manifests. Pure.
//!
//! Our fleet is a `TemporalWorker`; the peers scale a plain Deployment of the same image with the environment, probes and limits that
//! our operator would give it, so that pods differ in who sets their number and in nothing else. What is left out there is what only
//! our operator uses: the certificate of `WorkerControl`.

use serde_json::{Value, json};

use super::{
    args::Scaler,
    scenario::{POD_MILLICORES, SLOTS, Scenario},
};
use crate::{fleet::handle::WORKER_LABEL, image::catalog};

/// Temporal's address as pods see it.
pub const TEMPORAL: &str = "temporal-frontend.temporal.svc.cluster.local:7233";
/// The Temporal namespace of the local cluster.
pub const TEMPORAL_NAMESPACE: &str = "default";
/// Name of the fleet, and of the Deployment and the scaler's object.
pub const NAME: &str = "workers";
/// By how much a pod's grace period exceeds the graceful shutdown, as our operator sets it.
const MARGIN_SECONDS: u32 = 20;

/// Where the manifests belong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Task queue.
    pub queue: String,
}

/// What the workers are: the first object to apply.
pub fn workers(scaler: Scaler, scenario: &Scenario, place: &Place) -> Value {
    match scaler {
        Scaler::Ours => temporal_worker(scenario, place),
        Scaler::HpaCpu | Scaler::Keda => deployment(start_of(scaler, scenario), scenario, place),
    }
}

/// The object that sets the size of the workers, if that is not the workers' own.
pub fn scaler_object(scaler: Scaler, scenario: &Scenario, place: &Place) -> Option<Value> {
    match scaler {
        Scaler::Ours => None,
        Scaler::HpaCpu => Some(hpa(scenario, place)),
        Scaler::Keda => Some(scaled_object(scenario, place)),
    }
}

/// The smallest size that a scaler can keep: an HPA never goes to zero, and never leaves it.
pub fn min_of(scaler: Scaler, scenario: &Scenario) -> u32 {
    match scaler {
        Scaler::HpaCpu => scenario.min_replicas.max(1),
        Scaler::Ours | Scaler::Keda => scenario.min_replicas,
    }
}

/// The size at the beginning of a run.
pub fn start_of(scaler: Scaler, scenario: &Scenario) -> u32 {
    scenario.start_replicas.max(min_of(scaler, scenario))
}

fn temporal_worker(scenario: &Scenario, place: &Place) -> Value {
    json!({
        "apiVersion": "temporal-fleet.dev/v1alpha1",
        "kind": "TemporalWorker",
        "metadata": {"name": NAME, "namespace": place.namespace},
        "spec": {
            "connection": {"address": TEMPORAL},
            "temporalNamespace": TEMPORAL_NAMESPACE,
            "taskQueues": [{"name": place.queue}],
            "image": catalog::SAMPLE_WORKER,
            "health": {"port": 9466},
            "workerOptions": {
                "maxConcurrentActivities": SLOTS,
                "gracefulShutdownSeconds": scenario.graceful_seconds,
            },
            "template": {"spec": {"containers": [{
                "name": "worker",
                "imagePullPolicy": "Never",
                "resources": resources(),
            }]}},
            // All else is left to its default: objective, CPU target, windows, cooldown, poll interval.
            "autoscaling": {"minReplicas": scenario.min_replicas, "maxReplicas": scenario.max_replicas},
        },
    })
}

fn resources() -> Value {
    let cpu = format!("{POD_MILLICORES}m");
    json!({"requests": {"cpu": cpu, "memory": "48Mi"}, "limits": {"cpu": cpu, "memory": "128Mi"}})
}

fn deployment(replicas: u32, scenario: &Scenario, place: &Place) -> Value {
    // The label by which pods and sizes of any fleet are watched here.
    let labels = json!({WORKER_LABEL: NAME});
    let probe = |path: &str, period: u32, failures: u32| {
        json!({
            "httpGet": {"path": path, "port": "health"},
            "periodSeconds": period, "failureThreshold": failures, "timeoutSeconds": 5,
        })
    };
    let text = |name: &str, value: &str| json!({"name": name, "value": value});
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let queues = json!([{"name": place.queue, "types": ["Workflow", "Activity"]}]).to_string();
    let env = json!([
        text("TEMPORAL_ADDRESS", TEMPORAL),
        text("TEMPORAL_NAMESPACE", TEMPORAL_NAMESPACE),
        text("TEMPORAL_TASK_QUEUE", &place.queue),
        text("TEMPORAL_FLEET_TASK_QUEUES", &queues),
        text("TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES", &SLOTS.to_string()),
        text(
            "TEMPORAL_FLEET_GRACEFUL_SHUTDOWN_SECONDS",
            &scenario.graceful_seconds.to_string()
        ),
        text("TEMPORAL_FLEET_METRICS_PORT", "9464"),
        text("TEMPORAL_FLEET_HEALTH_PORT", "9466"),
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        field("POD_UID", "metadata.uid"),
    ]);
    let container = json!({
        "name": "worker",
        "image": catalog::SAMPLE_WORKER,
        "imagePullPolicy": "Never",
        "env": env,
        "ports": [{"name": "metrics", "containerPort": 9464}, {"name": "health", "containerPort": 9466}],
        "startupProbe": probe("/livez", 1, 60),
        "readinessProbe": probe("/readyz", 2, 2),
        "livenessProbe": probe("/livez", 10, 3),
        "resources": resources(),
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": place.namespace, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9464"},
                },
                "spec": {
                    "automountServiceAccountToken": false,
                    "terminationGracePeriodSeconds": scenario.graceful_seconds + MARGIN_SECONDS,
                    "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [container],
                },
            },
        },
    })
}

/// Without `behavior`: as the controller comes.
fn hpa(scenario: &Scenario, place: &Place) -> Value {
    json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": NAME, "namespace": place.namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "minReplicas": min_of(Scaler::HpaCpu, scenario),
            "maxReplicas": scenario.max_replicas,
            "metrics": [{
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
            }],
        },
    })
}

/// Only what has no default, and the bounds that all scalers share.
fn scaled_object(scenario: &Scenario, place: &Place) -> Value {
    json!({
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": NAME, "namespace": place.namespace},
        "spec": {
            "scaleTargetRef": {"name": NAME},
            "minReplicaCount": min_of(Scaler::Keda, scenario),
            "maxReplicaCount": scenario.max_replicas,
            "triggers": [{
                "type": "temporal",
                "metadata": {
                    "endpoint": TEMPORAL,
                    "namespace": TEMPORAL_NAMESPACE,
                    "taskQueue": place.queue,
                },
            }],
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{image::catalog::source_tree, live::scenario::Name};

    fn place() -> Place {
        Place {
            namespace: "bench".to_owned(),
            queue: "orders".to_owned(),
        }
    }

    /// What our operator writes into a pod, from the manifests that its own tests keep.
    fn rendered() -> String {
        let path = source_tree().join("operator/tests/snapshots/manifests__manifests@demo-fleet.snap");
        std::fs::read_to_string(path).expect("the operator's snapshots")
    }

    #[test]
    fn the_plain_deployment_has_what_the_operator_would_give_it() {
        let scenario = Scenario::named(Name::Step);
        let plain = workers(Scaler::HpaCpu, &scenario, &place());
        let variables = plain
            .pointer("/spec/template/spec/containers/0/env")
            .and_then(Value::as_array);
        let ours: BTreeSet<String> = rendered()
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- name: "))
            .filter(|name| name.starts_with("TEMPORAL_") || name.starts_with("POD_"))
            .filter(|name| !name.starts_with("TEMPORAL_FLEET_CONTROL_"))
            .map(str::to_owned)
            .collect();
        let theirs: BTreeSet<String> = variables
            .into_iter()
            .flatten()
            .filter_map(|variable| variable["name"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(ours, theirs);
        for (probe, period) in [("startupProbe", 1), ("readinessProbe", 2), ("livenessProbe", 10)] {
            let path = format!("/spec/template/spec/containers/0/{probe}/periodSeconds");
            assert_eq!(plain.pointer(&path), Some(&json!(period)), "{probe}");
        }
    }

    #[test]
    fn pods_of_all_scalers_have_the_same_limits_and_the_same_grace() {
        for name in Name::ALL {
            let scenario = Scenario::named(name);
            let (ours, plain) = (
                workers(Scaler::Ours, &scenario, &place()),
                workers(Scaler::Keda, &scenario, &place()),
            );
            let limits = "/spec/template/spec/containers/0/resources";
            assert!(ours.pointer(limits).is_some());
            assert_eq!(ours.pointer(limits), plain.pointer(limits));
            let graceful = ours["spec"]["workerOptions"]["gracefulShutdownSeconds"].as_u64();
            let grace = plain["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64();
            assert_eq!(graceful.map(|seconds| seconds + 20), grace);
        }
    }

    #[test]
    fn an_hpa_is_never_at_zero() {
        let burst = Scenario::named(Name::Burst);
        assert_eq!(Scaler::ALL.map(|scaler| start_of(scaler, &burst)), [0, 1, 0]);
        let hpa = scaler_object(Scaler::HpaCpu, &burst, &place()).expect("an HPA");
        assert_eq!(hpa["spec"]["minReplicas"], 1);
        assert_eq!(hpa["spec"]["behavior"], Value::Null, "as the controller comes");
    }

    #[test]
    fn keda_is_left_at_its_defaults() {
        let object = scaler_object(Scaler::Keda, &Scenario::named(Name::Trickle), &place()).expect("a ScaledObject");
        let spec = object["spec"].as_object().expect("a spec");
        let keys: BTreeSet<&str> = spec.keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            BTreeSet::from(["maxReplicaCount", "minReplicaCount", "scaleTargetRef", "triggers"])
        );
        assert_eq!(spec["minReplicaCount"], 0);
        let trigger = spec["triggers"][0]["metadata"].as_object().expect("its metadata");
        let keys: BTreeSet<&str> = trigger.keys().map(String::as_str).collect();
        assert_eq!(keys, BTreeSet::from(["endpoint", "namespace", "taskQueue"]));
    }
}
