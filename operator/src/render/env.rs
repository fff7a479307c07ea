//! The environment of a worker: the SDKs' own names where they have one, so that images of any SDK run unchanged.

use fleet_crds::{WorkerOptions, names};
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, SecretKeySelector};
use serde::Serialize;
use serde_json::json;

use super::Fleet;
use super::volumes;

/// Names that the operator writes and nobody else may.
const RESERVED: &[&str] = &[
    "TEMPORAL_ADDRESS",
    "TEMPORAL_NAMESPACE",
    "TEMPORAL_TLS",
    "TEMPORAL_TLS_SERVER_NAME",
    "TEMPORAL_TLS_CLIENT_CERT_PATH",
    "TEMPORAL_TLS_CLIENT_KEY_PATH",
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
    "TEMPORAL_API_KEY",
    "TEMPORAL_TASK_QUEUE",
    "POD_NAME",
    "POD_NAMESPACE",
    "POD_UID",
];
const RESERVED_PREFIX: &str = "TEMPORAL_FLEET_";

/// What the Rust runtime alone reads and the operator never writes: the pod template may (`docs/decisions/0014`).
const FREE: &[&str] = &[
    "TEMPORAL_FLEET_COMBINED",
    "TEMPORAL_FLEET_RECYCLE_AFTER_ACTIVITIES",
    "TEMPORAL_FLEET_RECYCLE_AFTER_SECONDS",
];

/// Whether a variable belongs to the contract between operator and pod.
pub fn reserved(name: &str) -> bool {
    RESERVED.contains(&name) || (name.starts_with(RESERVED_PREFIX) && !FREE.contains(&name))
}

/// The contract's variables for the container `worker`.
pub fn contract(fleet: &Fleet) -> Vec<EnvVar> {
    let spec = &fleet.worker.spec;
    let mut env = Environment::default();
    env.text("TEMPORAL_ADDRESS", &fleet.connection.address);
    env.text("TEMPORAL_NAMESPACE", &spec.temporal_namespace);
    if fleet.connection.uses_tls() {
        env.text("TEMPORAL_TLS", "true");
    }
    if let Some(tls) = &fleet.connection.tls {
        if let Some(name) = &tls.server_name {
            env.text("TEMPORAL_TLS_SERVER_NAME", name);
        }
        if tls.client_cert_secret_ref.is_some() {
            env.text(
                "TEMPORAL_TLS_CLIENT_CERT_PATH",
                &format!("{}/tls.crt", volumes::CLIENT_DIR),
            );
            env.text(
                "TEMPORAL_TLS_CLIENT_KEY_PATH",
                &format!("{}/tls.key", volumes::CLIENT_DIR),
            );
        }
        if tls.ca_secret_ref.is_some() {
            env.text(
                "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
                &format!("{}/ca.crt", volumes::CA_DIR),
            );
        }
    }
    if let Some(key) = &fleet.connection.api_key_secret_ref {
        // For images that know nothing else; the Rust runtime reads the file, which follows the Secret.
        let selector = SecretKeySelector {
            name: key.name.clone(),
            key: key.key.clone(),
            optional: None,
        };
        env.from(
            "TEMPORAL_API_KEY",
            EnvVarSource {
                secret_key_ref: Some(selector),
                ..EnvVarSource::default()
            },
        );
        env.text(
            "TEMPORAL_FLEET_API_KEY_FILE",
            &format!("{}/api-key", volumes::API_KEY_DIR),
        );
    }
    if let Some(first) = spec.task_queues.first() {
        env.text("TEMPORAL_TASK_QUEUE", &first.name);
    }
    let queues = spec
        .task_queues
        .iter()
        .map(|queue| json!({"name": queue.name, "types": queue.types}))
        .collect();
    env.text(
        "TEMPORAL_FLEET_TASK_QUEUES",
        &serde_json::Value::Array(queues).to_string(),
    );
    if let Some(options) = &spec.worker_options {
        concurrency(&mut env, options);
    }
    env.text(
        "TEMPORAL_FLEET_GRACEFUL_SHUTDOWN_SECONDS",
        &fleet.graceful_seconds().to_string(),
    );
    env.text("TEMPORAL_FLEET_CONTROL_DIR", volumes::CONTROL_DIR);
    env.text("TEMPORAL_FLEET_CONTROL_PORT", &names::CONTROL_PORT.to_string());
    env.text("TEMPORAL_FLEET_METRICS_PORT", &spec.metrics.port.to_string());
    if let Some(health) = &spec.health {
        env.text("TEMPORAL_FLEET_HEALTH_PORT", &health.port.to_string());
    }
    env.field("POD_NAME", "metadata.name");
    env.field("POD_NAMESPACE", "metadata.namespace");
    env.field("POD_UID", "metadata.uid");
    env.0
}

