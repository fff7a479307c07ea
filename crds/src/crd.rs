//! The two `CustomResourceDefinition`s as they are installed: the derived ones, made fit for an API server.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use serde_json::Value;

/// A definition could not be built from the derived schema.
#[derive(Debug, thiserror::Error)]
#[error("failed to build the definition of {kind}")]
pub struct Error {
    /// The kind that it is about.
    pub kind: &'static str,
    /// What was wrong with its JSON form.
    #[source]
    pub source: serde_json::Error,
}

/// Definition of `TemporalWorker`.
pub fn temporal_worker() -> Result<CustomResourceDefinition, Error> {
    finished(crate::TemporalWorker::crd()).map_err(|source| Error {
        kind: "TemporalWorker",
        source,
    })
}

/// Definition of `TemporalConnection`.
pub fn temporal_connection() -> Result<CustomResourceDefinition, Error> {
    finished(crate::TemporalConnection::crd()).map_err(|source| Error {
        kind: "TemporalConnection",
        source,
    })
}

/// Both definitions, in the order in which they are installed.
pub fn all() -> Result<[CustomResourceDefinition; 2], Error> {
    Ok([temporal_connection()?, temporal_worker()?])
}

fn finished(mut crd: CustomResourceDefinition) -> Result<CustomResourceDefinition, serde_json::Error> {
    for version in &mut crd.spec.versions {
        let Some(schema) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) else {
            continue;
        };
        let mut value: Value = serde_json::to_value(&*schema)?;
        crate::schema::finish(&mut value);
        *schema = serde_json::from_value(value)?;
    }
    Ok(crd)
}
