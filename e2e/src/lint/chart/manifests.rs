//! What every rendered manifest must keep: a namespace, bounded names, labels, rights without wildcards, a pod that passes
//! Pod Security `restricted`.

use std::collections::BTreeSet;

use serde_json::Value;

/// Kinds without a namespace that the chart may render.
const CLUSTER_WIDE: &[&str] = &["ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"];

/// Rights that no role of ours may give to the operator: `(resource, verb)`, `*` = any.
const NEVER: &[(&str, &str)] = &[
    ("*", "escalate"),
    ("*", "bind"),
    ("*", "impersonate"),
    ("secrets", "list"),
    ("secrets", "watch"),
    ("secrets", "delete"),
    ("serviceaccounts/token", "*"),
    ("pods/exec", "*"),
    ("nodes/proxy", "*"),
    ("validatingwebhookconfigurations", "*"),
    ("mutatingwebhookconfigurations", "*"),
    ("customresourcedefinitions", "*"),
];

/// Rights that the operator uses in the namespaces of fleets: `(API group, resource, verbs)`.
const USED: &[(&str, &str, &[&str])] = &[
    ("temporal-fleet.dev", "temporalworkers", &["get", "list", "watch"]),
    ("temporal-fleet.dev", "temporalworkers/status", &["patch"]),
    ("temporal-fleet.dev", "temporalconnections", &["list", "watch"]),
    ("temporal-fleet.dev", "temporalconnections/status", &["patch"]),
    // Server-side apply of what is not there yet asks for `create` as well.
    ("apps", "deployments", &["create", "get", "list", "patch", "watch"]),
    ("apps", "deployments/scale", &["patch"]),
    (
        "policy",
        "poddisruptionbudgets",
        &["create", "get", "list", "patch", "watch"],
    ),
    ("autoscaling", "horizontalpodautoscalers", &["list", "watch"]),
    ("", "pods", &["delete", "list", "patch", "watch"]),
    ("", "secrets", &["create", "get", "patch"]),
    ("events.k8s.io", "events", &["create"]),
    ("metrics.k8s.io", "pods", &["list"]),
];

/// Rights that it uses in its own namespace, for the election.
const USED_TO_LEAD: &[(&str, &str, &[&str])] = &[("coordination.k8s.io", "leases", &["create", "get", "update"])];

/// Label of roles for people, which say nothing of the operator's own rights.
const AGGREGATED: &str = "/metadata/labels/rbac.authorization.k8s.io~1aggregate-to-admin";

