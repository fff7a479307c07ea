//! What each rule must accept and reject: changes to a small valid object, as JSON merge patches. The numbers are those
//! that the rules carry in the sources of the kinds.

use serde_json::{Value, json};

/// One object and what the API server must say to it.
pub(crate) struct Case {
    pub(crate) rule: &'static str,
    pub(crate) base: Value,
    pub(crate) change: Value,
    /// `None`: accepted. Else a part of the message of the refusal.
    pub(crate) refused: Option<&'static str>,
}

fn worker() -> Value {
    json!({
        "kind": "TemporalWorker",
        "metadata": {"name": "fleet"},
        "spec": {
            "connection": {"address": "temporal:7233"},
            "taskQueues": [{"name": "q"}],
            "image": "worker:1",
        },
    })
}

fn accept(rule: &'static str, change: Value) -> Case {
    Case {
        rule,
        base: worker(),
        change,
        refused: None,
    }
}

fn refuse(rule: &'static str, change: Value, message: &'static str) -> Case {
    Case {
        rule,
        base: worker(),
        change,
        refused: Some(message),
    }
}

fn spec(spec: &Value) -> Value {
    json!({ "spec": spec })
}

fn options(options: &Value) -> Value {
    spec(&json!({ "workerOptions": options }))
}

fn autoscaling(autoscaling: &Value) -> Value {
    spec(&json!({ "autoscaling": autoscaling }))
}

fn named(length: usize) -> Value {
    json!({"metadata": {"name": "f".repeat(length)}})
}

/// All cases.
pub(crate) fn all() -> Vec<Case> {
    let parts = [
        identity(),
        connections(),
        scaling(),
        concurrency(),
        tuning(),
        shutdown(),
        pods(),
    ];
    parts.into_iter().flatten().collect()
}

fn identity() -> Vec<Case> {
    const NAME: &str = "metadata.name must be at most 52 characters";
    const CONNECTION: &str = "set exactly one of connectionRef";
    const IMAGE: &str = "set the worker's image in exactly one place";
    let container = |container: Value| json!({"spec": {"containers": [container]}});
    vec![
        accept("1", named(52)),
        refuse("1", named(53), NAME),
        refuse("1", json!({"metadata": {"name": "a.b"}}), NAME),
        accept("2", json!({})),
        accept(
            "2",
            spec(&json!({"connection": null, "connectionRef": {"name": "prod"}})),
        ),
        refuse("2", spec(&json!({"connection": null})), CONNECTION),
        refuse("2", spec(&json!({"connectionRef": {"name": "prod"}})), CONNECTION),
        accept(
            "3",
            spec(&json!({"image": null, "template": container(json!({"name": "worker", "image": "w:1"}))})),
        ),
        accept("3", spec(&json!({"template": container(json!({"name": "worker"}))}))),
        accept(
            "3",
            spec(&json!({"template": container(json!({"name": "sidecar", "image": "s:1"}))})),
        ),
        accept(
            "3",
            spec(&json!({"template": {"spec": {"nodeSelector": {"disk": "ssd"}}}})),
        ),
        accept("3", spec(&json!({"template": {"metadata": {"labels": {"team": "a"}}}}))),
        refuse("3", spec(&json!({"image": null})), IMAGE),
        refuse(
            "3",
            spec(&json!({"template": container(json!({"name": "worker", "image": "w:1"}))})),
            IMAGE,
        ),
        refuse(
            "3",
            spec(&json!({"image": null, "template": container(json!({"name": "other", "image": "w:1"}))})),
            IMAGE,
        ),
    ]
}

fn connections() -> Vec<Case> {
    const CLOUD: &str = "temporalNamespace at Temporal Cloud is <name>.<account>";
    const CREDENTIALS: &str = "apiKeySecretRef and tls.clientCertSecretRef exclude each other";
    let cloud = |namespace: &str| {
        spec(&json!({"connection": {"address": "orders.a1b2c.tmprl.cloud:7233"}, "temporalNamespace": namespace}))
    };
    let key = json!({"name": "key", "key": "api-key"});
    let cert = json!({"clientCertSecretRef": {"name": "cert"}});
    let connection = |change: Value, refused| Case {
        rule: "5",
        base: json!({"kind": "TemporalConnection", "metadata": {"name": "prod"}, "spec": {"address": "temporal:7233"}}),
        change,
        refused,
    };
    vec![
        accept("4", cloud("orders.a1b2c")),
        accept("4", spec(&json!({"temporalNamespace": "orders"}))),
        refuse("4", cloud("orders"), CLOUD),
        refuse("4", cloud("orders.a1b2c.extra"), CLOUD),
        refuse(
            "4",
            spec(&json!({"connection": {"address": "us-west-2.aws.api.temporal.io:7233"}})),
            CLOUD,
        ),
        accept("5", spec(&json!({"connection": {"apiKeySecretRef": key}}))),
        accept("5", spec(&json!({"connection": {"apiKeySecretRef": key, "tls": {}}}))),
        accept("5", spec(&json!({"connection": {"tls": cert}}))),
        refuse(
            "5",
            spec(&json!({"connection": {"apiKeySecretRef": key, "tls": cert}})),
            CREDENTIALS,
        ),
        connection(spec(&json!({"tls": cert})), None),
        connection(spec(&json!({"apiKeySecretRef": key, "tls": cert})), Some(CREDENTIALS)),
        connection(spec(&json!({"address": "temporal"})), Some("spec.address")),
        connection(spec(&json!({"address": "[2001:db8::1]:7233"})), None),
    ]
}

