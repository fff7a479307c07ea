//! Settings: the contract's variables, their defaults and their mistakes.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, time::Duration};

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

/// Each variable with values that it refuses, and what its message says is allowed.
const REFUSED: &[(&str, &[&str], &str)] = &[
    (
        "TEMPORAL_ADDRESS",
        &[
            "temporal:7233:1",
            "temporal:port",
            "ftp://temporal:7233",
            "https://temporal:7233",
        ],
        "host:port",
    ),
    ("TEMPORAL_TLS", &["maybe", "2"], "true, false"),
    ("TEMPORAL_TLS_DISABLE_HOST_VERIFICATION", &["true", "yes"], ""),
    ("TEMPORAL_TLS_CLIENT_CERT_PATH", &["/c.pem"], "both or none"),
    ("TEMPORAL_CODEC_ENDPOINT", &["http://codec"], "absent"),
    ("TEMPORAL_API_KEY", &["two\nlines", "sch\u{fc}ssel"], "printable ASCII"),
    ("TEMPORAL_GRPC_META_TENANT", &["two\nlines"], "printable ASCII"),
    ("TEMPORAL_GRPC_META_AUTHORIZATION", &["Bearer x"], "TEMPORAL_TLS=true"),
    ("TEMPORAL_GRPC_META_TOKEN_BIN", &["x"], "does not end with _BIN"),
    (
        "TEMPORAL_PROFILE",
        &["elsewhere"],
        "a profile of the configuration file",
    ),
    ("TEMPORAL_TASK_QUEUE", &[TOO_LONG], "1 to 1000 bytes"),
    (
        "TEMPORAL_FLEET_TASK_QUEUES",
        &[
            "orders",
            "[]",
            r#"[{"name":""}]"#,
            r#"[{"name":"a"},{"name":"a"}]"#,
            r#"[{"name":"a","types":["Nexus"]}]"#,
            r#"[{"name":"a","slots":3}]"#,
        ],
        "each name once, 1 to 1000 bytes",
    ),
    (
        "TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES",
        &["0", "100001", "-1", "1.5", "many"],
        "1 to 100000",
    ),
    (
        "TEMPORAL_FLEET_MAX_CONCURRENT_WORKFLOW_TASKS",
        &["0", "100001", "many"],
        "1 to 100000",
    ),
    (
        "TEMPORAL_FLEET_MAX_CONCURRENT_LOCAL_ACTIVITIES",
        &["0", "100001", "many"],
        "1 to 100000",
    ),
    (
        "TEMPORAL_FLEET_MAX_ACTIVITIES_PER_SECOND",
        &["0", "-1", "1e7", "inf", "NaN", "many"],
        "0.001 to 1000000",
    ),
    (
        "TEMPORAL_FLEET_MAX_TASK_QUEUE_ACTIVITIES_PER_SECOND",
        &["0", "-1", "1e7", "inf", "NaN", "many"],
        "0.001 to 1000000",
    ),
    (
        "TEMPORAL_FLEET_MAX_CACHED_WORKFLOWS",
        &["-1", "1000001", "many"],
        "0 to 1000000",
    ),
    (
        "TEMPORAL_FLEET_WORKFLOW_TASK_POLLERS",
        &[
            "5",
            r#"{"simpleMaximum":1}"#,
            r#"{"simpleMaximum":100001}"#,
            r#"{"fixed":5}"#,
        ],
        "n from 2 to 100000",
    ),
    (
        "TEMPORAL_FLEET_ACTIVITY_TASK_POLLERS",
        &[
            "5",
            r#"{"simpleMaximum":0}"#,
            r#"{"autoscaling":{"minimum":0}}"#,
            r#"{"autoscaling":{"maximum":4}}"#,
        ],
        "n from 1 to 100000",
    ),
    (
        "TEMPORAL_FLEET_MAX_HEARTBEAT_THROTTLE_INTERVAL_SECONDS",
        &["0", "86401", "1s"],
        "1 to 86400",
    ),
    (
        "TEMPORAL_FLEET_DEFAULT_HEARTBEAT_THROTTLE_INTERVAL_SECONDS",
        &["0", "86401", "1s"],
        "1 to 86400",
    ),
    (
        "TEMPORAL_FLEET_STICKY_QUEUE_SCHEDULE_TO_START_TIMEOUT_SECONDS",
        &["0", "3601", "1s"],
        "1 to 3600",
    ),
    (
        "TEMPORAL_FLEET_GRACEFUL_SHUTDOWN_SECONDS",
        &["-1", "604801", "1m"],
        "0 to 604800",
    ),
    ("TEMPORAL_FLEET_METRICS_PORT", &["0", "65536", "http"], "1 to 65535"),
    ("TEMPORAL_FLEET_CONTROL_PORT", &["0", "65536", "http"], "1 to 65535"),
    ("TEMPORAL_FLEET_HEALTH_PORT", &["0", "65536", "http"], "1 to 65535"),
    ("TEMPORAL_FLEET_IDENTITY_PREFIX", &[TOO_LONG], "at most 63 bytes"),
    ("TEMPORAL_FLEET_COMBINED", &["perhaps", "2"], "true, false"),
    (
        "TEMPORAL_FLEET_RECYCLE_AFTER_ACTIVITIES",
        &["-1", "1000000001", "often"],
        "0 to 1000000000",
    ),
    (
        "TEMPORAL_FLEET_RECYCLE_AFTER_SECONDS",
        &["-1", "31536001", "1h"],
        "0 to 31536000",
    ),
];

