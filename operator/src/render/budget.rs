//! The disruption budget of a fleet. It never makes a drain impossible.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::Fleet;

/// Renders the budget. A value that would allow no disruption at the present size becomes `maxUnavailable: 1`.
pub fn budget(fleet: &Fleet) -> PodDisruptionBudget {
    let wanted = fleet.worker.spec.pod_disruption_budget.clone().unwrap_or_default();
    let (min_available, max_unavailable) = match (wanted.min_available, wanted.max_unavailable) {
        (Some(min), _) if up(&min, fleet.replicas) < fleet.replicas => (Some(min), None),
        (None, Some(max)) if up(&max, fleet.replicas) > 0 => (None, Some(max)),
        (None, None) => (None, Some(IntOrString::String("25%".to_owned()))),
        (Some(_), _) | (None, Some(_)) => (None, Some(IntOrString::Int(1))),
    };
    PodDisruptionBudget {
        metadata: ObjectMeta {
            name: Some(fleet.name()),
            namespace: fleet.worker.namespace(),
            labels: Some(fleet.labels()),
            owner_references: fleet.owner().map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(PodDisruptionBudgetSpec {
            min_available,
            max_unavailable,
            selector: Some(fleet.selector()),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
        }),
        status: None,
    }
}

/// A count or a percentage of `of`, rounded up as the disruption controller does.
fn up(value: &IntOrString, of: u32) -> u32 {
    match value {
        IntOrString::Int(count) => u32::try_from(*count).unwrap_or(0),
        IntOrString::String(text) => {
            let percent: u32 = text.trim_end_matches('%').parse().unwrap_or(0);
            (percent.saturating_mul(of)).div_ceil(100)
        }
    }
}
