//! Who owns which field of an object, read from `metadata.managedFields`.
//!
//! A field that a manager applied stays its own until another writer changes the value: then the API server takes it from the
//! manager. So "we still own all we applied" means "nobody changed what we applied", and drift by hand shows without a
//! comparison of values, which defaulting and normalising by the server would make a guess.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Map, Value};

/// The fields that one manager owns, over all its entries that meet the wanted subresource.
#[derive(Debug)]
pub struct Ownership<'a> {
    trees: Vec<&'a Map<String, Value>>,
}

impl<'a> Ownership<'a> {
    /// What `manager` owns by server-side apply. `subresource` is `None` for the object itself, `Some("scale")` for what was
    /// applied through that subresource.
    pub fn of(entries: &'a [ManagedFieldsEntry], manager: &str, subresource: Option<&str>) -> Self {
        let trees = entries
            .iter()
            .filter(|entry| {
                entry.manager.as_deref() == Some(manager)
                    && entry.operation.as_deref() == Some("Apply")
                    && entry.subresource.as_deref().filter(|name| !name.is_empty()) == subresource
            })
            .filter_map(|entry| entry.fields_v1.as_ref()?.0.as_object())
            .collect();
        Self { trees }
    }

    /// The manager owns nothing at all: it never applied, or its entry was wiped.
    pub fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// The manager owns the field at `path`, as in `["spec", "replicas"]`, or a whole that contains it.
    pub fn owns(&self, path: &[&str]) -> bool {
        self.trees.iter().any(|tree| {
            let mut node = *tree;
            for (depth, name) in path.iter().enumerate() {
                let Some(next) = node.get(&format!("f:{name}")).and_then(Value::as_object) else {
                    // An atomic whole is owned as a leaf, without names below it.
                    return depth > 0 && is_leaf(node);
                };
                node = next;
            }
            true
        })
    }

    /// The manager owns the very field at `path`. A whole above it does not count: an apply of an empty map owns that map, and nothing that
    /// others put into it.
    pub fn owns_itself(&self, path: &[&str]) -> bool {
        self.trees.iter().any(|tree| {
            let found = path.iter().try_fold(*tree, |node, name| {
                let below = node.get(&format!("f:{name}"));
                below.and_then(Value::as_object)
            });
            found.is_some()
        })
    }

    /// The first field of `applied`, as a path, that the manager does not own; `None` if it owns all of them. What identifies
    /// the object (API version, kind, name, namespace) and the preconditions are no fields in this sense.
    pub fn first_missing(&self, applied: &Value) -> Option<String> {
        let Some(object) = applied.as_object() else {
            return Some("the object".to_owned());
        };
        // An apply through one entry only: the union of entries (of older API versions, say) would hide a loss.
        let mut missing = None;
        for tree in &self.trees {
            match missing_in_object(tree, object, "", Level::Root) {
                None => return None,
                found => missing = missing.or(found),
            }
        }
        missing.or_else(|| self.trees.is_empty().then(|| "the object".to_owned()))
    }
}

