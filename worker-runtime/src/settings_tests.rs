//! Settings: the contract's variables, their defaults and their mistakes.

use std::time::Duration;

use super::{Deployment, InvalidSettings, Options, Pollers, Ports, QueueType, Recycling, Settings, Tuner};

fn settings(variables: &[(&str, &str)]) -> Result<Settings, InvalidSettings> {
    // A configuration file in the developer's home must not change the outcome.
    let no_file = ("TEMPORAL_CONFIG_FILE", "/nonexistent/temporal.toml");
    let all = std::iter::once(&no_file).chain(variables);
    Settings::from_variables(
        &all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    )
}

#[test]
fn without_variables_a_worker_serves_a_development_server() {
    let settings = settings(&[]).expect("defaults");
    assert_eq!(settings.temporal_namespace, "default");
    assert_eq!(settings.connection.address, None);
    assert!(settings.queues.is_empty());
    assert_eq!(settings.options, Options::default());
    assert_eq!(
        settings.ports,
        Ports {
            metrics: 9464,
            control: 9465,
            health: 9466
        }
    );
    assert_eq!(settings.graceful_shutdown, Duration::from_mins(1));
    assert_eq!(settings.recycling, Recycling::default());
    assert!(!settings.in_pod);
}

#[test]
fn a_pod_gets_all_that_the_operator_sets() {
    let settings = settings(&[
        ("TEMPORAL_ADDRESS", "temporal:7233"),
        ("TEMPORAL_NAMESPACE", "orders"),
        ("TEMPORAL_TASK_QUEUE", "a"),
        (
            "TEMPORAL_FLEET_TASK_QUEUES",
            r#"[{"name":"a","types":["Workflow","Activity"]},{"name":"b","types":["Activity"]}]"#,
        ),
        ("TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES", "7"),
        ("TEMPORAL_FLEET_MAX_CONCURRENT_WORKFLOW_TASKS", "8"),
        ("TEMPORAL_FLEET_MAX_CONCURRENT_LOCAL_ACTIVITIES", "9"),
        ("TEMPORAL_FLEET_MAX_ACTIVITIES_PER_SECOND", "0.5"),
        ("TEMPORAL_FLEET_MAX_TASK_QUEUE_ACTIVITIES_PER_SECOND", "250"),
        ("TEMPORAL_FLEET_MAX_HEARTBEAT_THROTTLE_INTERVAL_SECONDS", "20"),
        ("TEMPORAL_FLEET_DEFAULT_HEARTBEAT_THROTTLE_INTERVAL_SECONDS", "5"),
        ("TEMPORAL_FLEET_STICKY_QUEUE_SCHEDULE_TO_START_TIMEOUT_SECONDS", "3"),
        ("TEMPORAL_FLEET_MAX_CACHED_WORKFLOWS", "0"),
        ("TEMPORAL_FLEET_WORKFLOW_TASK_POLLERS", r#"{"simpleMaximum":4}"#),
        (
            "TEMPORAL_FLEET_ACTIVITY_TASK_POLLERS",
            r#"{"autoscaling":{"maximum":20}}"#,
        ),
        (
            "TEMPORAL_FLEET_TUNER",
            r#"{"resourceBased":{"targetCpuPercent":70,"targetMemoryPercent":60}}"#,
        ),
        ("TEMPORAL_FLEET_IDENTITY_PREFIX", "eu"),
        ("TEMPORAL_FLEET_GRACEFUL_SHUTDOWN_SECONDS", "30"),
        ("TEMPORAL_FLEET_CONTROL_DIR", "/control"),
        ("POD_NAME", "p-1"),
        ("POD_NAMESPACE", "shop"),
        ("POD_UID", "u-1"),
        ("TEMPORAL_DEPLOYMENT_NAME", "shop.orders"),
        ("TEMPORAL_WORKER_BUILD_ID", "b7"),
    ])
    .expect("valid");
    assert_eq!(settings.identity, "eu/p-1/shop/u-1");
    assert_eq!(settings.temporal_namespace, "orders");
    assert_eq!(settings.queues.len(), 2);
    assert!(settings.queues[1].types.iter().eq([&QueueType::Activity]));
    assert_eq!(
        settings.options,
        Options {
            max_concurrent_activities: 7,
            max_concurrent_workflow_tasks: 8,
            max_concurrent_local_activities: 9,
            max_activities_per_second: Some(0.5),
            max_task_queue_activities_per_second: Some(250.0),
            max_heartbeat_throttle: Duration::from_secs(20),
            default_heartbeat_throttle: Duration::from_secs(5),
            sticky_timeout: Duration::from_secs(3),
            max_cached_workflows: 0,
            workflow_task_pollers: Some(Pollers::SimpleMaximum(4)),
            activity_task_pollers: Some(Pollers::Autoscaling {
                minimum: 1,
                maximum: 20,
                initial: 5
            }),
            tuner: Some(Tuner::ResourceBased {
                target_cpu_percent: 70,
                target_memory_percent: 60
            }),
        }
    );
    assert_eq!(settings.graceful_shutdown, Duration::from_secs(30));
    assert!(settings.in_pod);
    let deployment = Deployment {
        name: "shop.orders".to_owned(),
        build_id: "b7".to_owned(),
    };
    assert_eq!(settings.deployment, Some(deployment));
}

#[test]
fn a_deployment_needs_its_build_id_and_a_build_id_its_deployment() {
    for (given, missing) in [
        ("TEMPORAL_DEPLOYMENT_NAME", "TEMPORAL_WORKER_BUILD_ID"),
        ("TEMPORAL_WORKER_BUILD_ID", "TEMPORAL_DEPLOYMENT_NAME"),
    ] {
        let error = settings(&[(given, "x")]).expect_err("half").to_string();
        assert!(error.contains(&format!("{missing}: is absent")), "{error}");
    }
}

#[test]
fn all_mistakes_are_reported_together_with_what_is_allowed() {
    let error = settings(&[
        ("TEMPORAL_TLS", "maybe"),
        ("TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES", "0"),
        ("TEMPORAL_FLEET_WORKFLOW_TASK_POLLERS", r#"{"simpleMaximum":1}"#),
        (
            "TEMPORAL_FLEET_ACTIVITY_TASK_POLLERS",
            r#"{"autoscaling":{"minimum":9,"initial":5}}"#,
        ),
        ("TEMPORAL_FLEET_TASK_QUEUES", r#"[{"name":"a","types":["Nexus"]}]"#),
        ("TEMPORAL_FLEET_METRICS_PORT", "9466"),
        ("TEMPORAL_FLEET_MAX_ACTIVITIES_PER_SECOND", "NaN"),
        ("TEMPORAL_FLEET_STICKY_QUEUE_SCHEDULE_TO_START_TIMEOUT_SECONDS", "0"),
        ("TEMPORAL_FLEET_GRACEFUL_SHUTDOWN_SECONDS", "604801"),
        ("TEMPORAL_TLS_CLIENT_CERT_PATH", "/c.pem"),
        ("TEMPORAL_CODEC_ENDPOINT", "http://codec"),
    ])
    .expect_err("invalid");
    insta::assert_snapshot!(error.to_string());
}

#[test]
fn an_api_key_never_travels_in_the_clear_nor_into_a_message() {
    let error = settings(&[("TEMPORAL_TLS", "false"), ("TEMPORAL_API_KEY", "secret-key")]).expect_err("refused");
    let text = error.to_string();
    assert!(text.contains("TEMPORAL_TLS") && !text.contains("secret-key"), "{text}");
    let settings = settings(&[("TEMPORAL_API_KEY", "secret-key")]).expect("TLS is on by default");
    assert!(settings.connection.tls.is_none_or(|tls| tls.disabled != Some(true)));
}

#[test]
fn shape_and_recycling_come_from_the_environment_if_it_names_them() {
    let unset = settings(&[]).expect("defaults");
    assert_eq!((unset.combined, unset.recycling), (None, Recycling::default()));
    let set = settings(&[
        ("TEMPORAL_FLEET_COMBINED", "True"),
        ("TEMPORAL_FLEET_RECYCLE_AFTER_ACTIVITIES", "5000"),
        ("TEMPORAL_FLEET_RECYCLE_AFTER_SECONDS", "3600"),
    ])
    .expect("valid");
    let recycling = Recycling {
        activities: Some(5_000),
        age: Some(Duration::from_hours(1)),
    };
    assert_eq!((set.combined, set.recycling), (Some(true), recycling));
    let off = settings(&[
        ("TEMPORAL_FLEET_COMBINED", "0"),
        ("TEMPORAL_FLEET_RECYCLE_AFTER_ACTIVITIES", "0"),
    ])
    .expect("valid");
    let never = Recycling {
        activities: None,
        age: None,
    };
    assert_eq!((off.combined, off.recycling), (Some(false), never));
    assert!(settings(&[("TEMPORAL_FLEET_COMBINED", "perhaps")]).is_err());
}

#[test]
fn a_tuner_is_fixed_or_has_targets_with_defaults() {
    let tuner = |text: &str| {
        let settings = settings(&[("TEMPORAL_FLEET_TUNER", text)]).expect("valid");
        settings.options.tuner
    };
    assert_eq!(tuner(""), None);
    assert_eq!(tuner(r#"{"fixed":{}}"#), Some(Tuner::Fixed));
    let by = |target_cpu_percent, target_memory_percent| {
        Some(Tuner::ResourceBased {
            target_cpu_percent,
            target_memory_percent,
        })
    };
    assert_eq!(tuner(r#"{"resourceBased":{}}"#), by(90, 80));
    assert_eq!(tuner(r#"{"resourceBased":{"targetCpuPercent":10}}"#), by(10, 80));
    assert_eq!(tuner(r#"{"resourceBased":{"targetMemoryPercent":100}}"#), by(90, 100));
}

#[test]
fn a_tuner_that_cannot_be_used_is_refused_with_what_is_allowed() {
    for bad in [
        "resourceBased",
        "{}",
        r#"{"fixed":{"slots":3}}"#,
        r#"{"fixed":{},"resourceBased":{}}"#,
        r#"{"custom":{}}"#,
        r#"{"resourceBased":{"targetCPUPercent":90}}"#,
        r#"{"resourceBased":{"targetCpuPercent":9}}"#,
        r#"{"resourceBased":{"targetCpuPercent":101}}"#,
        r#"{"resourceBased":{"targetCpuPercent":300}}"#,
        r#"{"resourceBased":{"targetCpuPercent":"90"}}"#,
        r#"{"resourceBased":{"targetMemoryPercent":9}}"#,
        r#"{"resourceBased":{"targetMemoryPercent":101}}"#,
        r#"{"resourceBased":{"targetMemoryPercent":79.5}}"#,
    ] {
        let error = settings(&[("TEMPORAL_FLEET_TUNER", bad)]).expect_err(bad).to_string();
        assert!(error.contains("TEMPORAL_FLEET_TUNER: "), "{bad}: {error}");
        assert!(error.contains("each from 10 to 100"), "{bad}: {error}");
    }
}
