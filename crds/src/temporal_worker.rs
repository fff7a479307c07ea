//! `TemporalWorker`: a fleet of workers. Owns the spec's outline and the rules that look across its parts; the parts
//! have files of their own.
//!
//! Rule numbers in comments are those of the API's design; numbers that are missing here belong to fields that do
//! not exist yet.

use crate::autoscaling::{AutoscalingMode, AutoscalingSpec};
use crate::names;
use crate::pod::{CredentialRotation, Health, Metrics, PodDisruptionBudgetSpec, UpdateStrategy};
use crate::status::TemporalWorkerStatus;
use crate::task_queue::TaskQueue;
use crate::temporal_connection::TemporalConnectionSpec;
use crate::worker_options::WorkerOptions;
use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the fleet runs, where its tasks come from, and how its size follows them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "temporal-fleet.dev",
    version = "v1alpha1",
    kind = "TemporalWorker",
    plural = "temporalworkers",
    shortname = "tw",
    category = "temporal",
    namespaced,
    derive = "PartialEq",
    status = "TemporalWorkerStatus",
    doc = "A fleet of Temporal workers, sized by the load of its task queues.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    selectable = ".spec.connectionRef.name",
    selectable = ".spec.temporalNamespace",
    // Rule 1
    validation = Rule::new(
        "self.metadata.name.size() <= 52 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')"
    ).message(
        "metadata.name must be at most 52 characters of a-z, 0-9 and '-', beginning and ending with a letter or digit, \
         as pods and Secrets are named after it; choose a shorter or plainer name"
    ),
    printcolumn(name = "READY", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "DESIRED", type_ = "integer", json_path = ".status.desiredReplicas"),
    printcolumn(name = "AVAILABLE", type_ = "integer", json_path = ".status.availableReplicas"),
    printcolumn(name = "BACKLOG", type_ = "integer", json_path = ".status.backlog"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "STATUS",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    ),
    printcolumn(name = "QUEUES", type_ = "string", json_path = ".status.summary.queues", priority = 1),
    printcolumn(name = "CONNECTION", type_ = "string", json_path = ".status.summary.connection", priority = 1),
    printcolumn(name = "IMAGE", type_ = "string", json_path = ".status.summary.image", priority = 1)
)]
#[serde(rename_all = "camelCase")]
// Rule 2
#[x_kube(validation = Rule::new("has(self.connectionRef) != has(self.connection)").message(
    "set exactly one of connectionRef, which names a TemporalConnection, and connection, which holds an address"
))]
// Rule 3
#[x_kube(validation = Rule::new(
    "has(self.image) != (has(self.template) && has(self.template.spec) && has(self.template.spec.containers) \
     && self.template.spec.containers.exists(c, c.name == 'worker' && has(c.image)))"
).message(
    "set the worker's image in exactly one place: image, or template.spec.containers[] of the container named worker"
))]
// Rule 4
#[x_kube(validation = Rule::new(
    "!has(self.connection) || !self.connection.address.matches('[.](tmprl[.]cloud|api[.]temporal[.]io):[0-9]+$') \
     || self.temporalNamespace.matches('^[^.]+[.][^.]+$')"
).message(
    "temporalNamespace at Temporal Cloud is <name>.<account>, for example orders.a1b2c; add the account"
).field_path(".temporalNamespace"))]
// Rule 8
#[x_kube(validation = Rule::new(
    "!has(self.autoscaling) || !has(self.autoscaling.targets.slotUtilization) || !has(self.workerOptions) \
     || !has(self.workerOptions.tuner) || !has(self.workerOptions.tuner.resourceBased)"
).message(
    "autoscaling.targets.slotUtilization is a share of a number of slots, and pods with workerOptions.tuner.resourceBased have none; \
     remove the target, or set workerOptions.tuner to {fixed: {}}"
))]
// Rule 9
#[x_kube(validation = Rule::new(
    "!has(self.autoscaling) || !self.autoscaling.targets.cpuUtilization.enabled || !has(self.workerOptions) \
     || !has(self.workerOptions.tuner) || !has(self.workerOptions.tuner.resourceBased) \
     || self.workerOptions.tuner.resourceBased.targetCpuPercent >= self.autoscaling.targets.cpuUtilization.percent + 10"
).message(Message::Expression(
    "'workerOptions.tuner.resourceBased.targetCpuPercent is %d but must be at least %d: \
     autoscaling.targets.cpuUtilization.percent (%d) + 10, else pods stop taking tasks before the fleet grows; raise the former \
     or lower the latter'.format([self.workerOptions.tuner.resourceBased.targetCpuPercent, \
     self.autoscaling.targets.cpuUtilization.percent + 10, self.autoscaling.targets.cpuUtilization.percent])".to_owned()
)))]
// Rule 17
#[x_kube(validation = Rule::new(
    "!has(self.workerOptions) || !has(self.workerOptions.maxTaskQueueActivitiesPerSecond) \
     || self.taskQueues.exists(q, 'Activity' in q.types)"
).message(
    "workerOptions.maxTaskQueueActivitiesPerSecond limits Activity queues and taskQueues has none; remove it, or add the type Activity"
))]
// Rule 18. Messages with numbers are made by `format`: the API server estimates no bound for `+` on `string(int)`, and
// refuses the definition for its cost.
#[x_kube(validation = Rule::new(
    "!has(self.template) || !has(self.template.spec) || !has(self.template.spec.terminationGracePeriodSeconds) \
     || self.template.spec.terminationGracePeriodSeconds >= 20 + (has(self.workerOptions) \
     && has(self.workerOptions.gracefulShutdownSeconds) ? self.workerOptions.gracefulShutdownSeconds : 0)"
).message(Message::Expression(
    "'template.spec.terminationGracePeriodSeconds is %d but must be at least %d: \
     workerOptions.gracefulShutdownSeconds (%s) + 20; raise the former or lower the latter'.format([\
     self.template.spec.terminationGracePeriodSeconds, \
     20 + (has(self.workerOptions) && has(self.workerOptions.gracefulShutdownSeconds) \
     ? self.workerOptions.gracefulShutdownSeconds : 0), \
     has(self.workerOptions) && has(self.workerOptions.gracefulShutdownSeconds) \
     ? string(self.workerOptions.gracefulShutdownSeconds) : 'unset'])".to_owned()
)))]
// Rule 27, Workflow queues
#[x_kube(validation = Rule::new(
    "!has(self.workerOptions) || !has(self.workerOptions.maxConcurrentWorkflowTasks) \
     || self.workerOptions.maxConcurrentWorkflowTasks >= 2 * self.taskQueues.filter(q, 'Workflow' in q.types).size()"
).message(Message::Expression(
    "'workerOptions.maxConcurrentWorkflowTasks is %d but must be at least %d, 2 for each Workflow queue; raise it or \
     remove queues'.format([self.workerOptions.maxConcurrentWorkflowTasks, \
     2 * self.taskQueues.filter(q, 'Workflow' in q.types).size()])".to_owned()
)))]
// Rule 27, Activity queues
#[x_kube(validation = Rule::new(
    "!has(self.workerOptions) || !has(self.workerOptions.maxConcurrentActivities) \
     || self.workerOptions.maxConcurrentActivities >= self.taskQueues.filter(q, 'Activity' in q.types).size()"
).message(Message::Expression(
    "'workerOptions.maxConcurrentActivities is %d but must be at least %d, 1 for each Activity queue; raise it or \
     remove queues'.format([self.workerOptions.maxConcurrentActivities, \
     self.taskQueues.filter(q, 'Activity' in q.types).size()])".to_owned()
)))]
// Not numbered: what a Deployment or a pod would refuse later, when nobody looks any more.
#[x_kube(validation = Rule::new("self.progressDeadlineSeconds > self.minReadySeconds").message(
    "progressDeadlineSeconds (600 if left out) must be greater than minReadySeconds; raise it"
))]
#[x_kube(validation = Rule::new(
    "self.metrics.port != 9465 && (!has(self.health) || (self.health.port != 9465 && self.health.port != self.metrics.port))"
).message(
    "metrics.port, health.port and 9465, the port of the control service, must differ; change metrics.port or health.port"
))]
pub struct TemporalWorkerSpec {
    /// TemporalConnection of the same Kubernetes namespace; else set `connection`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_ref: Option<ConnectionRef>,
    /// Address and credentials of the Temporal server; else set `connectionRef`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<TemporalConnectionSpec>,
    /// Temporal namespace of the task queues.
    #[serde(default = "default_temporal_namespace")]
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[a-zA-Z0-9._-]+$"))]
    pub temporal_namespace: String,
    /// Task queues that every pod of the fleet polls.
    #[schemars(
        length(min = 1, max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub task_queues: Vec<TaskQueue>,
    /// Image of the worker; else give it to the container `worker` of `template`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^\S+$"))]
    pub image: Option<String>,
    /// Adds a port and probes to a pod made from `image`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Pod template, as in a Deployment; the container `worker` runs the worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<PodTemplateSpec>,
    /// Number of pods; with autoscaling in mode Auto only the number to begin with.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 0, max = 10_000))]
    pub replicas: i32,
    /// RollingRestart or None: what happens when credentials change and the pods do not reload them.
    #[serde(default)]
    pub credential_rotation: CredentialRotation,
    /// Concurrency, pollers and shutdown of each pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_options: Option<WorkerOptions>,
    /// Automatic sizing; a fixed size if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<AutoscalingSpec>,
    /// Limit on voluntary disruptions such as node drains; `maxUnavailable: 25%` if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_disruption_budget: Option<PodDisruptionBudgetSpec>,
    /// Prometheus metrics of the pods.
    #[serde(default)]
    pub metrics: Metrics,
    /// How pods are replaced, as in a Deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_strategy: Option<UpdateStrategy>,
    /// Seconds for which a pod must be ready to count as available.
    #[serde(default)]
    #[schemars(range(min = 0, max = 86_400))]
    pub min_ready_seconds: i32,
    /// Seconds without progress after which a change counts as failed.
    #[serde(default = "default_progress_deadline_seconds")]
    #[schemars(range(min = 1, max = 604_800))]
    pub progress_deadline_seconds: i32,
    /// Number of old ReplicaSets to keep.
    #[serde(default = "default_revision_history_limit")]
    #[schemars(range(min = 0, max = 1000))]
    pub revision_history_limit: i32,
}

fn default_temporal_namespace() -> String {
    "default".to_owned()
}

const fn default_replicas() -> i32 {
    1
}

const fn default_progress_deadline_seconds() -> i32 {
    600
}

const fn default_revision_history_limit() -> i32 {
    10
}

/// A `TemporalConnection` of the same Kubernetes namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionRef {
    /// Name of the TemporalConnection.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
}

impl TemporalWorkerSpec {
    /// The container `worker` of the template, if the template has one.
    pub fn worker_container(&self) -> Option<&Container> {
        let pod = self.template.as_ref()?.spec.as_ref()?;
        pod.containers.iter().find(|c| c.name == names::WORKER_CONTAINER)
    }

    /// Image of the worker, wherever it stands. `None` only if rule 3 was never checked.
    pub fn worker_image(&self) -> Option<&str> {
        self.image
            .as_deref()
            .or_else(|| self.worker_container()?.image.as_deref())
    }

    /// Mode of the autoscaler; without `autoscaling` the size is fixed, which is `Off`.
    pub fn autoscaling_mode(&self) -> AutoscalingMode {
        self.autoscaling.as_ref().map_or(AutoscalingMode::Off, |a| a.mode)
    }
}