/// The entries of all managers, ours or not and by whatever operation, that own the field at `path`.
pub fn owners<'a>(
    entries: &'a [ManagedFieldsEntry],
    path: &'a [&'a str],
) -> impl Iterator<Item = &'a ManagedFieldsEntry> {
    entries.iter().filter(move |entry| {
        let fields = entry.fields_v1.as_ref().and_then(|fields| fields.0.as_object());
        fields.is_some_and(|tree| Ownership { trees: vec![tree] }.owns(path))
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    Metadata,
    Below,
}

impl Level {
    /// Names that are no owned fields at this level.
    fn identifies(self, name: &str) -> bool {
        match self {
            Self::Root => matches!(name, "apiVersion" | "kind"),
            Self::Metadata => matches!(
                name,
                "name" | "namespace" | "uid" | "resourceVersion" | "managedFields" | "generation" | "creationTimestamp"
            ),
            Self::Below => false,
        }
    }
}

fn missing_in_object(
    tree: &Map<String, Value>,
    object: &Map<String, Value>,
    path: &str,
    level: Level,
) -> Option<String> {
    for (name, value) in object {
        if value.is_null() || level.identifies(name) {
            continue;
        }
        let here = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let below = if level == Level::Root && name == "metadata" {
            Level::Metadata
        } else {
            Level::Below
        };
        let Some(node) = tree.get(&format!("f:{name}")).and_then(Value::as_object) else {
            // An empty metadata of a pod template, say, leaves no trace.
            if is_empty(value) || below == Level::Metadata && only_identity(value) {
                continue;
            }
            return Some(here);
        };
        if let Some(missing) = missing_in(node, value, &here, below) {
            return Some(missing);
        }
    }
    None
}

fn missing_in(node: &Map<String, Value>, value: &Value, path: &str, level: Level) -> Option<String> {
    if is_leaf(node) {
        return None;
    }
    match value {
        Value::Object(object) => missing_in_object(node, object, path, level),
        Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
            let here = format!("{path}[{index}]");
            match element_of(node, item) {
                Some(element) => missing_in(element, item, &here, Level::Below),
                None => Some(here),
            }
        }),
        // A scalar where the tree has names below: the type of the field changed, which we did not do.
        _ => Some(path.to_owned()),
    }
}

/// The node of one item of a list: by key (`k:{"name":"worker"}`) or by value (`v:"a"`).
fn element_of<'a>(node: &'a Map<String, Value>, item: &Value) -> Option<&'a Map<String, Value>> {
    node.iter().find_map(|(name, child)| {
        let child = child.as_object()?;
        if let Some(keys) = name.strip_prefix("k:") {
            let keys: Map<String, Value> = serde_json::from_str(keys).ok()?;
            // A key the item leaves out was filled in by a default: a port's protocol.
            return keys
                .iter()
                .all(|(key, wanted)| item.get(key).is_none_or(|value| value == wanted))
                .then_some(child);
        }
        let value: Value = serde_json::from_str(name.strip_prefix("v:")?).ok()?;
        (value == *item).then_some(child)
    })
}

/// No names below: a scalar, or a list or map owned as a whole.
fn is_leaf(node: &Map<String, Value>) -> bool {
    node.keys().all(|name| name == ".")
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.values().all(is_empty),
        Value::Array(items) => items.is_empty(),
        Value::Null => true,
        _ => false,
    }
}