/// The concurrency table, field by field.
fn concurrency(env: &mut Environment, options: &WorkerOptions) {
    env.number(
        "TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES",
        options.max_concurrent_activities,
    );
    env.number(
        "TEMPORAL_FLEET_MAX_CONCURRENT_WORKFLOW_TASKS",
        options.max_concurrent_workflow_tasks,
    );
    env.number(
        "TEMPORAL_FLEET_MAX_CONCURRENT_LOCAL_ACTIVITIES",
        options.max_concurrent_local_activities,
    );
    env.number(
        "TEMPORAL_FLEET_MAX_ACTIVITIES_PER_SECOND",
        options.max_activities_per_second,
    );
    env.number(
        "TEMPORAL_FLEET_MAX_TASK_QUEUE_ACTIVITIES_PER_SECOND",
        options.max_task_queue_activities_per_second,
    );
    env.number("TEMPORAL_FLEET_MAX_CACHED_WORKFLOWS", options.max_cached_workflows);
    env.number(
        "TEMPORAL_FLEET_MAX_HEARTBEAT_THROTTLE_INTERVAL_SECONDS",
        options.max_heartbeat_throttle_interval_seconds,
    );
    env.number(
        "TEMPORAL_FLEET_DEFAULT_HEARTBEAT_THROTTLE_INTERVAL_SECONDS",
        options.default_heartbeat_throttle_interval_seconds,
    );
    env.number(
        "TEMPORAL_FLEET_STICKY_QUEUE_SCHEDULE_TO_START_TIMEOUT_SECONDS",
        options.sticky_queue_schedule_to_start_timeout_seconds,
    );
    env.json(
        "TEMPORAL_FLEET_WORKFLOW_TASK_POLLERS",
        options.workflow_task_pollers.as_ref(),
    );
    env.json(
        "TEMPORAL_FLEET_ACTIVITY_TASK_POLLERS",
        options.activity_task_pollers.as_ref(),
    );
    env.json("TEMPORAL_FLEET_TUNER", options.tuner.as_ref());
    if let Some(prefix) = &options.identity_prefix {
        env.text("TEMPORAL_FLEET_IDENTITY_PREFIX", prefix);
    }
}

#[derive(Default)]
struct Environment(Vec<EnvVar>);

impl Environment {
    fn text(&mut self, name: &str, value: &str) {
        self.0.push(EnvVar {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            value_from: None,
        });
    }

    fn number(&mut self, name: &str, value: Option<i32>) {
        if let Some(value) = value {
            self.text(name, &value.to_string());
        }
    }

    fn json(&mut self, name: &str, value: Option<&impl Serialize>) {
        // Types of our own API always turn into JSON; one that did not would be left to the runtime's default.
        if let Some(text) = value.and_then(|value| serde_json::to_string(value).ok()) {
            self.text(name, &text);
        }
    }

    fn from(&mut self, name: &str, source: EnvVarSource) {
        self.0.push(EnvVar {
            name: name.to_owned(),
            value: None,
            value_from: Some(source),
        });
    }

    fn field(&mut self, name: &str, path: &str) {
        let field = ObjectFieldSelector {
            api_version: Some("v1".to_owned()),
            field_path: path.to_owned(),
        };
        self.from(
            name,
            EnvVarSource {
                field_ref: Some(field),
                ..EnvVarSource::default()
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_is_reserved_now_and_later_and_the_runtimes_own_variables_are_free() {
        for name in [
            "TEMPORAL_ADDRESS",
            "POD_NAME",
            "TEMPORAL_FLEET_TUNER",
            "TEMPORAL_FLEET_OF_A_LATER_REVISION",
        ] {
            assert!(reserved(name), "{name}");
        }
        for name in [
            "TEMPORAL_FLEET_COMBINED",
            "TEMPORAL_FLEET_RECYCLE_AFTER_SECONDS",
            "TEMPORAL_PROFILE",
            "RUST_LOG",
        ] {
            assert!(!reserved(name), "{name}");
        }
    }
}