fn scaling() -> Vec<Case> {
    const BOUNDS: &str = "minReplicas must not exceed maxReplicas";
    const TARGETS: &str = "at least one of scheduleToStart, cpuUtilization, memoryUtilization, slotUtilization and backlogPerReplica must be enabled";
    const POLICY: &str = "replicas belongs to the policies AtLeast and Fixed";
    const THRESHOLD: &str = "failureThreshold says from when the policies AtLeast and Fixed count";
    let off = json!({"enabled": false});
    let fallback = |fallback: &Value| autoscaling(&json!({"maxReplicas": 3, "fallback": fallback}));
    vec![
        accept("6", autoscaling(&json!({"maxReplicas": 1}))),
        accept("6", autoscaling(&json!({"minReplicas": 3, "maxReplicas": 3}))),
        refuse("6", autoscaling(&json!({"minReplicas": 4, "maxReplicas": 3})), BOUNDS),
        accept(
            "7",
            autoscaling(&json!({"maxReplicas": 3, "targets": {"cpuUtilization": off}})),
        ),
        accept(
            "7",
            autoscaling(&json!({"maxReplicas": 3, "targets": {"scheduleToStart": off}})),
        ),
        refuse(
            "7",
            autoscaling(&json!({"maxReplicas": 3, "targets": {"scheduleToStart": off, "cpuUtilization": off}})),
            TARGETS,
        ),
        accept(
            "7",
            autoscaling(&json!({
                "maxReplicas": 3,
                "targets": {"scheduleToStart": off, "cpuUtilization": off, "slotUtilization": {"percent": 70}},
            })),
        ),
        accept(
            "7",
            autoscaling(&json!({
                "maxReplicas": 3,
                "targets": {"scheduleToStart": off, "cpuUtilization": off, "backlogPerReplica": 20},
            })),
        ),
        accept(
            "7",
            autoscaling(&json!({
                "maxReplicas": 3,
                "targets": {"scheduleToStart": off, "cpuUtilization": off, "memoryUtilization": {}},
            })),
        ),
        refuse(
            "bounds",
            autoscaling(&json!({"maxReplicas": 3, "targets": {"memoryUtilization": {"percent": 96}}})),
            "spec.autoscaling.targets.memoryUtilization.percent",
        ),
        accept("10", fallback(&json!({}))),
        accept("28", fallback(&json!({"policy": "HoldCurrent", "failureThreshold": 3}))),
        accept(
            "28",
            fallback(&json!({"policy": "AtLeast", "replicas": 3, "failureThreshold": 5})),
        ),
        refuse(
            "28",
            fallback(&json!({"policy": "HoldCurrent", "failureThreshold": 5})),
            THRESHOLD,
        ),
        refuse("28", fallback(&json!({"failureThreshold": 5})), THRESHOLD),
        accept("10", fallback(&json!({"policy": "AtLeast", "replicas": 3}))),
        accept("10", fallback(&json!({"policy": "Fixed", "replicas": 1}))),
        refuse("10", fallback(&json!({"replicas": 2})), POLICY),
        refuse("10", fallback(&json!({"policy": "AtLeast"})), POLICY),
        refuse("10", fallback(&json!({"policy": "Fixed"})), POLICY),
        refuse(
            "11",
            fallback(&json!({"policy": "AtLeast", "replicas": 4})),
            "fallback.replicas must not exceed maxReplicas",
        ),
        refuse(
            "bounds",
            fallback(&json!({"policy": "AtLeast", "replicas": 0})),
            "spec.autoscaling.fallback.replicas",
        ),
        refuse(
            "bounds",
            autoscaling(&json!({"maxReplicas": 0})),
            "spec.autoscaling.maxReplicas",
        ),
        refuse(
            "quoted",
            autoscaling(&json!({"maxReplicas": 3, "mode": false})),
            "spec.autoscaling.mode",
        ),
        accept("quoted", autoscaling(&json!({"maxReplicas": 3, "mode": "Off"}))),
    ]
}