/// A name of 1001 bytes.
const TOO_LONG: &str = match std::str::from_utf8(&[b'a'; 1_001]) {
    Ok(name) => name,
    Err(_) => "",
};

#[test]
fn each_variable_is_refused_by_its_name_with_what_is_allowed() {
    for (variable, values, allowed) in REFUSED {
        for value in *values {
            let InvalidSettings(problems) = settings(&[(*variable, *value)]).expect_err(value);
            let named: Vec<_> = problems
                .iter()
                .filter(|problem| problem.variable == *variable)
                .collect();
            assert_eq!(named.len(), 1, "{variable}={value}: {problems:?}");
            assert!(named[0].allowed.contains(*allowed), "{variable}={value}: {}", named[0]);
        }
    }
}

#[test]
fn a_variable_that_is_not_text_is_refused_and_not_taken_for_absent() {
    let read = |name: &str| {
        Settings::from_os_variables([
            ("TEMPORAL_CONFIG_FILE".into(), "/nonexistent/temporal.toml".into()),
            (name.into(), OsString::from_vec(vec![b'7', 0xff])),
        ])
    };
    let InvalidSettings(problems) = read("TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES").expect_err("refused");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].variable, "TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES");
    assert_eq!(problems[0].allowed, "text in UTF-8");
    assert!(read("SOMEBODY_ELSES").is_ok());
}

#[test]
fn no_scheme_of_the_address_undoes_tls() {
    for tls in [
        ("TEMPORAL_TLS", "true"),
        ("TEMPORAL_API_KEY", "secret-key"),
        ("TEMPORAL_FLEET_API_KEY_FILE", "/k"),
    ] {
        for address in [
            "http://temporal:7233",
            "http:temporal:7233",
            "HTTP:/temporal:7233",
            "http:\\\\temporal:7233",
        ] {
            let error = settings(&[tls, ("TEMPORAL_ADDRESS", address)]).expect_err("refused");
            assert!(error.to_string().contains("in the clear although TLS is on"), "{error}");
        }
        for address in ["temporal:7233", "https://temporal:7233"] {
            assert!(
                settings(&[tls, ("TEMPORAL_ADDRESS", address)]).is_ok(),
                "{tls:?} {address}"
            );
        }
    }
    for address in ["temporal", "temporal:7233", "[::1]:7233", "http://temporal:7233"] {
        assert!(settings(&[("TEMPORAL_ADDRESS", address)]).is_ok(), "{address}");
    }
}

