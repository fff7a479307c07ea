//! Pieces of schema that the derive macros cannot express, and the pass over the generated one that makes it fit for
//! an API server: bounds, list keys, no descriptions inside the pod template.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A number of pods or a percentage of them.
pub(crate) fn count_or_percent(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "minimum": 0,
        "maxLength": 4,
        "pattern": "^(100|[1-9]?[0-9])%$",
    })
}

/// Conditions as in `meta/v1`, merged by type.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {
                    "description": "Type of the condition.",
                    "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z]+$",
                },
                "status": {
                    "description": "True, False or Unknown.",
                    "type": "string", "enum": ["True", "False", "Unknown"],
                },
                "observedGeneration": {
                    "description": "Generation of the spec that the condition is about.",
                    "type": "integer", "format": "int64", "minimum": 0,
                },
                "lastTransitionTime": {
                    "description": "When the status last changed.",
                    "type": "string", "format": "date-time",
                },
                "reason": {
                    "description": "Why, in one word that does not change.",
                    "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z]+$",
                },
                "message": {
                    "description": "Why, for people.",
                    "type": "string", "maxLength": 4096,
                },
            },
        },
    })
}

/// Longest string inside the pod template: all annotations of an object together must stay below it.
const TEMPLATE_STRING_MAX: u32 = 262_144;
/// Longest list or map inside the pod template, unless [`TEMPLATE_LISTS`] says less.
const TEMPLATE_ITEMS_MAX: u32 = 1024;
/// Most containers of a kind in a pod.
const CONTAINERS_MAX: u32 = 32;

/// Lists of the pod template that server-side apply merges by a key, as in a Deployment: path below the template's
/// spec, key, and most items. All others are replaced as a whole.
const TEMPLATE_LISTS: &[(&[&str], &str, u32)] = &[
    (&["containers"], "name", CONTAINERS_MAX),
    (&["containers", "env"], "name", TEMPLATE_ITEMS_MAX),
    (&["containers", "volumeMounts"], "mountPath", TEMPLATE_ITEMS_MAX),
    (&["initContainers"], "name", CONTAINERS_MAX),
    (&["initContainers", "env"], "name", TEMPLATE_ITEMS_MAX),
    (&["initContainers", "volumeMounts"], "mountPath", TEMPLATE_ITEMS_MAX),
    (&["volumes"], "name", TEMPLATE_ITEMS_MAX),
];

/// Makes a derived schema fit for an API server.
pub(crate) fn finish(root: &mut Value) {
    strip(root, &["nullable", "title"]);
    if let Some(status) = root.pointer_mut("/properties/status") {
        // A default in status would turn "unknown" into a value.
        strip(status, &["default"]);
    }
    if let Some(template) = root.pointer_mut("/properties/spec/properties/template") {
        pod_template(template);
    }
    sort(root);
}

/// Drops keywords from every schema below. Property names are not keywords: a property `default` stays.
fn strip(schema: &mut Value, keywords: &[&str]) {
    if let Value::Object(map) = schema {
        map.retain(|key, _| !keywords.contains(&key.as_str()));
    }
    for_each_child(schema, &mut |child| strip(child, keywords));
}

/// Calls `f` with each schema directly below: properties, items, and values of maps.
fn for_each_child(schema: &mut Value, f: &mut dyn FnMut(&mut Value)) {
    let Value::Object(map) = schema else { return };
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(&mut *f);
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(child) = map.get_mut(keyword) {
            f(child);
        }
    }
}

/// Shrinks and bounds the schema of the pod template.
fn pod_template(template: &mut Value) {
    let description = template.get("description").cloned();
    // Kubernetes documents these fields, and their texts would make the definition too large for an annotation.
    strip(template, &["description"]);
    if let (Some(text), Value::Object(map)) = (description, &mut *template) {
        map.insert("description".to_owned(), text);
    }
    bound(template);
    let Some(spec) = template.pointer_mut("/properties/spec") else {
        return;
    };
    if let Value::Object(map) = &mut *spec {
        // Beside `image` the template may hold pod settings only.
        map.remove("required");
    }
    if let Some(Value::Object(properties)) = spec.get_mut("properties") {
        // Only running pods have these; in a template Kubernetes refuses them.
        properties.remove("ephemeralContainers");
    }
    for (path, key, max) in TEMPLATE_LISTS {
        let pointer = format!("/properties/{}", path.join("/items/properties/"));
        if let Some(Value::Object(list)) = spec.pointer_mut(&pointer) {
            list.insert("x-kubernetes-list-type".to_owned(), json!("map"));
            list.insert("x-kubernetes-list-map-keys".to_owned(), json!([key]));
            list.insert("maxItems".to_owned(), json!(max));
        }
    }
    // What rules read needs bounds that keep their estimated cost small.
    for (field, max) in [("name", 63), ("image", 1024)] {
        if let Some(Value::Object(string)) =
            spec.pointer_mut(&format!("/properties/containers/items/properties/{field}"))
        {
            string.insert("maxLength".to_owned(), json!(max));
        }
    }
}

/// Bounds every string, list and map that has no bound yet.
fn bound(schema: &mut Value) {
    if let Value::Object(map) = schema {
        let is = |type_: &str| map.get("type").is_some_and(|t| t == type_);
        if is("string") && !map.contains_key("enum") && !map.contains_key("format") {
            map.entry("maxLength").or_insert(json!(TEMPLATE_STRING_MAX));
        } else if is("array") {
            map.entry("maxItems").or_insert(json!(TEMPLATE_ITEMS_MAX));
        } else if is("object") && map.contains_key("additionalProperties") {
            map.entry("maxProperties").or_insert(json!(TEMPLATE_ITEMS_MAX));
        }
    }
    for_each_child(schema, &mut bound);
}

/// Sorts the keys of every object, so that the output does not depend on features of the JSON library.
fn sort(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = std::mem::take(map).into_iter().collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            for (key, mut child) in entries {
                sort(&mut child);
                map.insert(key, child);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(sort),
        _ => {}
    }
}
