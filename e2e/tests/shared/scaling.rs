//! The loop, end to end: install by Helm, apply a fleet, load it, watch it scale out, in, to zero and back, delete it.

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use fleet_e2e::{
    bed::{self, Bed, none_cut_off},
    clock,
    demo::{
        self,
        scenario::{DATA, LONG},
    },
    fleet::{Access, metrics::documented, operator, temporal, watch::PodWatch},
    image::catalog,
    load::{Outcome, Stream, TemporalClient, WorkerIdentity, audit::audit},
};
use kube::ResourceExt;
use serde_json::json;

const PATIENCE: Duration = Duration::from_mins(2);

#[tokio::test]
async fn a_fleet_follows_its_load_and_loses_no_task() -> Result<()> {
    let access = bed::cluster().await?;
    let bed = Bed::new(access, "loop", &json!({})).await?;
    let pods = PodWatch::start(&bed.fleet);
    let load = bed.load(Duration::from_mins(1));

    load.set("quiet", vec![Stream::new(DATA, 1.0)]);
    bed.fleet
        .wait_replicas("a pod for the quiet load", PATIENCE, |replicas| replicas.ready >= 1)
        .await?;
    load.set("step", vec![Stream::new(DATA, 9.0)]);
    let out = bed
        .fleet
        .wait_replicas("at least four Ready pods", PATIENCE, |replicas| replicas.ready >= 4)
        .await?;

    // Long activities keep every pod busy while the fleet shrinks.
    load.set("fall", vec![Stream::new(DATA, 0.5), Stream::new(LONG, 0.25)]);
    load.burst("fall", Stream::new(LONG, 0.0), 6);
    bed.fleet
        .wait_replicas("a scale-in", PATIENCE, |replicas| replicas.desired < out.desired)
        .await?;
    load.set("none", vec![]);
    bed.fleet
        .wait_replicas("zero", Duration::from_mins(4), |replicas| {
            replicas.desired == 0 && replicas.ready == 0
        })
        .await?;
    let view = bed.fleet.wait_ready(PATIENCE).await?;
    let ready = view.status.condition("Ready").map(|each| each.reason.clone());
    assert_eq!(ready.as_deref(), Some("ScaledToZero"), "an idle fleet is Ready");

    load.burst("back", Stream::new(DATA, 0.0), 3);
    bed.fleet
        .wait_replicas("a pod after zero", PATIENCE, |replicas| replicas.ready >= 1)
        .await?;
    let started = load.finish().await;
    let records = bed.all_completed(&started, PATIENCE).await;
    none_cut_off(&records);

    let decisions = bed.fleet.wait_ready(PATIENCE).await?.status.autoscaling.decisions;
    assert!(decisions.len() <= 10, "status keeps the last ten: {}", decisions.len());
    assert!(
        decisions.iter().all(|each| each.message.contains("->")),
        "arithmetic in each: {decisions:?}"
    );
    let ended: Vec<_> = pods
        .lives()
        .into_iter()
        .filter(|life| life.end_asked.is_some() && life.gone.is_some())
        .collect();
    assert!(!ended.is_empty(), "no pod was scaled in");
    let identities = records
        .iter()
        .flat_map(|each| &each.activities)
        .map(|each| WorkerIdentity::parse(&each.worker));
    assert!(
        identities
            .into_iter()
            .all(|identity| identity.is_some_and(|each| each.namespace == bed.fleet.namespace)),
        "identities"
    );
    bed.end().await
}

/// What pods hold is measured on them, and told from what their tasks hold.
#[tokio::test]
async fn a_memory_target_knows_what_real_pods_hold() -> Result<()> {
    let access = bed::cluster().await?;
    // A worker holds more than a tenth of its 128 MiB as soon as it runs, so that the words about it are due.
    let change =
        json!({"spec": {"autoscaling": {"minReplicas": 1, "targets": {"memoryUtilization": {"percent": 10}}}}});
    let bed = Bed::new(access, "memory", &change).await?;
    let load = bed.load(Duration::from_mins(1));
    load.set("steady", vec![Stream::new(DATA, 0.5)]);
    let view = bed
        .fleet
        .wait_view("what an idle pod holds", Duration::from_mins(3), |view| {
            let mut lines = view.status.autoscaling.arithmetic.iter();
            lines.any(|each| each.text.starts_with("MemoryUtilization") && each.text.contains("an idle pod holds"))
        })
        .await?;
    let targets = &view.status.autoscaling.targets;
    let target = targets.iter().find(|each| each.kind == "MemoryUtilization");
    assert!(
        target.is_some_and(|each| each.current.ends_with('%') && each.target == "10%"),
        "{targets:?}"
    );
    bed.all_completed(&load.finish().await, PATIENCE).await;
    bed.end().await
}

#[tokio::test]
async fn deleting_a_fleet_takes_everything_of_it_along() -> Result<()> {
    let access = bed::cluster().await?;
    let bed = Bed::new(access, "delete", &json!({"spec": {"autoscaling": {"minReplicas": 1}}})).await?;
    bed.fleet
        .wait_replicas("a pod", PATIENCE, |replicas| replicas.ready >= 1)
        .await?;
    let kinds = "deployments,replicasets,pods,poddisruptionbudgets,secrets";
    let list = ["get", kinds, "-n", &bed.fleet.namespace, "-o", "name"];
    let before = bed.access.kubectl(&list).await?;
    for kind in ["deployment", "poddisruptionbudget", "secret", "pod/"] {
        assert!(before.contains(kind), "no {kind} in {before}");
    }
    bed.fleet.delete(PATIENCE).await?;
    bed.fleet
        .wait("nothing to be left", PATIENCE, async || {
            let left = bed.access.kubectl(&list).await?;
            if left.trim().is_empty() {
                Ok(Ok(()))
            } else {
                Ok(Err(left))
            }
        })
        .await?;
    bed.end().await
}