#[test]
fn what_proves_who_a_worker_is_goes_over_tls_alone() {
    let header = ("TEMPORAL_GRPC_META_AUTHORIZATION", "Bearer canary");
    for clear in [
        &[][..],
        &[("TEMPORAL_TLS", "false")],
        &[("TEMPORAL_ADDRESS", "http://temporal:7233")],
    ] {
        let with: Vec<_> = clear.iter().copied().chain([header]).collect();
        let error = settings(&with).expect_err("refused").to_string();
        assert!(
            error.contains(header.0) && error.contains("sent in the clear"),
            "{error}"
        );
        assert!(!error.contains("canary"), "{error}");
    }
    for tls in [
        ("TEMPORAL_TLS", "true"),
        ("TEMPORAL_API_KEY", "k"),
        ("TEMPORAL_TLS_SERVER_NAME", "cloud.example"),
    ] {
        assert!(settings(&[tls, header]).is_ok(), "{tls:?}");
    }
    assert!(
        settings(&[("TEMPORAL_GRPC_META_TENANT", "orders")]).is_ok(),
        "of no use to anybody else"
    );

    let path = std::env::temp_dir().join(format!("fleet-worker-{}-clear.toml", std::process::id()));
    let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let with = |tls: &str| {
        let file = format!(
            "[profile.default]\naddress = \"a:1\"\n{tls}\n[profile.default.grpc_meta]\nAuthorization = \"x\"\n"
        );
        std::fs::write(&path, file).expect("written");
        Settings::from_variables(&[of("TEMPORAL_CONFIG_FILE", &path.display().to_string())].into())
    };
    let InvalidSettings(problems) = with("").expect_err("refused");
    assert_eq!(problems[0].variable, header.0);
    assert!(
        problems[0].allowed.contains("[profile.NAME.grpc_meta]"),
        "{}",
        problems[0]
    );
    assert!(with("[profile.default.tls]").is_ok());
    std::fs::remove_file(&path).expect("removed");
}

#[test]
fn a_profile_of_the_configuration_file_is_used_and_variables_win() {
    let path = std::env::temp_dir().join(format!("fleet-worker-{}-profiles.toml", std::process::id()));
    let file = "[profile.cloud]\naddress = \"cloud:7233\"\nnamespace = \"orders.a1\"\napi_key = \"k\"\n\
                [profile.cloud.tls]\nserver_name = \"cloud.example\"\n";
    std::fs::write(&path, file).expect("written");
    let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let variables = [
        of("TEMPORAL_CONFIG_FILE", &path.display().to_string()),
        of("TEMPORAL_PROFILE", "cloud"),
        of("TEMPORAL_NAMESPACE", "invoices.a1"),
    ];
    let settings = Settings::from_variables(&variables.into());
    let _ = std::fs::remove_file(&path);
    let settings = settings.expect("valid");
    assert_eq!(settings.connection.address.as_deref(), Some("cloud:7233"));
    assert_eq!(settings.temporal_namespace, "invoices.a1");
    assert_eq!(settings.connection.api_key.as_deref(), Some("k"));
    let tls = settings.connection.tls.expect("TLS");
    assert_eq!(tls.server_name.as_deref(), Some("cloud.example"));
}

#[test]
fn a_configuration_file_that_cannot_be_read_is_named_and_not_repeated() {
    let path = std::env::temp_dir().join(format!("fleet-worker-{}.toml", std::process::id()));
    std::fs::write(&path, "[profile.default]\napi_key = secret-key\n").expect("written");
    let variables = [("TEMPORAL_CONFIG_FILE".to_owned(), path.display().to_string())];
    let error = Settings::from_variables(&variables.into())
        .expect_err("refused")
        .to_string();
    let _ = std::fs::remove_file(&path);
    assert!(
        error.contains("TEMPORAL_CONFIG_FILE: ") && error.contains("line 2"),
        "{error}"
    );
    assert!(!error.contains("secret-key"), "{error}");
}

#[test]
fn an_api_key_never_travels_in_the_clear_nor_into_a_message() {
    let error = settings(&[("TEMPORAL_TLS", "false"), ("TEMPORAL_API_KEY", "secret-key")]).expect_err("refused");
    let text = error.to_string();
    assert!(text.contains("TEMPORAL_TLS") && !text.contains("secret-key"), "{text}");
    // As a Secret tends to hold it, with a line break at its end.
    let settings = settings(&[("TEMPORAL_API_KEY", "secret-key\n")]).expect("TLS is on by default");
    assert_eq!(settings.connection.api_key.as_deref(), Some("secret-key"));
    assert!(!format!("{settings:?}").contains("secret-key"));
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
