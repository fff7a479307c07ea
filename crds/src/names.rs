//! Every name this project writes on Kubernetes objects: labels, annotations, field managers, ports, and the budgets
//! that keep derived names valid. Budgets are compile-time assertions, so that a longer suffix cannot slip in.

/// API group of both kinds.
pub const GROUP: &str = "temporal-fleet.dev";
/// API version of both kinds.
pub const VERSION: &str = "v1alpha1";

/// Label on children and pods: name of the `TemporalWorker`. Stays on a pod in quarantine.
pub const LABEL_WORKER: &str = "temporal-fleet.dev/worker";
/// Label on pods, part of every Deployment selector: `"false"`, or `"true"` once a pod is taken out to drain.
pub const LABEL_QUARANTINED: &str = "temporal-fleet.dev/quarantined";
/// Recommended label on children and pods, value [`MANAGED_BY`].
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Recommended label on children and pods, value [`APP_NAME`].
pub const LABEL_APP_NAME: &str = "app.kubernetes.io/name";
/// Recommended label on children and pods: name of the `TemporalWorker`.
pub const LABEL_APP_INSTANCE: &str = "app.kubernetes.io/instance";
/// Value of [`LABEL_MANAGED_BY`].
pub const MANAGED_BY: &str = "temporal-fleet";
/// Value of [`LABEL_APP_NAME`].
pub const APP_NAME: &str = "temporal-worker";
/// Prefix of labels and annotations that users may not set in a pod template.
pub const RESERVED_PREFIX: &str = "temporal-fleet.dev/";

/// Annotation on Deployments: hash of what was rendered; an unchanged apply is not sent.
pub const ANNOTATION_RENDERED_HASH: &str = "temporal-fleet.dev/rendered-hash";
/// Annotation on Deployments: revision of what the operator injects into pods.
pub const ANNOTATION_CONTRACT: &str = "temporal-fleet.dev/contract";
/// Annotation on pod templates: checksum of the mounted credentials.
pub const ANNOTATION_CREDENTIALS_CHECKSUM: &str = "temporal-fleet.dev/credentials-checksum";
/// Annotation on pods, read by the `ReplicaSet` controller: lower goes first at scale-in.
pub const ANNOTATION_POD_DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
/// Annotation on pods, read by the cluster autoscaler: `"false"` while the pod runs what an eviction would cut off.
pub const ANNOTATION_SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";

/// Annotation on a `TemporalWorker`, `"true"`: its size stays.
pub const ANNOTATION_PAUSED: &str = "temporal-fleet.dev/paused";
/// Annotation on a `TemporalWorker`, a number: its size becomes this and stays; wins over the others.
pub const ANNOTATION_PAUSED_REPLICAS: &str = "temporal-fleet.dev/paused-replicas";
/// Annotation on a `TemporalWorker`, `"true"`: it does not shrink.
pub const ANNOTATION_PAUSED_SCALE_IN: &str = "temporal-fleet.dev/paused-scale-in";
/// Annotation on a `TemporalWorker`, `"true"`: it does not grow.
pub const ANNOTATION_PAUSED_SCALE_OUT: &str = "temporal-fleet.dev/paused-scale-out";
/// Annotation on a `TemporalWorker`, `"true"`: the autoscaler acts as if a task waited.
pub const ANNOTATION_FORCE_ACTIVATION: &str = "temporal-fleet.dev/force-activation";

/// Field manager of child objects.
pub const MANAGER_CHILDREN: &str = "temporal-fleet";
/// Field manager of `spec.replicas` of Deployments.
pub const MANAGER_SCALE: &str = "temporal-fleet-scale";
/// Field manager of [`ANNOTATION_SAFE_TO_EVICT`] on pods, and of nothing else: an apply takes back what its manager no longer names.
pub const MANAGER_EVICTION: &str = "temporal-fleet-eviction";
/// Field manager of annotations that the kubectl plugin writes.
pub const MANAGER_PLUGIN: &str = "kubectl-temporal-worker";
/// Field manager of the status of our kinds.
pub const MANAGER_STATUS: &str = "temporal-fleet-status";

/// Name of the container that runs the worker.
pub const WORKER_CONTAINER: &str = "worker";
/// Name of the container port that asks for probes.
pub const HEALTH_PORT_NAME: &str = "health";
/// Port of the `WorkerControl` service in worker pods.
pub const CONTROL_PORT: i32 = 9465;
/// Seconds by which a pod's termination grace period must exceed `gracefulShutdownSeconds`.
pub const SHUTDOWN_MARGIN_SECONDS: i64 = 20;

/// Longest name of a `TemporalWorker`, also the longest Deployment name of an unversioned fleet.
pub const WORKER_NAME_MAX: usize = 52;
/// Suffix of the Secret with the certificate and token of `WorkerControl`.
pub const CONTROL_SECRET_SUFFIX: &str = "-control";
/// Longest DNS label and label value.
const LABEL_MAX: usize = 63;
/// Kubernetes cuts the generated base of a pod's name to this and adds 5 characters.
const GENERATED_BASE_MAX: usize = 58;

const _: () = assert!(WORKER_NAME_MAX + CONTROL_SECRET_SUFFIX.len() <= LABEL_MAX);
const _: () = assert!(GENERATED_BASE_MAX + 5 <= LABEL_MAX);
// Cut names of pods stay distinct by their random end; the fleet's own name must survive the cut whole.
const _: () = assert!(WORKER_NAME_MAX <= GENERATED_BASE_MAX);

/// Name of the Secret that holds the `WorkerControl` certificate and token of a fleet.
pub fn control_secret(fleet: &str) -> String {
    format!("{fleet}{CONTROL_SECRET_SUFFIX}")
}
