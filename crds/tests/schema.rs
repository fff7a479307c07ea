//! What must hold for the schema of both kinds, whatever fields come later.

use serde_json::Value;

/// Calls `visit` with each schema and its path.
fn walk(schema: &Value, path: &str, visit: &mut dyn FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        walk(child, &format!("{path}.{name}"), visit);
    }
    for (keyword, sign) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(child) = schema.get(keyword) {
            walk(child, &format!("{path}{sign}"), visit);
        }
    }
}

fn schemas() -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for crd in fleet_crds::crd::all().expect("definitions") {
        let crd = serde_json::to_value(crd).expect("JSON");
        let kind = crd["spec"]["names"]["kind"].as_str().expect("kind").to_owned();
        let mut schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        // The API server owns the schema of metadata.
        schema["properties"]
            .as_object_mut()
            .expect("properties")
            .remove("metadata");
        all.push((kind, schema));
    }
    all
}

fn worker() -> Value {
    let (_, schema) = schemas()
        .into_iter()
        .find(|(kind, _)| kind == "TemporalWorker")
        .expect("TemporalWorker");
    schema
}

#[test]
fn each_definition_fits_into_an_annotation() {
    for crd in fleet_crds::crd::all().expect("definitions") {
        let size = serde_json::to_string(&crd).expect("JSON").len();
        assert!(size < 200_000, "{:?} has {size} bytes", crd.metadata.name);
    }
}

#[test]
fn every_string_list_and_map_is_bounded() {
    let mut unbounded = Vec::new();
    for (kind, schema) in schemas() {
        walk(&schema, &kind, &mut |path, s| {
            let has = |keyword: &str| s.get(keyword).is_some();
            let bounded = match s["type"].as_str() {
                Some("string") => has("maxLength") || has("enum") || has("format"),
                Some("array") => has("maxItems"),
                Some("object") => !has("additionalProperties") || has("maxProperties"),
                Some("integer" | "boolean") => true,
                _ => s["x-kubernetes-int-or-string"] == true,
            };
            let top = ["apiVersion", "kind"].iter().any(|f| path == format!("{kind}.{f}"));
            if !bounded && !top {
                unbounded.push(path.to_owned());
            }
        });
    }
    assert!(unbounded.is_empty(), "{unbounded:#?}");
}

#[test]
fn our_integers_have_bounds_and_a_width_that_kubernetes_knows() {
    for (kind, schema) in schemas() {
        walk(&schema, &kind, &mut |path, s| {
            let format = s["format"].as_str();
            if s["type"] == "integer" {
                assert!(
                    matches!(format, Some("int32" | "int64")),
                    "{path} has format {format:?}"
                );
                let ours = !path.contains(".template");
                assert!(
                    !ours || path.ends_with("Generation") || s.get("minimum").is_some(),
                    "{path} has no minimum"
                );
            }
            assert_ne!(s["type"], "number", "{path} is a float");
        });
    }
}

#[test]
fn each_of_our_fields_has_one_line_for_kubectl_explain() {
    for (kind, schema) in schemas() {
        walk(&schema, &kind, &mut |path, s| {
            if path.contains(".template.") || path.ends_with("[]") || path == kind {
                return;
            }
            let text = s["description"].as_str().unwrap_or_default();
            assert!(!text.is_empty() && !text.contains('\n'), "{path}: {text:?}");
        });
    }
}