/// Checks one rendering.
pub(super) fn findings(documents: &[Value], namespace: &str) -> Vec<String> {
    let mut found = Vec::new();
    for document in documents {
        let kind = text(document, "/kind");
        let name = text(document, "/metadata/name");
        let mut say = |what: String| found.push(format!("{kind} {name}: {what}"));
        if CLUSTER_WIDE.contains(&kind) {
            if document.pointer("/metadata/namespace").is_some() {
                say("is cluster-wide and names a namespace".to_owned());
            }
        } else {
            let own = text(document, "/metadata/namespace");
            // Roles for the namespaces to watch are the one thing outside the release's.
            if own.is_empty() || (own != namespace && !matches!(kind, "Role" | "RoleBinding")) {
                say(format!("is in namespace {own:?}"));
            }
        }
        if kind != "CustomResourceDefinition" {
            if name.len() > 63 {
                say("has a name of more than 63 characters".to_owned());
            }
            if text(document, "/metadata/labels/app.kubernetes.io~1instance").is_empty() {
                say("lacks the recommended labels".to_owned());
            }
        }
        match kind {
            "Role" | "ClusterRole" => {
                rights(document).into_iter().for_each(&mut say);
                if document.pointer(AGGREGATED).is_none() {
                    let used = if name.ends_with("-leader") { USED_TO_LEAD } else { USED };
                    differences(document, used).into_iter().for_each(&mut say);
                }
            }
            "Deployment" => pod(document).into_iter().for_each(&mut say),
            "CustomResourceDefinition" if text(document, "/metadata/name").is_empty() => say("has no name".to_owned()),
            _ => {}
        }
    }
    found
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn strings(value: &Value, key: &str) -> Vec<String> {
    let list = value.get(key).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn rights(role: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for rule in role.get("rules").and_then(Value::as_array).into_iter().flatten() {
        let (groups, resources, verbs) = (
            strings(rule, "apiGroups"),
            strings(rule, "resources"),
            strings(rule, "verbs"),
        );
        if groups
            .iter()
            .chain(&resources)
            .chain(&verbs)
            .any(|word| word.contains('*'))
        {
            found.push(format!("has a wildcard in {rule}"));
        }
        for (resource, verb) in NEVER {
            let hit = |list: &[String], word: &str| word == "*" || list.iter().any(|own| own == word);
            if hit(&resources, resource) && hit(&verbs, verb) {
                found.push(format!("gives {verb} on {resource}"));
            }
        }
    }
    found
}

/// What the operator may do and never does, and the other way round.
fn differences(role: &Value, used: &[(&str, &str, &[&str])]) -> Vec<String> {
    let right = |group: &str, resource: &str, verb: &str| format!("{verb} on {resource} of {group:?}");
    let used: BTreeSet<String> = used
        .iter()
        .flat_map(|(group, resource, verbs)| verbs.iter().map(move |verb| right(group, resource, verb)))
        .collect();
    let mut given = BTreeSet::new();
    for rule in role.get("rules").and_then(Value::as_array).into_iter().flatten() {
        for group in strings(rule, "apiGroups") {
            for resource in strings(rule, "resources") {
                given.extend(strings(rule, "verbs").iter().map(|verb| right(&group, &resource, verb)));
            }
        }
    }
    let unused = given
        .difference(&used)
        .map(|right| format!("gives {right}, which nothing uses"));
    let missing = used.difference(&given).map(|right| format!("lacks {right}"));
    unused.chain(missing).collect()
}

/// Pod Security `restricted`, and what an operator's pod needs beyond it.
fn pod(deployment: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let Some(spec) = deployment.pointer("/spec/template/spec") else {
        return vec!["has no pod".to_owned()];
    };
    let selector = deployment
        .pointer("/spec/selector/matchLabels")
        .and_then(Value::as_object);
    for (key, value) in selector.into_iter().flatten() {
        if deployment
            .pointer("/spec/template/metadata/labels")
            .and_then(|labels| labels.get(key))
            != Some(value)
        {
            found.push(format!("selects {key}={value}, which its pod does not carry"));
        }
    }
    if spec.pointer("/securityContext/runAsNonRoot") != Some(&Value::Bool(true)) {
        found.push("may run as root".to_owned());
    }
    if text(spec, "/securityContext/seccompProfile/type") != "RuntimeDefault" {
        found.push("has no seccomp profile".to_owned());
    }
    for host in ["hostNetwork", "hostPID", "hostIPC"] {
        if spec.get(host).is_some() {
            found.push(format!("sets {host}"));
        }
    }
    for container in spec.get("containers").and_then(Value::as_array).into_iter().flatten() {
        for (pointer, wanted) in [
            ("/securityContext/allowPrivilegeEscalation", Value::Bool(false)),
            ("/securityContext/readOnlyRootFilesystem", Value::Bool(true)),
            ("/securityContext/capabilities/drop", serde_json::json!(["ALL"])),
            ("/livenessProbe/httpGet/path", "/livez".into()),
            ("/readinessProbe/httpGet/path", "/readyz".into()),
        ] {
            if container.pointer(pointer) != Some(&wanted) {
                found.push(format!("{pointer} is not {wanted}"));
            }
        }
        for pointer in [
            "/resources/requests/cpu",
            "/resources/requests/memory",
            "/resources/limits/memory",
        ] {
            if container.pointer(pointer).is_none() {
                found.push(format!("lacks {pointer}"));
            }
        }
        let image = text(container, "/image");
        if !image.contains('@')
            && image
                .rsplit_once(':')
                .is_none_or(|(_, tag)| tag.is_empty() || tag == "latest")
        {
            found.push(format!("runs the moving image {image:?}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::findings;

    fn role(rule: &serde_json::Value) -> serde_json::Value {
        json!({"kind": "Role", "metadata": {"name": "r", "namespace": "n", "labels": {"app.kubernetes.io/instance": "tf"}}, "rules": [rule]})
    }

    #[test]
    fn dangerous_rights_are_found() {
        for (rule, wanted) in [
            (
                json!({"apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"]}),
                "has a wildcard",
            ),
            (
                json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}),
                "gives list on secrets",
            ),
            (
                json!({"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}),
                "gives * on pods/exec",
            ),
            (
                json!({"apiGroups": [""], "resources": ["roles"], "verbs": ["escalate"]}),
                "gives escalate on *",
            ),
        ] {
            let found = findings(&[role(&rule)], "n");
            assert!(
                found.iter().any(|finding| finding.contains(wanted)),
                "{rule}: {found:?}"
            );
        }
    }

    #[test]
    fn the_operator_has_the_rights_that_it_uses_and_no_other() {
        let lease = |verbs: &[&str]| {
            let mut role =
                role(&json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs}));
            role["metadata"]["name"] = json!("tf-leader");
            role
        };
        let findings = |verbs: &[&str]| findings(&[lease(verbs)], "n");
        assert_eq!(findings(&["create", "get", "update"]), Vec::<String>::new());
        assert_eq!(
            findings(&["create", "get", "patch"]),
            [
                r#"Role tf-leader: gives patch on leases of "coordination.k8s.io", which nothing uses"#,
                r#"Role tf-leader: lacks update on leases of "coordination.k8s.io""#,
            ]
        );
    }

    #[test]
    fn roles_for_people_are_not_measured_by_the_operator() {
        let mut people =
            role(&json!({"apiGroups": ["temporal-fleet.dev"], "resources": ["temporalworkers"], "verbs": ["delete"]}));
        people["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-admin"] = json!("true");
        assert_eq!(findings(&[people], "n"), Vec::<String>::new());
    }

    #[test]
    fn an_object_outside_the_release_namespace_is_found() {
        let object = json!({"kind": "ServiceAccount", "metadata": {"name": "s", "labels": {"app.kubernetes.io/instance": "tf"}}});
        assert_eq!(findings(&[object], "n"), [r#"ServiceAccount s: is in namespace """#]);
    }

    #[test]
    fn a_careless_pod_is_found() {
        let object = json!({"kind": "Deployment", "metadata": {"name": "d", "namespace": "n", "labels": {"app.kubernetes.io/instance": "tf"}},
            "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"hostNetwork": true, "containers": [{"image": "x"}]}}}});
        let found = findings(&[object], "n").join("\n");
        for wanted in [
            "which its pod does not carry",
            "may run as root",
            "no seccomp",
            "hostNetwork",
            "moving image",
            "/livez",
            "limits/memory",
        ] {
            assert!(found.contains(wanted), "{wanted} not in {found}");
        }
    }
}
