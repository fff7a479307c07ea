//! `TemporalConnection`: how to reach a Temporal server. The same spec stands inline in a `TemporalWorker`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Address and credentials of a Temporal server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "temporal-fleet.dev",
    version = "v1alpha1",
    kind = "TemporalConnection",
    plural = "temporalconnections",
    shortname = "tcx",
    category = "temporal",
    namespaced,
    derive = "PartialEq",
    status = "TemporalConnectionStatus",
    doc = "How to reach a Temporal server, for all TemporalWorkers of the same Kubernetes namespace that name it.",
    printcolumn(
        name = "READY",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "ADDRESS", type_ = "string", json_path = ".spec.address"),
    printcolumn(name = "AUTH", type_ = "string", json_path = ".status.authentication"),
    printcolumn(name = "SERVER", type_ = "string", json_path = ".status.serverVersion"),
    printcolumn(name = "EXPIRES", type_ = "date", json_path = ".status.certificateExpirationTime"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "STATUS",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
// Rule 5
#[x_kube(validation = Rule::new(
    "!(has(self.apiKeySecretRef) && has(self.tls) && has(self.tls.clientCertSecretRef))"
).message(
    "apiKeySecretRef and tls.clientCertSecretRef exclude each other; remove one of them"
))]
pub struct TemporalConnectionSpec {
    /// Frontend of the Temporal server as host:port or [IPv6]:port.
    #[schemars(
        length(min = 3, max = 259),
        regex(pattern = r"^([a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9.])?|\[[0-9a-fA-F:.]+\]):[1-9][0-9]{0,4}$")
    )]
    pub address: String,
    /// Encrypts the connection; `{}` means TLS with the system's roots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// API key to authenticate with; turns TLS on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_secret_ref: Option<SecretKeyRef>,
}

impl TemporalConnectionSpec {
    /// Whether the connection is encrypted: `tls` is set, or an API key that must not travel in the clear.
    pub fn uses_tls(&self) -> bool {
        self.tls.is_some() || self.api_key_secret_ref.is_some()
    }

    /// How the connection authenticates, as told by the spec alone.
    pub fn authentication(&self) -> Authentication {
        let client_cert = self
            .tls
            .as_ref()
            .is_some_and(|tls| tls.client_cert_secret_ref.is_some());
        if self.api_key_secret_ref.is_some() {
            Authentication::ApiKey
        } else if client_cert {
            Authentication::MutualTls
        } else if self.tls.is_some() {
            Authentication::Tls
        } else {
            Authentication::None
        }
    }
}

/// TLS of a connection. Verification cannot be switched off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// Name to verify in the server's certificate, if it is not the host of the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?$")
    )]
    pub server_name: Option<String>,
    /// Secret with the CA certificates to trust instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecretRef>,
    /// Secret with the client certificate in `tls.crt` and its key in `tls.key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_cert_secret_ref: Option<SecretRef>,
}

/// A Secret in the same Kubernetes namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
}

/// One key of a Secret in the same Kubernetes namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// Key in the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// CA certificates in a Secret of the same Kubernetes namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaSecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// Key in the Secret.
    #[serde(default = "default_ca_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

fn default_ca_key() -> String {
    "ca.crt".to_owned()
}

/// How a connection authenticates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Authentication {
    /// No encryption and no credentials.
    #[default]
    None,
    /// Encrypted, no credentials.
    #[serde(rename = "TLS")]
    Tls,
    /// Encrypted, with a client certificate.
    #[serde(rename = "MutualTLS")]
    MutualTls,
    /// Encrypted, with an API key.
    #[serde(rename = "APIKey")]
    ApiKey,
}

impl Authentication {
    /// The name used in the API and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Tls => "TLS",
            Self::MutualTls => "MutualTLS",
            Self::ApiKey => "APIKey",
        }
    }
}

/// What the operator found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalConnectionStatus {
    /// Generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,
    /// Version that the server reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub server_version: Option<String>,
    /// How the connection authenticates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    /// When the client certificate ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_expiration_time: Option<Time>,
    /// Number of TemporalWorkers that name this connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub used_by: Option<i32>,
}