fn concurrency() -> Vec<Case> {
    const ONE: &str = "set exactly one of simpleMaximum and autoscaling";
    const ORDER: &str = "minimum <= initial <= maximum must hold";
    const STICKY: &str = "workflowTaskPollers.simpleMaximum must be at least 2";
    let three = json!([{"name": "a"}, {"name": "b", "types": ["Workflow"]}, {"name": "c", "types": ["Nexus"]}]);
    let slots = |options: Value| spec(&json!({"taskQueues": three, "workerOptions": options}));
    vec![
        accept("13", options(&json!({"activityTaskPollers": {"autoscaling": {}}}))),
        refuse("13", options(&json!({"activityTaskPollers": {}})), ONE),
        refuse(
            "13",
            options(&json!({"workflowTaskPollers": {"simpleMaximum": 2, "autoscaling": {}}})),
            ONE,
        ),
        accept(
            "14",
            options(&json!({"activityTaskPollers": {"autoscaling": {"initial": 1, "maximum": 1}}})),
        ),
        refuse(
            "14",
            options(&json!({"activityTaskPollers": {"autoscaling": {"maximum": 4}}})),
            ORDER,
        ),
        refuse(
            "14",
            options(&json!({"workflowTaskPollers": {"autoscaling": {"minimum": 6}}})),
            ORDER,
        ),
        accept("17", options(&json!({"maxTaskQueueActivitiesPerSecond": 5}))),
        refuse(
            "17",
            spec(&json!({
                "taskQueues": [{"name": "q", "types": ["Workflow"]}],
                "workerOptions": {"maxTaskQueueActivitiesPerSecond": 5},
            })),
            "limits Activity queues and taskQueues has none",
        ),
        refuse(
            "schema",
            options(&json!({"maxActivitiesPerSecond": 0})),
            "maxActivitiesPerSecond",
        ),
        accept("15", options(&json!({"workflowTaskPollers": {"simpleMaximum": 2}}))),
        accept(
            "15",
            options(&json!({"workflowTaskPollers": {"simpleMaximum": 1}, "maxCachedWorkflows": 0})),
        ),
        accept("15", options(&json!({"activityTaskPollers": {"simpleMaximum": 1}}))),
        refuse(
            "15",
            options(&json!({"workflowTaskPollers": {"simpleMaximum": 1}})),
            STICKY,
        ),
        refuse(
            "15",
            options(&json!({"workflowTaskPollers": {"simpleMaximum": 1}, "maxCachedWorkflows": 9})),
            STICKY,
        ),
        accept(
            "27",
            slots(json!({"maxConcurrentWorkflowTasks": 4, "maxConcurrentActivities": 1})),
        ),
        refuse(
            "27",
            slots(json!({"maxConcurrentWorkflowTasks": 3})),
            "workerOptions.maxConcurrentWorkflowTasks is 3 but must be at least 4, 2 for each Workflow queue",
        ),
        refuse(
            "27",
            spec(
                &json!({"taskQueues": [{"name": "a"}, {"name": "b"}], "workerOptions": {"maxConcurrentActivities": 1}}),
            ),
            "workerOptions.maxConcurrentActivities is 1 but must be at least 2, 1 for each Activity queue",
        ),
    ]
}

