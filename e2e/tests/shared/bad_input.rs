//! Wrong specs on the real parts: each fleet says what is wrong with it in a condition, and the operator stays calm.

use std::time::Duration;

use anyhow::Result;
use fleet_e2e::{
    bed::{self, cluster, fresh_namespace, manifest_of},
    fleet::{Fleet, handle::FleetView, operator::OperatorImage},
};
use serde_json::{Value, json};

/// A fleet that cannot work, and the reasons that name why; one of them must show.
struct Bad {
    name: &'static str,
    change: Value,
    reasons: &'static [&'static str],
}

fn connection(change: &Value) -> Value {
    json!({"spec": {"autoscaling": {"minReplicas": 1}, "connection": change}})
}

fn with_image(image: &str) -> Value {
    json!({"spec": {"image": image, "autoscaling": {"minReplicas": 1}}})
}

fn bad_fleets() -> Vec<Bad> {
    let crash = OperatorImage::default();
    // Starts, finds no API server it may talk to, and exits: a crash loop without any image of its own.
    let crashing = format!("{}:{}", crash.repository, crash.tag);
    let tls = |secret: &str, key: &str| json!({"tls": {"caSecretRef": {"name": secret, "key": key}}});
    let bad = |name, change, reasons| Bad { name, change, reasons };
    vec![
        bad(
            "wrong-address",
            connection(&json!({"address": "nobody.temporal.svc.cluster.local:7233"})),
            &["Unreachable"],
        ),
        bad(
            "refused-address",
            connection(&json!({"address": "temporal-frontend.temporal.svc.cluster.local:7999"})),
            &["Unreachable"],
        ),
        bad(
            "wrong-temporal-namespace",
            json!({"spec": {"temporalNamespace": "nowhere", "autoscaling": {"minReplicas": 1}}}),
            &["TemporalNamespaceNotFound"],
        ),
        bad(
            "missing-secret",
            connection(&tls("absent", "ca.crt")),
            &["SecretNotFound"],
        ),
        bad(
            "missing-key",
            connection(&tls("broken", "absent.crt")),
            &["SecretInvalid"],
        ),
        bad("bad-pem", connection(&tls("broken", "ca.crt")), &["SecretInvalid"]),
        bad(
            "no-such-image",
            with_image("localhost/no-such-image:1"),
            &["ImagePullFailed"],
        ),
        bad("crashing-image", with_image(&crashing), &["CrashLooping"]),
    ]
}

fn shows(view: &FleetView, reasons: &[&str]) -> bool {
    view.status
        .conditions
        .iter()
        .any(|each| reasons.contains(&each.reason.as_str()) && !each.message.is_empty())
}

#[tokio::test]
async fn every_mistake_is_named_and_mended_by_its_own_cure() -> Result<()> {
    let access = cluster().await?;
    let namespace = fresh_namespace(&access, "bad-input").await?;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "broken", "namespace": namespace},
                        "stringData": {"ca.crt": "-----BEGIN CERTIFICATE-----\nnot base64\n-----END CERTIFICATE-----\n"}});
    let mut objects = vec![secret];
    let cases = bad_fleets();
    for case in &cases {
        // A queue each: two fleets on one queue would be a mistake of another kind.
        objects.push(manifest_of(case.name, &namespace, case.name, &case.change)?.0);
    }
    access.apply(&objects).await?;
    for Bad { name, reasons, .. } in &cases {
        let fleet = Fleet::named(&access, &namespace, name);
        let what = format!("{name} to say {reasons:?}");
        let view = fleet
            .wait_view(&what, Duration::from_mins(3), |view| shows(view, reasons))
            .await?;
        assert!(!view.is_ready(), "{name} cannot be Ready: {}", view.conditions());
    }

    // One operator has looked at all of them and is alive: a right fleet among the wrong ones becomes Ready.
    let (right, _) = manifest_of(
        "right",
        &namespace,
        "right",
        &json!({"spec": {"autoscaling": {"minReplicas": 1}}}),
    )?;
    access.apply(&[right]).await?;
    Fleet::named(&access, &namespace, "right")
        .wait_ready(bed::READY)
        .await?;

    // The cure of each kind: the address of an unreachable fleet, the image of one that cannot be pulled.
    let (_, address) = manifest_of("x", &namespace, "x", &json!({}))?;
    let reachable = Fleet::named(&access, &namespace, "wrong-address");
    reachable
        .patch(&json!({"spec": {"connection": {"address": address}}}))
        .await?;
    let (model, _) = manifest_of("x", &namespace, "x", &json!({}))?;
    let pullable = Fleet::named(&access, &namespace, "no-such-image");
    pullable
        .patch(&json!({"spec": {"image": model["spec"]["image"]}}))
        .await?;
    for fleet in [&reachable, &pullable] {
        let view = fleet.wait_ready(Duration::from_mins(3)).await?;
        assert!(!view.status.is_true("Stalled", None), "{}", view.conditions());
    }

    for Bad { name, .. } in &cases {
        Fleet::named(&access, &namespace, name)
            .delete(Duration::from_mins(2))
            .await?;
    }
    Fleet::named(&access, &namespace, "right")
        .delete(Duration::from_mins(2))
        .await?;
    access
        .kubectl(&["delete", "namespace", &namespace, "--wait=false"])
        .await?;
    Ok(())
}

/// Mistakes that the schema knows are refused at once, with the numbers.
#[tokio::test]
async fn a_grace_period_too_short_and_a_tuner_below_the_fleets_target_are_refused_at_apply() -> Result<()> {
    let access = cluster().await?;
    let namespace = fresh_namespace(&access, "refused").await?;
    // 40 s of graceful shutdown do not fit into 45 s; a pod that stops at 85 % CPU never lets the fleet grow beyond 80 %.
    let tuner = json!({"resourceBased": {"targetCpuPercent": 85}});
    for (change, number) in [
        (
            json!({"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 45}}}}),
            "20",
        ),
        (json!({"spec": {"workerOptions": {"tuner": tuner}}}), "at least 90"),
    ] {
        let (manifest, _) = manifest_of("refused", &namespace, "refused", &change)?;
        let refusal = access.apply(&[manifest]).await.expect_err("refused").to_string();
        assert!(refusal.contains(number), "the rule is named with its number: {refusal}");
    }
    access
        .kubectl(&["delete", "namespace", &namespace, "--wait=false"])
        .await?;
    Ok(())
}
