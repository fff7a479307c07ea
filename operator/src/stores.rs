//! What the watches have seen, per scope: one Kubernetes namespace, or all of them.

use fleet_crds::{TemporalConnection, TemporalWorker};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::Store;

/// An object that may not be readable: one that is not must not stop the watch of all others.
pub type Guarded<K> = DeserializeGuard<K>;

/// The stores of one scope.
#[derive(Clone)]
pub struct Stores {
    /// Fleets.
    pub workers: Store<Guarded<TemporalWorker>>,
    /// Connections.
    pub connections: Store<Guarded<TemporalConnection>>,
    /// Deployments that carry our label.
    pub deployments: Store<Deployment>,
    /// Disruption budgets that carry our label.
    pub budgets: Store<PodDisruptionBudget>,
    /// Pods that carry our label.
    pub pods: Store<Pod>,
    /// Other autoscalers, of whatever they scale.
    pub autoscalers: Store<HorizontalPodAutoscaler>,
}