#[test]
fn a_fallback_refuses_what_would_have_no_effect_and_names_the_fix() {
    let schema = worker();
    let fallback = &schema["properties"]["spec"]["properties"]["autoscaling"]["properties"]["fallback"];
    let rules = fallback["x-kubernetes-validations"].as_array().expect("rules");
    let wanted = [
        // AtLeast or Fixed without a number, and a number with HoldCurrent.
        (
            "has(self.replicas) == (self.policy != 'HoldCurrent')",
            ["replicas", "set it with one of these"],
        ),
        // When HoldCurrent begins is not to be chosen. The figure is the default, which the API server fills in first.
        (
            "self.policy != 'HoldCurrent' || self.failureThreshold == 3",
            ["failureThreshold", "remove it"],
        ),
    ];
    for (rule, words) in wanted {
        let found = rules.iter().find(|each| each["rule"] == rule).expect(rule);
        let message = found["message"].as_str().unwrap_or_default();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
    assert_eq!(rules.len(), wanted.len(), "{rules:?}");
    assert_eq!(fallback["properties"]["failureThreshold"]["default"], 3);
    assert_eq!(fallback["properties"]["policy"]["default"], "HoldCurrent");
}

#[test]
fn the_schema_is_structural() {
    for (kind, schema) in schemas() {
        walk(&schema, &kind, &mut |path, s| {
            let typed = s.get("type").is_some() || s["x-kubernetes-int-or-string"] == true;
            assert!(typed, "{path} has no type");
            for keyword in [
                "$ref",
                "oneOf",
                "allOf",
                "nullable",
                "title",
                "x-kubernetes-preserve-unknown-fields",
            ] {
                assert!(s.get(keyword).is_none(), "{path} has {keyword}");
            }
            if let Some(keys) = s["x-kubernetes-list-map-keys"].as_array() {
                for key in keys {
                    let required = s["items"]["required"].as_array().expect("required");
                    assert!(required.contains(key), "{path}: the key {key} is not required");
                }
            }
        });
    }
}

#[test]
fn lists_of_the_template_merge_as_in_a_deployment() {
    let mut keys = Vec::new();
    walk(&worker(), "", &mut |path, s| {
        if let (Some(key), Some(inside)) = (
            s.get("x-kubernetes-list-map-keys"),
            path.strip_prefix(".spec.template.spec."),
        ) {
            keys.push(format!("{inside} by {}", key[0].as_str().expect("a string")));
        }
    });
    keys.sort();
    assert_eq!(
        keys,
        [
            "containers by name",
            "containers[].env by name",
            "containers[].volumeMounts by mountPath",
            "initContainers by name",
            "initContainers[].env by name",
            "initContainers[].volumeMounts by mountPath",
            "volumes by name",
        ]
    );
}

#[test]
fn a_template_needs_no_containers() {
    let schema = worker();
    let spec = schema
        .pointer("/properties/spec/properties/template/properties/spec")
        .expect("the pod's spec");
    assert!(spec.get("required").is_none());
    assert!(spec["properties"].get("containers").is_some());
}

#[test]
fn nothing_is_required_that_has_a_meaning_when_left_out() {
    let mut required = Vec::new();
    for (kind, schema) in schemas() {
        walk(&schema, &kind, &mut |path, s| {
            if !path.contains(".template") && !path.contains(".status") {
                let fields = s["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
                required.extend(fields.map(|field| format!("{path}.{field}")));
            }
        });
    }
    required.sort();
    assert_eq!(
        required,
        [
            "TemporalConnection.spec",
            "TemporalConnection.spec.address",
            "TemporalConnection.spec.apiKeySecretRef.key",
            "TemporalConnection.spec.apiKeySecretRef.name",
            "TemporalConnection.spec.tls.caSecretRef.name",
            "TemporalConnection.spec.tls.clientCertSecretRef.name",
            "TemporalWorker.spec",
            "TemporalWorker.spec.autoscaling.behavior.scaleDown.policies[].periodSeconds",
            "TemporalWorker.spec.autoscaling.behavior.scaleDown.policies[].type",
            "TemporalWorker.spec.autoscaling.behavior.scaleDown.policies[].value",
            "TemporalWorker.spec.autoscaling.maxReplicas",
            "TemporalWorker.spec.autoscaling.targets.slotUtilization.percent",
            "TemporalWorker.spec.connection.address",
            "TemporalWorker.spec.connection.apiKeySecretRef.key",
            "TemporalWorker.spec.connection.apiKeySecretRef.name",
            "TemporalWorker.spec.connection.tls.caSecretRef.name",
            "TemporalWorker.spec.connection.tls.clientCertSecretRef.name",
            "TemporalWorker.spec.connectionRef.name",
            "TemporalWorker.spec.taskQueues",
            "TemporalWorker.spec.taskQueues[].name",
        ]
    );
}

#[test]
fn groups_of_which_one_member_is_chosen_have_no_default() {
    let schema = worker();
    let spec = &schema["properties"]["spec"]["properties"];
    assert!(spec["podDisruptionBudget"].get("default").is_none());
    let pollers = &spec["workerOptions"]["properties"]["workflowTaskPollers"];
    assert!(pollers.get("default").is_none() && pollers["properties"]["autoscaling"].get("default").is_none());
    let tuner = &spec["workerOptions"]["properties"]["tuner"];
    assert!(tuner.get("default").is_none() && tuner["properties"]["resourceBased"].get("default").is_none());
}

#[test]
fn the_defaults_of_the_schema_are_those_of_the_types() {
    let minimal = serde_json::json!({
        "connection": {"address": "temporal:7233"},
        "taskQueues": [{"name": "q"}],
        "image": "worker:1",
        "autoscaling": {"maxReplicas": 3},
    });
    let spec: fleet_crds::TemporalWorkerSpec = serde_json::from_value(minimal).expect("a spec");
    let written = serde_json::to_value(&spec).expect("JSON");
    let schema = worker();
    let mut checked = 0;
    walk(&schema["properties"]["spec"], "", &mut |path, s| {
        let pointer = path.replace('.', "/").replace("[]", "/0");
        if let (Some(default), Some(value)) = (s.get("default"), written.pointer(&pointer)) {
            assert_eq!(default, value, "{path}");
            checked += 1;
        }
    });
    assert!(checked >= 20, "only {checked} defaults were compared");
}

#[test]
fn status_has_no_defaults() {
    for (kind, schema) in schemas() {
        walk(&schema["properties"]["status"], &kind, &mut |path, s| {
            assert!(s.get("default").is_none(), "{path}");
        });
    }
}

#[test]
fn columns_show_what_matters_first() {
    let [connection, worker] = fleet_crds::crd::all().expect("definitions");
    let columns =
        |crd: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition| {
            let columns = crd.spec.versions[0]
                .additional_printer_columns
                .clone()
                .unwrap_or_default();
            let (wide, narrow): (Vec<_>, Vec<_>) = columns.into_iter().partition(|c| c.priority == Some(1));
            [narrow, wide].map(|part| part.into_iter().map(|c| c.name).collect::<Vec<_>>().join(" "))
        };
    assert_eq!(
        columns(&worker),
        ["READY DESIRED AVAILABLE BACKLOG AGE", "STATUS QUEUES CONNECTION IMAGE"]
    );
    assert_eq!(
        columns(&connection),
        ["READY ADDRESS AUTH SERVER EXPIRES AGE", "STATUS"]
    );
}
