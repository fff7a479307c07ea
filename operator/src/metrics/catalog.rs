//! Every metric of the operator: name, type, labels and what it says. The only place where a name is given a meaning; the
//! reference in `docs/reference/metrics.md` is made of it.

use std::fmt::Write as _;

/// Type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only grows.
    Counter,
    /// Observations by size.
    Histogram,
}

impl Kind {
    /// As the exposition names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its whole name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, and when to be alarmed.
    pub help: &'static str,
}

/// Labels of a fleet.
const F: &[&str] = &["worker_namespace", "worker"];
/// Labels of a version of a fleet; `build_id` is empty without versions.
const V: &[&str] = &["worker_namespace", "worker", "build_id"];
/// Labels of a queue of a fleet.
const Q: &[&str] = &[
    "worker_namespace",
    "worker",
    "temporal_namespace",
    "task_queue",
    "task_type",
    "build_id",
];
/// Labels of a connection: of a `TemporalConnection`, or of the fleet that holds it.
const C: &[&str] = &["connection_namespace", "connection"];

const fn entry(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Entry {
    Entry {
        name,
        kind,
        labels,
        help,
    }
}

/// All of them, in the order of the reference.
pub const ALL: &[Entry] = &[
    entry(
        "temporal_fleet_build_info",
        Kind::Gauge,
        &["version"],
        "Build information of the operator, always 1.",
    ),
    entry(
        "temporal_fleet_operator_health_status",
        Kind::Gauge,
        &[],
        "Health of the operator: 0 alive and ready, 1 not ready, 2 not alive.",
    ),
    entry(
        "temporal_fleet_crd_missing",
        Kind::Gauge,
        &["crd"],
        "Whether the API server does not serve a kind that the operator watches (1). Alert if so.",
    ),
    entry(
        "controller_runtime_reconcile_total",
        Kind::Counter,
        &["controller", "result"],
        "Total number of reconciliations per controller.",
    ),
    entry(
        "controller_runtime_reconcile_errors_total",
        Kind::Counter,
        &["controller"],
        "Total number of reconciliation errors per controller. Alert on a share above 10 % of all.",
    ),
    entry(
        "controller_runtime_reconcile_time_seconds",
        Kind::Histogram,
        &["controller"],
        "Length of time per reconciliation per controller.",
    ),
    entry(
        "workqueue_depth",
        Kind::Gauge,
        &["name"],
        "Objects that wait for a pass.",
    ),
    entry(
        "workqueue_adds_total",
        Kind::Counter,
        &["name"],
        "Objects handed in, repeats of what waits already apart.",
    ),
    entry(
        "workqueue_queue_duration_seconds",
        Kind::Histogram,
        &["name"],
        "Time from a change of an object to the start of its pass.",
    ),
    entry(
        "workqueue_unfinished_work_seconds",
        Kind::Gauge,
        &["name"],
        "Sum of the ages of all passes that run. One that grows without end means a pass that hangs.",
    ),
    entry(
        "rest_client_requests_total",
        Kind::Counter,
        &["code", "method"],
        "Number of requests to the Kubernetes API by code and method.",
    ),
    entry(
        "leader_election_master_status",
        Kind::Gauge,
        &["name"],
        "Whether this process leads (1) or stands by (0). Alert if none leads.",
    ),
    entry(
        "temporal_fleet_temporal_request_budget_used_ratio",
        Kind::Gauge,
        &["connection_namespace", "address", "temporal_namespace"],
        "Requests of the last minute toward a Temporal namespace, as a share of what the operator may send: at 1 requests wait for their turn. All connections of one Kubernetes namespace to one address share a budget.",
    ),
    entry(
        "temporal_fleet_temporal_requests_total",
        Kind::Counter,
        &["connection_namespace", "connection", "method", "code"],
        "Calls of the operator to Temporal.",
    ),
    entry(
        "temporal_fleet_temporal_request_duration_seconds",
        Kind::Histogram,
        &["connection_namespace", "connection", "method"],
        "Duration of calls of the operator to Temporal.",
    ),
    entry(
        "temporal_fleet_connection_ready",
        Kind::Gauge,
        C,
        "Whether the connection is usable.",
    ),
    entry(
        "temporal_fleet_connection_certificate_expiration_timestamp_seconds",
        Kind::Gauge,
        C,
        "When the client certificate expires. Alert below 14 days.",
    ),
    entry(
        "temporal_fleet_worker_info",
        Kind::Gauge,
        &["worker_namespace", "worker", "temporal_namespace", "connection"],
        "What a fleet is, always 1.",
    ),
    entry(
        "temporal_fleet_worker_condition",
        Kind::Gauge,
        &["worker_namespace", "worker", "type", "status"],
        "Conditions of a fleet: 1 for the present status of each type.",
    ),
    entry(
        "temporal_fleet_worker_replicas_desired",
        Kind::Gauge,
        V,
        "Pods that the fleet should have.",
    ),
    entry(
        "temporal_fleet_worker_replicas_ready",
        Kind::Gauge,
        V,
        "Pods that are ready.",
    ),
    entry(
        "temporal_fleet_worker_replicas_available",
        Kind::Gauge,
        V,
        "Pods that are available.",
    ),
    entry(
        "temporal_fleet_worker_replicas_min",
        Kind::Gauge,
        F,
        "Lower bound of the size, in mode Auto.",
    ),
    entry(
        "temporal_fleet_worker_replicas_max",
        Kind::Gauge,
        F,
        "Upper bound of the size, in mode Auto.",
    ),
    entry(
        "temporal_fleet_worker_pods",
        Kind::Gauge,
        &["worker_namespace", "worker", "state"],
        "Pods by state: Serving; Draining, asked to end; Quarantined, no part of the size any more and with all the time their tasks need.",
    ),
    entry(
        "temporal_fleet_worker_drains_total",
        Kind::Counter,
        &["worker_namespace", "worker", "outcome"],
        "Pods that ended as asked, by outcome. Alert on any that was Forced.",
    ),
    entry(
        "temporal_fleet_worker_drain_duration_seconds",
        Kind::Histogram,
        F,
        "Time from the wish that a pod ends to the end of its worker.",
    ),
    entry(
        "temporal_fleet_worker_slots_used",
        Kind::Gauge,
        &["worker_namespace", "worker", "slot_type"],
        "Tasks running, by slot type.",
    ),
    entry(
        "temporal_fleet_worker_slots_limit",
        Kind::Gauge,
        &["worker_namespace", "worker", "slot_type"],
        "Room for tasks, by slot type; absent with resource-based slots.",
    ),
    entry(
        "temporal_fleet_worker_cpu_utilization_ratio",
        Kind::Gauge,
        F,
        "Mean CPU of the ready pods, of their limit or else request.",
    ),
    entry(
        "temporal_fleet_task_queue_backlog",
        Kind::Gauge,
        Q,
        "Tasks that wait on the server.",
    ),
    entry(
        "temporal_fleet_task_queue_backlog_age_seconds",
        Kind::Gauge,
        Q,
        "Age of the oldest waiting task.",
    ),
    entry(
        "temporal_fleet_task_queue_pollers",
        Kind::Gauge,
        Q,
        "Pods of the fleet that poll the queue.",
    ),
    entry(
        "temporal_fleet_task_queue_add_rate",
        Kind::Gauge,
        Q,
        "Tasks added per second, as the server counts.",
    ),
    entry(
        "temporal_fleet_task_queue_dispatch_rate",
        Kind::Gauge,
        Q,
        "Tasks dispatched per second, as the server counts.",
    ),
    entry(
        "temporal_fleet_task_queue_schedule_to_start_seconds",
        Kind::Histogram,
        &[
            "worker_namespace",
            "worker",
            "temporal_namespace",
            "task_queue",
            "task_type",
        ],
        "Time from scheduling a task to a worker starting it, as the pods report it. Alert on a 99th percentile above the objective. Pods report buckets only: the sum is not known.",
    ),
    entry(
        "temporal_fleet_task_queue_schedule_to_start_p99_seconds",
        Kind::Gauge,
        F,
        "99th percentile of schedule-to-start over the last minute, all queues of the fleet, as the scaling law sees it.",
    ),
    entry(
        "temporal_fleet_autoscaler_objective_seconds",
        Kind::Gauge,
        F,
        "Objective of schedule-to-start.",
    ),
    entry(
        "temporal_fleet_autoscaler_offered_load",
        Kind::Gauge,
        &["worker_namespace", "worker", "build_id", "slot_type"],
        "Demand in busy slots; absent while nothing waits, arrives or runs.",
    ),
    entry(
        "temporal_fleet_autoscaler_target_replicas",
        Kind::Gauge,
        &["worker_namespace", "worker", "build_id", "target"],
        "Pods that one target asks for.",
    ),
    entry(
        "temporal_fleet_autoscaler_recommended_replicas",
        Kind::Gauge,
        V,
        "Pods that the autoscaler asks for, also in DryRun.",
    ),
    entry(
        "temporal_fleet_autoscaler_decisions_total",
        Kind::Counter,
        &["worker_namespace", "worker", "direction", "reason"],
        "Changes of size, by direction and reason.",
    ),
    entry(
        "temporal_fleet_autoscaler_fallback_active",
        Kind::Gauge,
        F,
        "Whether Temporal could not be read for so long that autoscaling.fallback counts (1). Alert after 10 minutes.",
    ),
    entry(
        "temporal_fleet_autoscaler_paused",
        Kind::Gauge,
        F,
        "Whether an annotation holds changes of size back (1); the condition ScalingPaused says which. Alert after 24 hours.",
    ),
    entry(
        "temporal_fleet_autoscaler_signal_errors_total",
        Kind::Counter,
        &["worker_namespace", "worker", "source"],
        "Passes in which a source of signals failed.",
    ),
];

/// The metric of that name.
pub fn find(name: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.name == name)
}

/// The reference page.
pub fn reference() -> String {
    let mut page = REFERENCE.to_owned();
    for Entry {
        name,
        kind,
        labels,
        help,
    } in ALL
    {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, labels) = (kind.as_str(), labels.join(" "));
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {help} |");
    }
    page
}

const REFERENCE: &str = "\
# Metrics of the operator

<!-- Generated from operator/src/metrics/catalog.rs by `make generate`; do not edit. -->

On port 9464, path `/metrics`. Seconds and ratios, never percent. Series of an object that was deleted are removed. What is not known has
no series: missing is not zero.

| metric | type | labels | meaning |
|---|---|---|---|
";