/// As against a cluster whose Service addresses lead nowhere from here. Needs no operator.
#[tokio::test]
async fn temporal_is_reached_through_the_api_server() -> Result<()> {
    let access = Access::open(None).await?;
    let (_, address) = bed::manifest_of("forward", "default", "forward", &json!({}))?;
    let way = temporal::forward(&access, &address, "default").await?;
    assert!(way.is_forwarded());
    let client = TemporalClient::connect(&way.address, "default", Duration::from_secs(30)).await?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    // Nobody polls this queue: the workflow stays open until it is terminated.
    let id = format!("forward-{}", clock::now().as_millisecond());
    let run = client.start(&id, DATA, &id, &json!("x"), deadline).await?;
    let again = client.start(&id, DATA, &id, &json!("x"), deadline).await?;
    assert_eq!(run, again, "a start that is repeated is one start");
    let outcome = async || -> Result<Outcome> {
        let events = client.history(&id, &run, false, deadline).await?;
        Ok(audit(&id, DATA, "", &events).outcome)
    };
    assert_eq!(outcome().await?, Outcome::Open);
    client.terminate(&id, &run, "the test is over").await?;
    assert_eq!(outcome().await?, Outcome::Terminated);
    client.terminate(&id, &run, "again").await?;
    Ok(())
}

/// Metrics that a quiet fleet need not have: something has to happen first, or to be configured.
const AFTER_SOMETHING: [&str; 9] = [
    "controller_runtime_reconcile_errors_total",
    "temporal_fleet_connection_certificate_expiration_timestamp_seconds",
    "temporal_fleet_connection_ready",
    "temporal_fleet_worker_drains_total",
    "temporal_fleet_worker_drain_duration_seconds",
    "temporal_fleet_autoscaler_decisions_total",
    "temporal_fleet_autoscaler_offered_load",
    "temporal_fleet_autoscaler_signal_errors_total",
    "temporal_fleet_task_queue_schedule_to_start_p99_seconds",
];

/// The operator's own metrics are there, read as a scrape, and are those of the reference page.
#[tokio::test]
async fn the_operator_tells_about_its_fleets() -> Result<()> {
    let access = bed::cluster().await?;
    let bed = Bed::new(access, "metrics", &json!({"spec": {"autoscaling": {"minReplicas": 1}}})).await?;
    let page = std::fs::read_to_string(catalog::source_tree().join("docs/reference/metrics.md"))?;
    let promised = documented(&page);
    // The series of a fleet come with its first decision, those of its load with the first rates after it.
    let shape = bed
        .fleet
        .wait("every promised series", PATIENCE, async || {
            let scrape = operator::scrape(&bed.access).await?;
            let labels = [
                ("worker_namespace", bed.fleet.namespace.as_str()),
                ("worker", "metrics"),
            ];
            let desired = scrape.sum("temporal_fleet_worker_replicas_desired", &labels);
            let slots = scrape.sum(
                "temporal_fleet_worker_slots_limit",
                &[labels[0], labels[1], ("slot_type", "Activity")],
            );
            let shape = scrape.shape();
            let absent = |name: &&String| !shape.contains_key(*name) && !AFTER_SOMETHING.contains(&name.as_str());
            let absent: Vec<_> = promised.keys().filter(absent).collect();
            if desired == Some(1.0) && slots == Some(4.0) && absent.is_empty() {
                Ok(Ok(shape))
            } else {
                Ok(Err(format!("size {desired:?}, slots {slots:?}, absent {absent:?}")))
            }
        })
        .await?;
    for (name, labels) in &shape {
        assert_eq!(
            promised.get(name),
            Some(labels),
            "{name} is not as docs/reference/metrics.md says"
        );
    }
    bed.end().await
}

/// An image built anew has the tag of the one before: a cluster that stays up must not go on with the old operator.
#[tokio::test]
async fn the_operator_that_runs_is_the_one_that_was_built() -> Result<()> {
    let access = bed::cluster().await?;
    // Elsewhere somebody else brought the image there, and there is no archive to compare with.
    if access.is_local() {
        let archive = catalog::target_dir().join("images/operator.tar");
        let built = fleet_e2e::image::inspect(&archive)?.digest;
        let pods = operator::pods(&access).await?;
        assert!(!pods.is_empty());
        for pod in pods {
            assert_eq!(pod.annotations().get("temporal-fleet.dev/image"), Some(&built));
        }
    }
    Ok(())
}

/// A test of the demo itself: without the autoscaler it must not pass.
#[tokio::test]
async fn the_demo_fails_with_the_autoscaler_off() -> Result<()> {
    bed::cluster().await?;
    let output = tempfile::tempdir()?;
    let folder = output.path().display().to_string();
    let args = [
        "demo",
        "--no-install",
        "--autoscaler-off",
        "--keep=false",
        "--plain",
        "--output",
        folder.as_str(),
    ];
    let verdict = demo::run::run(demo::args::Args::try_parse_from(args)?).await?;
    assert!(!verdict.passed(), "{:#?}", verdict.checks);
    let grown = verdict
        .checks
        .iter()
        .find(|check| check.name.contains("pods were Ready"));
    assert!(grown.is_some_and(|check| !check.passed), "{:#?}", verdict.checks);
    let summary: serde_json::Value = serde_json::from_slice(&std::fs::read(output.path().join("summary.json"))?)?;
    assert_eq!(summary["verdict"], "fail");
    Ok(())
}
