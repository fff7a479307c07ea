//! From a connection as written (inline or as a `TemporalConnection`) to an endpoint with its credentials in hand.

use std::fmt::Write as _;
use std::sync::Arc;

use fleet_core::Reason;
use fleet_crds::TemporalConnectionSpec;
use fleet_temporal::{ApiKey, CaBundle, ClientCert, CredentialError, Endpoint, Origin, Scope, SecretVersion, Tls};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use sha2::{Digest, Sha256};

use crate::secrets::Secrets;

/// A connection whose references are all there.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The connection as written.
    pub spec: TemporalConnectionSpec,
    /// Where and how the operator itself dials.
    pub endpoint: Endpoint,
    /// Over the content of all credentials; `None` without any.
    pub checksum: Option<String>,
}

/// Why a connection cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Reason of the condition.
    pub reason: Reason,
    /// What is wrong, and the fix.
    pub message: String,
    /// A person has to act; otherwise the next try may succeed.
    pub stalled: bool,
}

impl Problem {
    /// A person has to act.
    pub fn stalled(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            stalled: true,
        }
    }
}

/// The object that holds an address: a `TemporalConnection`, or a fleet with an inline one.
#[derive(Clone, Copy)]
pub struct Owner<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its UID.
    pub uid: &'a str,
}

/// Reads what `spec` of `owner` refers to in `namespace`.
pub async fn resolve(
    secrets: &Secrets,
    namespace: &str,
    owner: Owner<'_>,
    spec: &TemporalConnectionSpec,
    now: Timestamp,
) -> Result<Resolved, Problem> {
    let mut reader = Reader {
        secrets,
        namespace,
        versions: Vec::new(),
        hash: None,
    };
    let mut tls = None;
    if let Some(wanted) = &spec.tls {
        let mut built = Tls {
            server_name: wanted.server_name.clone(),
            ..Tls::default()
        };
        if let Some(ca) = &wanted.ca_secret_ref {
            let bytes = reader.read(&ca.name, &ca.key).await?;
            built.ca = Some(CaBundle::parse(&Origin::new(&ca.name, &ca.key), &bytes).map_err(invalid)?);
        }
        if let Some(client) = &wanted.client_cert_secret_ref {
            let cert = reader.read(&client.name, "tls.crt").await?;
            let key = reader.read(&client.name, "tls.key").await?;
            let origins = (
                Origin::new(&client.name, "tls.crt"),
                Origin::new(&client.name, "tls.key"),
            );
            built.client = Some(ClientCert::parse((&origins.0, &cert), (&origins.1, &key), now).map_err(invalid)?);
        }
        tls = Some(built);
    }
    let mut api_key = None;
    if let Some(wanted) = &spec.api_key_secret_ref {
        let bytes = reader.read(&wanted.name, &wanted.key).await?;
        api_key = Some(ApiKey::parse(&Origin::new(&wanted.name, &wanted.key), &bytes).map_err(invalid)?);
    }
    let Reader { versions, hash, .. } = reader;
    let scope = Scope {
        kubernetes_namespace: namespace.to_owned(),
        connection: owner.name.to_owned(),
        connection_uid: owner.uid.to_owned(),
        secrets: versions,
    };
    let mut endpoint = Endpoint::new(scope, spec.address.clone());
    if let Some(tls) = tls {
        endpoint = endpoint.with_tls(tls);
    }
    if let Some(key) = api_key {
        endpoint = endpoint.with_api_key(key);
    }
    let checksum = hash.map(|hash| {
        hash.finalize().iter().take(8).fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    });
    Ok(Resolved {
        spec: spec.clone(),
        endpoint,
        checksum,
    })
}

struct Reader<'a> {
    secrets: &'a Secrets,
    namespace: &'a str,
    versions: Vec<SecretVersion>,
    hash: Option<Sha256>,
}

impl Reader<'_> {
    async fn read(&mut self, name: &str, key: &str) -> Result<Vec<u8>, Problem> {
        let secret = self.secrets.get(self.namespace, name).await.map_err(|error| Problem {
            reason: Reason::NotObserved,
            message: format!("Secret {name} could not be read: {error}"),
            stalled: false,
        })?;
        let Some(secret) = secret else {
            let message = format!(
                "Secret {name} not found in Kubernetes namespace {}: create it",
                self.namespace
            );
            return Err(Problem::stalled(Reason::SecretNotFound, message));
        };
        let Some(value) = secret.data.as_ref().and_then(|data| data.get(key)) else {
            let keys = known_keys(&secret);
            let message = format!("Secret {name} has no key {key:?} (it has {keys}): add it, or name another key");
            return Err(Problem::stalled(Reason::SecretInvalid, message));
        };
        let version = SecretVersion {
            uid: secret.metadata.uid.clone().unwrap_or_default(),
            resource_version: secret.metadata.resource_version.clone().unwrap_or_default(),
        };
        if !self.versions.contains(&version) {
            self.versions.push(version);
        }
        let hash = self.hash.get_or_insert_with(Sha256::new);
        hash.update(key.as_bytes());
        hash.update((value.0.len() as u64).to_be_bytes());
        hash.update(&value.0);
        Ok(value.0.clone())
    }
}

fn known_keys(secret: &Arc<Secret>) -> String {
    let keys: Vec<_> = secret
        .data
        .iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .take(8)
        .collect();
    if keys.is_empty() {
        "none".to_owned()
    } else {
        keys.join(", ")
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn invalid(error: CredentialError) -> Problem {
    let reason = match error {
        CredentialError::Expired { .. } => Reason::CertificateExpired,
        _ => Reason::SecretInvalid,
    };
    Problem::stalled(reason, error.to_string())
}
