//! Credentials as mounted files, one folder per Secret. Files follow the Secret; a sub-path would not.

use fleet_crds::names;
use k8s_openapi::api::core::v1::{KeyToPath, SecretVolumeSource, Volume, VolumeMount};

use super::Fleet;

/// Folder of the CA that verifies the server: `ca.crt`.
pub const CA_DIR: &str = "/var/run/secrets/temporal-fleet/ca";
/// Folder of the client certificate: `tls.crt`, `tls.key`.
pub const CLIENT_DIR: &str = "/var/run/secrets/temporal-fleet/client";
/// Folder of the API key: `api-key`.
pub const API_KEY_DIR: &str = "/var/run/secrets/temporal-fleet/api-key";
/// Folder of the `WorkerControl` certificate and token.
pub const CONTROL_DIR: &str = "/var/run/secrets/temporal-fleet/control";

/// Prefix of the volumes' names; a template may not use it.
pub const PREFIX: &str = "temporal-fleet-";

/// Volumes of the pod and mounts of the container `worker`.
pub fn volumes(fleet: &Fleet) -> (Vec<Volume>, Vec<VolumeMount>) {
    let mut pairs = Vec::new();
    let tls = fleet.connection.tls.as_ref();
    if let Some(ca) = tls.and_then(|tls| tls.ca_secret_ref.as_ref()) {
        pairs.push(secret("ca", CA_DIR, &ca.name, &[(&ca.key, "ca.crt")]));
    }
    if let Some(client) = tls.and_then(|tls| tls.client_cert_secret_ref.as_ref()) {
        pairs.push(secret(
            "client",
            CLIENT_DIR,
            &client.name,
            &[("tls.crt", "tls.crt"), ("tls.key", "tls.key")],
        ));
    }
    if let Some(key) = &fleet.connection.api_key_secret_ref {
        pairs.push(secret("api-key", API_KEY_DIR, &key.name, &[(&key.key, "api-key")]));
    }
    let control = names::control_secret(&fleet.name());
    pairs.push(secret(
        "control",
        CONTROL_DIR,
        &control,
        &[("tls.crt", "tls.crt"), ("tls.key", "tls.key"), ("token", "token")],
    ));
    pairs.into_iter().unzip()
}

fn secret(name: &str, dir: &str, secret: &str, items: &[(&str, &str)]) -> (Volume, VolumeMount) {
    let name = format!("{PREFIX}{name}");
    let items = items.iter().map(|(key, path)| KeyToPath {
        key: (*key).to_owned(),
        path: (*path).to_owned(),
        mode: None,
    });
    let source = SecretVolumeSource {
        secret_name: Some(secret.to_owned()),
        items: Some(items.collect()),
        ..SecretVolumeSource::default()
    };
    let mount = VolumeMount {
        name: name.clone(),
        mount_path: dir.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    (
        Volume {
            name,
            secret: Some(source),
            ..Volume::default()
        },
        mount,
    )
}
