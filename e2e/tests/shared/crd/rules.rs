//! Each rule accepts and rejects what it must, with a message that names field and fix; defaults are those of the types.

use anyhow::{Context as _, Result};
use fleet_crds::TemporalWorkerSpec;
use serde_json::{Value, json};

use super::{cases, sandbox};

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            if let Value::Object(object) = &mut *target {
                object.remove(key);
            }
        } else {
            merge(&mut target[key], value);
        }
    }
}

/// Texts of all rules with a fixed message, over both kinds.
fn messages(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            for rule in map
                .get("x-kubernetes-validations")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                found.extend(rule["message"].as_str().map(str::to_owned));
            }
            map.values().for_each(|child| messages(child, found));
        }
        Value::Array(items) => items.iter().for_each(|child| messages(child, found)),
        _ => {}
    }
}

#[tokio::test]
async fn each_rule_accepts_and_rejects() -> Result<()> {
    sandbox::with("rules", |sandbox| async move {
        let mut wrong = Vec::new();
        let mut refusals = String::new();
        for case in cases::all() {
            let mut manifest = case.base.clone();
            merge(&mut manifest, &case.change);
            let about = format!("rule {}: {}", case.rule, case.change);
            match (sandbox.apply(&manifest, "fleet-e2e", true).await, case.refused) {
                (Ok(_), None) => {}
                (Ok(_), Some(message)) => wrong.push(format!("{about} was accepted, expected: {message}")),
                (Err(error), None) => wrong.push(format!("{about} was refused: {error:#}")),
                (Err(error), Some(message)) => {
                    let text = format!("{error:#}");
                    if !text.contains(message) {
                        wrong.push(format!("{about} was refused with another message: {text}"));
                    }
                    refusals.push_str(&text);
                }
            }
        }
        let mut texts = Vec::new();
        for definition in fleet_crds::crd::all()? {
            messages(&serde_json::to_value(definition)?, &mut texts);
        }
        wrong.extend(
            texts
                .iter()
                .filter(|t| !refusals.contains(*t))
                .map(|t| format!("no case breaks the rule: {t}")),
        );
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_server_fills_in_the_defaults_of_the_types() -> Result<()> {
    sandbox::with("defaults", |sandbox| async move {
        let spec = json!({
            "connection": {"address": "temporal:7233", "tls": {"caSecretRef": {"name": "ca"}}},
            "taskQueues": [{"name": "q"}],
            "image": "worker:1",
            "health": {},
            "workerOptions": {"activityTaskPollers": {"autoscaling": {}}, "tuner": {"resourceBased": {}}},
            "autoscaling": {"maxReplicas": 3, "targets": {"scheduleToStart": {"seconds": 60}}},
            "updateStrategy": {},
        });
        let manifest = json!({"kind": "TemporalWorker", "metadata": {"name": "fleet"}, "spec": spec});
        let stored = sandbox.apply(&manifest, "fleet-e2e", true).await?;
        let ours = serde_json::to_value(serde_json::from_value::<TemporalWorkerSpec>(spec)?)?;
        assert_eq!(stored.data["spec"], ours);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn two_managers_share_the_lists_of_the_template() -> Result<()> {
    sandbox::with("merge", |sandbox| async move {
        let fleet = |spec: Value| json!({"kind": "TemporalWorker", "metadata": {"name": "fleet"}, "spec": spec});
        let worker =
            |env: &str| json!({"spec": {"containers": [{"name": "worker", "env": [{"name": env, "value": "1"}]}]}});
        let first = fleet(json!({
            "connection": {"address": "temporal:7233"},
            "taskQueues": [{"name": "q"}],
            "image": "worker:1",
            "template": worker("A"),
        }));
        sandbox.apply(&first, "first", false).await?;
        let second = fleet(json!({"taskQueues": [{"name": "r"}], "template": worker("B")}));
        let both = sandbox.apply(&second, "second", false).await?;
        let spec = &both.data["spec"];
        let names = |list: &Value| -> Result<Vec<String>> {
            let items = list.as_array().context("not a list")?;
            Ok(items
                .iter()
                .filter_map(|item| item["name"].as_str().map(str::to_owned))
                .collect())
        };
        assert_eq!(names(&spec["template"]["spec"]["containers"])?, ["worker"]);
        assert_eq!(names(&spec["template"]["spec"]["containers"][0]["env"])?, ["A", "B"]);
        assert_eq!(names(&spec["taskQueues"])?, ["q", "r"]);
        Ok(())
    })
    .await
}
