//! The parts of a fleet's spec that Kubernetes acts on: probes, metrics port, disruption budget, update strategy.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens to pods whose credentials changed and that do not reload them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CredentialRotation {
    /// The pods are replaced one by one.
    #[default]
    RollingRestart,
    /// Nothing: whoever changes the credentials restarts the pods.
    None,
}

/// Probes of a pod that is made from `image`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Port that serves `/livez` and `/readyz`.
    #[serde(default = "default_health_port")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: i32,
}

const fn default_health_port() -> i32 {
    9466
}

impl Default for Health {
    fn default() -> Self {
        Self {
            port: default_health_port(),
        }
    }
}

/// Where the pods serve Prometheus metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// Port that serves `/metrics`.
    #[serde(default = "default_metrics_port")]
    #[schemars(range(min = 1, max = 65_535))]
    pub port: i32,
}

const fn default_metrics_port() -> i32 {
    9464
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            port: default_metrics_port(),
        }
    }
}

/// Limit on voluntary disruptions; `maxUnavailable: 25%` if left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
// Rule 25
#[x_kube(validation = Rule::new("has(self.minAvailable) != has(self.maxUnavailable)").message(
    "set exactly one of minAvailable and maxUnavailable"
))]
pub struct PodDisruptionBudgetSpec {
    /// Pods that must stay, as a number or a percentage.
    // `schema_with` hides that the field is an Option: only a default keeps it from being required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::count_or_percent")]
    pub min_available: Option<IntOrString>,
    /// Pods that may be gone at once, as a number or a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::count_or_percent")]
    pub max_unavailable: Option<IntOrString>,
}

/// How pods are replaced, as in a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.rollingUpdate) || self.type == 'RollingUpdate'").message(
    "rollingUpdate needs type RollingUpdate; remove it or change the type"
))]
pub struct UpdateStrategy {
    /// RollingUpdate replaces pods step by step, Recreate ends all of them first.
    #[serde(rename = "type", default)]
    pub type_: UpdateType,
    /// Size of the steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolling_update: Option<RollingUpdate>,
}

/// How pods are replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UpdateType {
    /// Step by step.
    #[default]
    RollingUpdate,
    /// All old pods end before the first new one starts.
    Recreate,
}

impl UpdateType {
    /// The name used in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RollingUpdate => "RollingUpdate",
            Self::Recreate => "Recreate",
        }
    }
}

/// Size of the steps of a rolling update; Kubernetes takes 25% for each that is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollingUpdate {
    /// Pods that may exist above the desired number, as a number or a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::count_or_percent")]
    pub max_surge: Option<IntOrString>,
    /// Pods that may be missing, as a number or a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::count_or_percent")]
    pub max_unavailable: Option<IntOrString>,
}
