//! Pieces of schema that the derive macros cannot express, and the pass over the generated one that makes it fit for
//! an API server: bounds, list keys, no descriptions inside the pod template.

use schemars::{Schema, SchemaGenerator, json_schema};

/// A number of pods or a percentage of them.
pub(crate) fn count_or_percent(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
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
