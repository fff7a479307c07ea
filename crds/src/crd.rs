//! The two `CustomResourceDefinition`s as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

/// Definition of `TemporalWorker`.
pub fn temporal_worker() -> CustomResourceDefinition {
    crate::TemporalWorker::crd()
}

/// Definition of `TemporalConnection`.
pub fn temporal_connection() -> CustomResourceDefinition {
    crate::TemporalConnection::crd()
}
