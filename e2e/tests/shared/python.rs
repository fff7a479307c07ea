//! A fleet of a Python image, which has no `WorkerControl`: it follows its load by its slots, and its pods end without cutting
//! off what they run. Needs the image of `make image-python`.

use std::time::Duration;

use anyhow::{Context as _, Result};
use fleet_e2e::{
    bed::{self, Bed, none_cut_off},
    demo::scenario::{DATA, LONG},
    fleet::{pods::PodLife, watch::PodWatch},
    image::python,
    load::{ActivityResult, Stream, WorkerIdentity, WorkflowRecord},
};
use serde_json::json;

const PATIENCE: Duration = Duration::from_mins(2);

/// Short windows, as in the demo: with the defaults nothing would shrink for minutes.
fn change() -> serde_json::Value {
    let policies = json!([{"type": "Percent", "value": 50, "periodSeconds": 15}]);
    let down = json!({"stabilizationWindowSeconds": 45, "policies": policies});
    json!({"spec": {"autoscaling": {"minReplicas": 1, "maxReplicas": 8, "behavior": {"scaleDown": down}}}})
}

#[tokio::test]
async fn a_python_fleet_follows_its_load_and_loses_no_task() -> Result<()> {
    let access = bed::cluster().await?;
    let bed = Bed::of(access, "examples/python", "python", &change())
        .await
        .with_context(|| {
            format!(
                "does the cluster have {}? `make image-python` writes it",
                python::REFERENCE
            )
        })?;
    let pods = PodWatch::start(&bed.fleet);
    let load = bed.load(Duration::from_mins(1));

    load.set("quiet", vec![Stream::new(DATA, 0.5)]);
    bed.fleet
        .wait_replicas("a pod for the quiet load", PATIENCE, |replicas| replicas.ready >= 1)
        .await?;
    // The slots are what the fleet is scaled by: somebody must know them.
    bed.fleet
        .wait("the pods' signals", PATIENCE, async || {
            let view = bed.fleet.view().await?;
            let active = view.and_then(|view| view.status.condition("ScalingActive").cloned());
            Ok(match active {
                Some(active) if active.status == "True" && active.message.contains("metrics port") => Ok(()),
                other => Err(format!("{other:?}")),
            })
        })
        .await?;

    // Twenty seconds each, four at a time in a pod: sixteen slots' worth. The short ones would fail in a backlog, within 30 s.
    load.set("step", vec![Stream::new(LONG, 0.8)]);
    bed.fleet
        .wait_replicas("at least three Ready pods", PATIENCE, |replicas| replicas.ready >= 3)
        .await?;
    // Ten tasks at a time, and two pods have eight slots: whoever goes now, one of them is busy, although idle pods go first.
    load.set("fall", vec![Stream::new(LONG, 0.5)]);
    bed.fleet
        .patch(&json!({"spec": {"autoscaling": {"maxReplicas": 2}}}))
        .await?;
    bed.fleet
        .wait_replicas("at most two pods", Duration::from_mins(3), |replicas| {
            replicas.desired <= 2
        })
        .await?;
    load.burst("end", Stream::new(DATA, 0.0), 2);
    let started = load.finish().await;
    let records = bed.all_completed(&started, PATIENCE).await;

    none_cut_off(&records);
    let lives = pods.lives();
    let witnesses = ended_in_the_middle(&records, &lives);
    assert!(
        !witnesses.is_empty(),
        "no pod ended while it ran an activity that completed at its first attempt: {lives:#?}"
    );
    bed.end().await
}

/// Pods whose end was asked for between start and end of an activity of theirs, which completed at its first attempt.
fn ended_in_the_middle(records: &[WorkflowRecord], lives: &[PodLife]) -> Vec<String> {
    let activities = records.iter().flat_map(|each| &each.activities);
    let witness = activities.filter_map(|activity| {
        let uid = WorkerIdentity::parse(&activity.worker)?.uid;
        let asked = lives.iter().find(|life| life.uid == uid)?.end_asked?;
        let whole = activity.result == ActivityResult::Completed && activity.attempt == 1;
        (whole && activity.started? < asked && asked < activity.finished?).then_some(uid)
    });
    witness.collect()
}
