//! The matrix of values that every check of the chart runs over: the defaults, each switch flipped, all knobs at once,
//! Roles instead of a `ClusterRole`.

use serde_json::{Map, Value, json};

/// One set of values, over the chart's defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What is special about it.
    pub name: String,
    /// The values that differ from the defaults.
    pub values: Value,
}

/// All cases for a chart with these default values. A new boolean in `values.yaml` is a new case by itself.
pub fn cases(defaults: &Value) -> Vec<Case> {
    let mut cases = vec![Case {
        name: "the defaults".to_owned(),
        values: json!({}),
    }];
    for (path, value) in leaves(defaults) {
        // Kubernetes' own switches, passed on as they are: who turns one means it.
        let foreign = path.first().is_some_and(|first| first.ends_with("SecurityContext"));
        if let Value::Bool(on) = value
            && !foreign
        {
            cases.push(Case {
                name: format!("{}={}", path.join("."), !on),
                values: nest(&path, Value::Bool(!on)),
            });
        }
    }
    cases.push(Case {
        name: "Roles per namespace".to_owned(),
        values: json!({"watchNamespaces": ["default", "kube-public"]}),
    });
    cases.push(Case {
        name: "all knobs".to_owned(),
        values: all_knobs(),
    });
    cases
}

/// Every value that a template can read, with its path: scalars, lists, and objects that are empty by default.
pub(super) fn leaves(values: &Value) -> Vec<(Vec<String>, Value)> {
    match values {
        Value::Object(map) if !map.is_empty() => map
            .iter()
            .flat_map(|(key, value)| {
                leaves(value).into_iter().map(move |(mut path, leaf)| {
                    path.insert(0, key.clone());
                    (path, leaf)
                })
            })
            .collect(),
        leaf => vec![(Vec::new(), leaf.clone())],
    }
}

/// `value` at `path`, in objects.
pub(super) fn nest(path: &[String], value: Value) -> Value {
    path.iter().rev().fold(value, |inner, key| {
        Value::Object(Map::from_iter([(key.clone(), inner)]))
    })
}

/// Each knob that takes a list or an object, set to something real.
fn all_knobs() -> Value {
    json!({
        "image": {"repository": "registry.example.com/mirror/operator", "digest": format!("sha256:{}", "0a".repeat(32)), "pullPolicy": "Never"},
        "imagePullSecrets": [{"name": "mirror"}],
        "fullnameOverride": "fleets",
        "commonLabels": {"team": "platform"},
        "instance": "blue",
        "watchLabelSelector": "tier in (prod, stage),shard=a",
        "replicaCount": 2,
        "logLevel": "info,kube=debug",
        "logFormat": "text",
        "recordDir": "/var/lib/recordings",
        "extraArgs": ["--concurrency=8"],
        "extraEnv": [{"name": "TZ", "value": "UTC"}],
        "extraVolumes": [{"name": "roots", "configMap": {"name": "roots", "optional": true}}],
        "extraVolumeMounts": [{"name": "roots", "mountPath": "/etc/roots", "readOnly": true}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "preference": {"matchExpressions": [{"key": "spot", "operator": "DoesNotExist"}]}}]}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app.kubernetes.io/component": "operator"}}}],
        "priorityClassName": "system-cluster-critical",
        // A label of the selector cannot be taken over.
        "podLabels": {"cost-centre": "42", "app.kubernetes.io/component": "other"},
        "podAnnotations": {"example.com/note": "yes"},
        "podDisruptionBudget": {"enabled": true},
        "serviceAccount": {"annotations": {"example.com/role": "operator"}},
        "networkPolicy": {"enabled": true, "egress": [{"ports": [{"protocol": "TCP", "port": 17233}]}]},
        "metrics": {"port": 9090},
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{cases, leaves, nest};

    #[test]
    fn leaves_and_nest_are_inverse() {
        let path = ["a".to_owned(), "b".to_owned()];
        let values = nest(&path, json!([1]));
        assert_eq!(values, json!({"a": {"b": [1]}}));
        assert_eq!(leaves(&values), [(path.to_vec(), json!([1]))]);
    }

    #[test]
    fn every_switch_is_flipped_once() {
        let cases = cases(&json!({"rbac": {"create": true, "aggregate": false}, "name": "x"}));
        let flipped: Vec<_> = cases
            .iter()
            .filter(|case| case.name.contains('='))
            .map(|case| case.values.clone())
            .collect();
        assert_eq!(
            flipped,
            [json!({"rbac": {"aggregate": true}}), json!({"rbac": {"create": false}})]
        );
    }
}