fn only_identity(metadata: &Value) -> bool {
    metadata
        .as_object()
        .is_some_and(|metadata| metadata.keys().all(|name| Level::Metadata.identifies(name)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(manager: &str, subresource: Option<&str>, operation: &str, fields: &Value) -> ManagedFieldsEntry {
        serde_json::from_value(json!({
            "manager": manager, "operation": operation, "subresource": subresource,
            "fieldsType": "FieldsV1", "fieldsV1": fields, "apiVersion": "apps/v1",
        }))
        .unwrap()
    }

    fn fields() -> Value {
        json!({
            "f:metadata": {"f:labels": {"f:a": {}}, "f:ownerReferences": {"k:{\"uid\":\"u\"}": {}}},
            "f:spec": {
                "f:replicas": {},
                "f:selector": {},
                "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"worker\"}": {
                    ".": {}, "f:name": {}, "f:image": {},
                    "f:ports": {"k:{\"containerPort\":9464,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}},
                }}}},
            },
        })
    }

    fn applied() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "x", "namespace": "n", "labels": {"a": "1"},
                "ownerReferences": [{"uid": "u", "name": "w", "kind": "K", "apiVersion": "v"}]},
            "spec": {
                "replicas": 3, "selector": {"matchLabels": {"a": "1"}}, "strategy": {},
                "template": {"metadata": {}, "spec": {"containers": [
                    {"name": "worker", "image": "i", "ports": [{"containerPort": 9464}]}
                ]}},
            },
        })
    }

    #[test]
    fn all_is_owned_after_an_apply() {
        let entries = [entry("temporal-fleet", None, "Apply", &fields())];
        let own = Ownership::of(&entries, "temporal-fleet", None);
        assert_eq!(own.first_missing(&applied()), None);
        assert!(own.owns(&["spec", "replicas"]));
        assert!(
            own.owns(&["spec", "selector", "matchLabels"]),
            "part of an atomic whole"
        );
        assert!(!own.owns(&["spec", "paused"]));
        assert!(!own.owns(&["status"]));
    }

    #[test]
    fn a_field_that_another_writer_changed_is_named() {
        let mut taken = fields();
        let container = &mut taken["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"worker\"}"];
        container.as_object_mut().unwrap().remove("f:image");
        let entries = [
            entry("temporal-fleet", None, "Apply", &taken),
            entry("kubectl-edit", None, "Update", &fields()),
        ];
        let own = Ownership::of(&entries, "temporal-fleet", None);
        assert_eq!(
            own.first_missing(&applied()).as_deref(),
            Some("spec.template.spec.containers[0].image")
        );
        assert!(
            Ownership::of(&entries, "kubectl-edit", None).is_empty(),
            "an update owns nothing by apply"
        );
    }

    #[test]
    fn a_removed_list_item_is_named() {
        let mut taken = fields();
        taken["f:spec"]["f:template"]["f:spec"]["f:containers"] = json!({"k:{\"name\":\"other\"}": {"f:name": {}}});
        let entries = [entry("temporal-fleet", None, "Apply", &taken)];
        let own = Ownership::of(&entries, "temporal-fleet", None);
        assert_eq!(
            own.first_missing(&applied()).as_deref(),
            Some("spec.template.spec.containers[0]")
        );
    }

    #[test]
    fn a_manager_that_never_applied_owns_nothing() {
        let own = Ownership::of(&[], "temporal-fleet", None);
        assert!(own.is_empty());
        assert_eq!(own.first_missing(&applied()).as_deref(), Some("the object"));
    }

    #[test]
    fn whoever_owns_a_field_is_found_whatever_the_operation() {
        let size = json!({"f:spec": {"f:replicas": {}}});
        let entries = [
            entry("temporal-fleet", None, "Apply", &json!({"f:spec": {"f:template": {}}})),
            entry("kubectl", Some("scale"), "Update", &size),
            entry("temporal-fleet-scale", Some("scale"), "Apply", &size),
        ];
        let found = owners(&entries, &["spec", "replicas"]).filter_map(|entry| entry.manager.as_deref());
        assert_eq!(found.collect::<Vec<_>>(), ["kubectl", "temporal-fleet-scale"]);
    }

    #[test]
    fn the_scale_subresource_is_apart() {
        let entries = [entry(
            "temporal-fleet-scale",
            Some("scale"),
            "Apply",
            &json!({"f:spec": {"f:replicas": {}}}),
        )];
        assert!(Ownership::of(&entries, "temporal-fleet-scale", Some("scale")).owns(&["spec", "replicas"]));
        assert!(!Ownership::of(&entries, "temporal-fleet-scale", None).owns(&["spec", "replicas"]));
    }

    #[test]
    fn an_empty_map_owns_nothing_that_others_put_into_it() {
        let path = ["metadata", "annotations", "a.b/c"];
        let own = |fields: &Value| {
            let entries = [entry("m", None, "Apply", fields)];
            let own = Ownership::of(&entries, "m", None);
            (own.owns(&path), own.owns_itself(&path))
        };
        assert_eq!(own(&json!({"f:metadata": {"f:annotations": {}}})), (true, false));
        assert_eq!(
            own(&json!({"f:metadata": {"f:annotations": {".": {}, "f:a.b/c": {}}}})),
            (true, true)
        );
        assert_eq!(
            own(&json!({"f:metadata": {"f:annotations": {"f:other": {}}}})),
            (false, false)
        );
    }

    #[test]
    fn sets_are_matched_by_value() {
        let entries = [entry(
            "m",
            None,
            "Apply",
            &json!({"f:metadata": {"f:finalizers": {"v:\"a\"": {}}}}),
        )];
        let own = Ownership::of(&entries, "m", None);
        assert_eq!(own.first_missing(&json!({"metadata": {"finalizers": ["a"]}})), None);
        assert_eq!(
            own.first_missing(&json!({"metadata": {"finalizers": ["b"]}}))
                .as_deref(),
            Some("metadata.finalizers[0]")
        );
    }
}
