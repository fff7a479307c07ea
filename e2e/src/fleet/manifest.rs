//! What a folder of manifests says about the fleet in it: names, queue and where its Temporal is.

use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde_json::Value;

use super::error::{Error, Result};

/// The one fleet of a folder or file of manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetManifest {
    /// File or folder, for `kubectl apply -f`.
    pub path: PathBuf,
    /// Name of the `TemporalWorker`.
    pub name: String,
    /// Its Kubernetes namespace.
    pub namespace: String,
    /// Its Temporal namespace.
    pub temporal_namespace: String,
    /// Its first task queue.
    pub task_queue: String,
    /// Temporal's address as the pods see it.
    pub address: String,
}

impl FleetManifest {
    /// Reads a file, or all `.yaml` files of a folder.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = |reason: String| Error::Manifest {
            path: path.to_owned(),
            reason,
        };
        let mut files = vec![path.to_owned()];
        if path.is_dir() {
            let entries = std::fs::read_dir(path).map_err(|error| failed(error.to_string()))?;
            files = entries
                .filter_map(|entry| entry.ok().map(|entry| entry.path()))
                .collect();
            files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
            files.sort();
        }
        let mut documents = Vec::new();
        for file in files {
            let text =
                std::fs::read_to_string(&file).map_err(|error| failed(format!("{}: {error}", file.display())))?;
            documents.extend(parse(&text).map_err(|error| failed(format!("{}: {error}", file.display())))?);
        }
        Self::find(path, &documents).map_err(failed)
    }

    fn find(path: &Path, documents: &[Value]) -> std::result::Result<Self, String> {
        let text = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let of_kind = |kind: &'static str| documents.iter().filter(move |each| each["kind"] == kind);
        let fleet = of_kind("TemporalWorker").next().ok_or("there is no TemporalWorker")?;
        let address = match text(fleet, "/spec/connectionRef/name") {
            Some(name) => of_kind("TemporalConnection")
                .find(|each| text(each, "/metadata/name").as_ref() == Some(&name))
                .and_then(|each| text(each, "/spec/address"))
                .ok_or_else(|| format!("there is no TemporalConnection {name} with an address"))?,
            None => text(fleet, "/spec/connection/address").ok_or("the fleet names no connection")?,
        };
        Ok(Self {
            path: path.to_owned(),
            name: text(fleet, "/metadata/name").ok_or("the fleet has no name")?,
            namespace: text(fleet, "/metadata/namespace").unwrap_or_else(|| "default".to_owned()),
            temporal_namespace: text(fleet, "/spec/temporalNamespace").unwrap_or_else(|| "default".to_owned()),
            task_queue: text(fleet, "/spec/taskQueues/0/name").ok_or("the fleet has no task queue")?,
            address,
        })
    }
}

/// All documents of a YAML text; empty ones are left out.
pub fn parse(text: &str) -> std::result::Result<Vec<Value>, serde_yaml::Error> {
    let documents = serde_yaml::Deserializer::from_str(text).map(Value::deserialize);
    documents
        .filter(|document| !matches!(document, Ok(Value::Null)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_fleet_and_its_connection_among_other_documents() {
        let text = "
kind: Namespace
metadata: {name: demo}
---
# only a comment
---
kind: TemporalConnection
metadata: {name: local}
spec: {address: 'temporal-frontend.temporal.svc.cluster.local:7233'}
---
kind: TemporalWorker
metadata: {name: demo, namespace: demo}
spec:
  connectionRef: {name: local}
  taskQueues: [{name: my-data-processing-task-queue}]
";
        let fleet = FleetManifest::find(Path::new("x"), &parse(text).unwrap()).unwrap();
        assert_eq!((fleet.name.as_str(), fleet.namespace.as_str()), ("demo", "demo"));
        assert_eq!(fleet.temporal_namespace, "default");
        assert_eq!(fleet.task_queue, "my-data-processing-task-queue");
        assert_eq!(fleet.address, "temporal-frontend.temporal.svc.cluster.local:7233");
    }

    #[test]
    fn says_what_is_missing() {
        let find = |text: &str| FleetManifest::find(Path::new("x"), &parse(text).unwrap()).unwrap_err();
        assert!(find("kind: Pod").contains("no TemporalWorker"));
        assert!(find("{kind: TemporalWorker, spec: {connectionRef: {name: a}}}").contains("TemporalConnection a"));
    }
}
