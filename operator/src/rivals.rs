//! Other autoscalers of a fleet: every `HorizontalPodAutoscaler` of its Kubernetes namespace that aims at its Deployment or at the
//! `TemporalWorker` itself. KEDA scales through one, too: its own objects need not be watched, nor exist.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use fleet_core::{Rival, Scales};
use fleet_crds::TemporalWorker;
use fleet_crds::names::GROUP;
use k8s_openapi::api::autoscaling::v2::{CrossVersionObjectReference, HorizontalPodAutoscaler};
use kube::ResourceExt;

use crate::k8s::read;

/// The autoscaler that aims at a fleet; of several one that writes past the operator, then the first by name.
pub fn of(autoscalers: &[Arc<HorizontalPodAutoscaler>], worker: &TemporalWorker) -> Option<Rival> {
    let mut rivals: Vec<Rival> = autoscalers
        .iter()
        .filter(|autoscaler| {
            autoscaler.namespace() == worker.namespace() && autoscaler.metadata.deletion_timestamp.is_none()
        })
        .filter_map(|autoscaler| {
            let target = &autoscaler.spec.as_ref()?.scale_target_ref;
            let scales = scales(target, &worker.name_any())?;
            let name = name(autoscaler);
            Some(Rival { name, scales })
        })
        .collect();
    rivals.sort_by(|a, b| (a.scales == Scales::Worker, &a.name).cmp(&(b.scales == Scales::Worker, &b.name)));
    rivals.into_iter().next()
}

/// What of an autoscaler concerns a fleet: what it aims at. Never kept beyond the process.
pub fn fingerprint(autoscaler: &HorizontalPodAutoscaler) -> u64 {
    let target = autoscaler.spec.as_ref().map(|spec| &spec.scale_target_ref);
    let mut hasher = DefaultHasher::new();
    (
        target.map(|target| (&target.api_version, &target.kind, &target.name)),
        autoscaler.metadata.deletion_timestamp.is_some(),
    )
        .hash(&mut hasher);
    hasher.finish()
}

/// The fleet's Deployment has its name.
fn scales(target: &CrossVersionObjectReference, fleet: &str) -> Option<Scales> {
    let CrossVersionObjectReference {
        api_version,
        kind,
        name,
    } = target;
    let version = api_version.as_deref().and_then(|version| version.split_once('/'));
    match (kind.as_str(), version.map(|(group, _)| group)) {
        ("Deployment", Some("apps") | None) if name == fleet => Some(Scales::Deployment),
        ("TemporalWorker", Some(GROUP) | None) if name == fleet => Some(Scales::Worker),
        _ => None,
    }
}

/// Whoever made it is who a person has to look for.
fn name(autoscaler: &HorizontalPodAutoscaler) -> String {
    let own = read::describe(autoscaler);
    let maker = autoscaler
        .owner_references()
        .iter()
        .find(|owner| owner.kind == "ScaledObject");
    maker.map_or_else(
        || own.clone(),
        |maker| {
            let namespace = autoscaler.namespace().unwrap_or_default();
            format!("ScaledObject {namespace}/{}, by {own},", maker.name)
        },
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn worker() -> TemporalWorker {
        serde_json::from_value(json!({
            "apiVersion": "temporal-fleet.dev/v1alpha1", "kind": "TemporalWorker",
            "metadata": {"name": "orders", "namespace": "shop"},
            "spec": {"connectionRef": {"name": "prod"}, "taskQueues": [{"name": "orders"}], "image": "w"},
        }))
        .unwrap()
    }

    fn autoscaler(name: &str, namespace: &str, target: &Value) -> Arc<HorizontalPodAutoscaler> {
        let object = json!({
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"maxReplicas": 5, "scaleTargetRef": target},
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn deployment() -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "orders"})
    }

    #[test]
    fn what_aims_at_the_deployment_or_the_fleet_itself_is_found() {
        let own = json!({"apiVersion": "temporal-fleet.dev/v1alpha1", "kind": "TemporalWorker", "name": "orders"});
        let found = of(&[autoscaler("a", "shop", &own)], &worker()).unwrap();
        assert_eq!(
            (found.name.as_str(), found.scales),
            ("HorizontalPodAutoscaler shop/a", Scales::Worker)
        );
        let both = [autoscaler("a", "shop", &own), autoscaler("b", "shop", &deployment())];
        let found = of(&both, &worker()).unwrap();
        assert_eq!(
            (found.name.as_str(), found.scales),
            ("HorizontalPodAutoscaler shop/b", Scales::Deployment)
        );
    }

    #[test]
    fn what_aims_elsewhere_is_nobodys_business() {
        for (namespace, target) in [
            ("other", deployment()),
            (
                "shop",
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}),
            ),
            (
                "shop",
                json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "orders"}),
            ),
            (
                "shop",
                json!({"apiVersion": "example.com/v1", "kind": "Deployment", "name": "orders"}),
            ),
        ] {
            assert_eq!(of(&[autoscaler("a", namespace, &target)], &worker()), None, "{target}");
        }
    }

    #[test]
    fn of_kedas_the_scaled_object_is_named() {
        let mut keda = HorizontalPodAutoscaler::clone(&autoscaler("keda-hpa-orders", "shop", &deployment()));
        keda.metadata.owner_references = serde_json::from_value(json!([
            {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "orders", "uid": "u", "controller": true},
        ]))
        .unwrap();
        let found = of(&[Arc::new(keda)], &worker()).unwrap();
        assert_eq!(
            found.name,
            "ScaledObject shop/orders, by HorizontalPodAutoscaler shop/keda-hpa-orders,"
        );
    }

    #[test]
    fn a_status_is_no_news_and_another_target_is() {
        let before = autoscaler("a", "shop", &deployment());
        let mut after = HorizontalPodAutoscaler::clone(&before);
        after.status = serde_json::from_value(json!({"desiredReplicas": 3})).unwrap();
        assert_eq!(fingerprint(&before), fingerprint(&after));
        let elsewhere = autoscaler("a", "shop", &json!({"kind": "Deployment", "name": "web"}));
        assert_ne!(fingerprint(&before), fingerprint(&elsewhere));
    }
}