fn tuning() -> Vec<Case> {
    const ONE: &str = "set exactly one of tuner.fixed and tuner.resourceBased";
    const SLOTS: &str = "autoscaling.targets.slotUtilization is a share of a number of slots";
    let tuner = |tuner: Value| options(&json!({ "tuner": tuner }));
    let both = |tuner: Value, targets: Value| {
        spec(&json!({
            "workerOptions": {"tuner": tuner},
            "autoscaling": {"maxReplicas": 3, "targets": targets},
        }))
    };
    let by_cpu = |percent: i64| json!({"resourceBased": {"targetCpuPercent": percent}});
    let slots = json!({"slotUtilization": {"percent": 70}});
    vec![
        accept("8", both(json!({"fixed": {}}), slots.clone())),
        accept("8", autoscaling(&json!({"maxReplicas": 3, "targets": slots}))),
        refuse("8", both(json!({"resourceBased": {}}), slots), SLOTS),
        accept("9", both(json!({"resourceBased": {}}), json!({}))),
        accept("9", both(by_cpu(60), json!({"cpuUtilization": {"percent": 50}}))),
        accept("9", both(by_cpu(50), json!({"cpuUtilization": {"enabled": false}}))),
        accept("9", tuner(by_cpu(50))),
        accept(
            "9",
            both(json!({"fixed": {}}), json!({"cpuUtilization": {"percent": 95}})),
        ),
        refuse(
            "9",
            both(by_cpu(89), json!({})),
            "workerOptions.tuner.resourceBased.targetCpuPercent is 89 but must be at least 90: \
             autoscaling.targets.cpuUtilization.percent (80) + 10",
        ),
        refuse(
            "9",
            both(by_cpu(100), json!({"cpuUtilization": {"percent": 95}})),
            "targetCpuPercent is 100 but must be at least 105",
        ),
        accept("12", tuner(json!({"fixed": {}}))),
        accept(
            "12",
            tuner(json!({"resourceBased": {"targetMemoryPercent": 10, "targetCpuPercent": 100}})),
        ),
        refuse("12", tuner(json!({})), ONE),
        refuse("12", tuner(json!({"fixed": {}, "resourceBased": {}})), ONE),
        refuse("bounds", tuner(by_cpu(9)), "targetCpuPercent"),
        refuse("bounds", tuner(by_cpu(101)), "targetCpuPercent"),
        refuse(
            "bounds",
            tuner(json!({"resourceBased": {"targetMemoryPercent": 9}})),
            "targetMemoryPercent",
        ),
        refuse(
            "typo",
            tuner(json!({"resourceBased": {"targetCPUPercent": 90}})),
            "targetCPUPercent",
        ),
    ]
}

fn shutdown() -> Vec<Case> {
    let grace = |seconds: i64| json!({"spec": {"terminationGracePeriodSeconds": seconds}});
    let both = |grace_period: i64, graceful: i64| {
        spec(&json!({"template": grace(grace_period), "workerOptions": {"gracefulShutdownSeconds": graceful}}))
    };
    vec![
        accept("18", options(&json!({"gracefulShutdownSeconds": 3600}))),
        accept("18", spec(&json!({"template": grace(20)}))),
        accept("18", both(320, 300)),
        refuse(
            "18",
            both(319, 300),
            "template.spec.terminationGracePeriodSeconds is 319 but must be at least 320: \
             workerOptions.gracefulShutdownSeconds (300) + 20",
        ),
        refuse(
            "18",
            spec(&json!({"template": grace(19)})),
            "template.spec.terminationGracePeriodSeconds is 19 but must be at least 20: \
             workerOptions.gracefulShutdownSeconds (unset) + 20",
        ),
    ]
}

fn pods() -> Vec<Case> {
    const BUDGET: &str = "set exactly one of minAvailable and maxUnavailable";
    const PORTS: &str = "metrics.port, health.port and 9465, the port of the control service, must differ";
    let budget = |budget: Value| spec(&json!({ "podDisruptionBudget": budget }));
    let strategy = |strategy: Value| spec(&json!({ "updateStrategy": strategy }));
    vec![
        accept("25", budget(json!({"minAvailable": 1}))),
        accept("25", budget(json!({"maxUnavailable": "25%"}))),
        refuse("25", budget(json!({})), BUDGET),
        refuse("25", budget(json!({"minAvailable": 1, "maxUnavailable": 1})), BUDGET),
        refuse(
            "bounds",
            budget(json!({"maxUnavailable": "some"})),
            "spec.podDisruptionBudget.maxUnavailable",
        ),
        accept("strategy", strategy(json!({"rollingUpdate": {"maxSurge": 1}}))),
        accept("strategy", strategy(json!({"type": "Recreate"}))),
        refuse(
            "strategy",
            strategy(json!({"type": "Recreate", "rollingUpdate": {"maxSurge": 1}})),
            "rollingUpdate needs type RollingUpdate",
        ),
        accept("deadline", spec(&json!({"minReadySeconds": 599}))),
        refuse(
            "deadline",
            spec(&json!({"minReadySeconds": 600})),
            "progressDeadlineSeconds (600 if left out) must be greater than minReadySeconds",
        ),
        accept("ports", spec(&json!({"health": {}, "metrics": {"port": 8080}}))),
        refuse("ports", spec(&json!({"health": {"port": 9464}})), PORTS),
        refuse("ports", spec(&json!({"health": {"port": 9465}})), PORTS),
        refuse("ports", spec(&json!({"metrics": {"port": 9465}})), PORTS),
        refuse(
            "typo",
            spec(&json!({"template": {"spec": {"containers": [{"name": "worker", "imagePolicy": "Never"}]}}})),
            "imagePolicy",
        ),
    ]
}
