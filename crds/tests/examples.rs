//! Every example is what the types read, and names no field that they do not know.

// The helpers of a test fail it as the test itself would.
#![allow(clippy::panic)]

use fleet_crds::{TemporalConnection, TemporalWorker};
use serde::{Deserialize as _, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Every YAML file below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "yaml") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn documents() -> Vec<(String, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut all = Vec::new();
    for file in files(&root) {
        let text = std::fs::read_to_string(&file).expect("text");
        for document in serde_yaml::Deserializer::from_str(&text) {
            all.push((file.display().to_string(), Value::deserialize(document).expect("YAML")));
        }
    }
    all
}

/// Reads the document as a `T` and checks that nothing was lost on the way.
fn read<T: DeserializeOwned + Serialize>(file: &str, document: &Value) -> T {
    let typed: T = serde_json::from_value(document.clone()).unwrap_or_else(|e| panic!("{file}: {e}"));
    contains(file, &serde_json::to_value(&typed).expect("JSON"), document);
    typed
}

/// Fails unless all that `given` says is in `kept`, which may say more, for example defaults.
fn contains(at: &str, kept: &Value, given: &Value) {
    match (kept, given) {
        (Value::Object(kept), Value::Object(given)) => {
            for (key, value) in given {
                let path = format!("{at}.{key}");
                contains(
                    &path,
                    kept.get(key).unwrap_or_else(|| panic!("{path} is not a field")),
                    value,
                );
            }
        }
        (Value::Array(kept), Value::Array(given)) => {
            assert_eq!(kept.len(), given.len(), "{at}");
            for (kept, given) in kept.iter().zip(given) {
                contains(at, kept, given);
            }
        }
        _ => assert_eq!(kept, given, "{at}"),
    }
}

#[test]
fn every_example_parses_without_losing_a_field() {
    let mut workers = 0;
    for (file, document) in documents() {
        match document["kind"].as_str() {
            Some("TemporalWorker") => {
                let worker: TemporalWorker = read(&file, &document);
                assert!(worker.spec.worker_image().is_some(), "{file} names no image");
                workers += 1;
            }
            Some("TemporalConnection") => drop(read::<TemporalConnection>(&file, &document)),
            Some("Namespace") => {}
            kind => panic!("{file} holds a {kind:?}"),
        }
    }
    assert!(workers >= 7, "only {workers} workers");
}

#[test]
fn the_demo_differs_from_the_example_only_where_it_says() {
    let worker = |end: &str| -> TemporalWorker {
        let (file, document) = documents()
            .into_iter()
            .find(|(file, d)| file.ends_with(end) && d["kind"] == "TemporalWorker")
            .expect("the example");
        read(&file, &document)
    };
    let mut demo = worker("demo/fleet.yaml").spec;
    let example = worker("examples/data-processing.yaml").spec;
    demo.worker_options = None;
    demo.template = None;
    let autoscaling = demo.autoscaling.as_mut().expect("autoscaling");
    autoscaling.behavior = None;
    autoscaling.cooldown_seconds = 300;
    assert_eq!(demo, example);
}
