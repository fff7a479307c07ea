//! Quarantine: a scale-in waits for tasks that outlast the grace period, with a pod less all the while.

use std::time::Duration;

use anyhow::{Context as _, Result};
use fleet_e2e::{
    bed::{self, Bed, none_cut_off},
    demo::scenario::LONG,
    fleet::{Fleet, operator, pods::QUARANTINED_LABEL, watch::PodWatch},
    load::{Stream, WorkerIdentity},
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::json;

const PATIENCE: Duration = Duration::from_mins(3);

#[tokio::test]
async fn a_task_longer_than_the_grace_outlives_the_scale_in_of_its_pod() -> Result<()> {
    let access = bed::cluster().await?;
    // Activities of 20 s, one at a time on each of two pods, which get 5 s to finish. The size is the test's; the autoscaler looks on, so
    // that the fleet's series are fresh.
    let change = json!({"spec": {
        "replicas": 2,
        "autoscaling": {"mode": "DryRun", "pollingIntervalSeconds": 5},
        "workerOptions": {"maxConcurrentActivities": 1, "gracefulShutdownSeconds": 5},
    }});
    let bed = Bed::new(access, "quarantine", &change).await?;
    bed.fleet
        .wait_replicas("two pods", PATIENCE, |replicas| replicas.ready == 2)
        .await?;
    let watch = PodWatch::start(&bed.fleet);
    let load = bed.load(Duration::from_secs(30));
    // Two each: whenever a pod ends one, the next one waits.
    load.burst("four", Stream::new(LONG, 0.0), 4);
    series(&bed, "temporal_fleet_worker_slots_used", ("slot_type", "Activity"), 2.0).await?;
    bed.fleet.patch(&json!({"spec": {"replicas": 1}})).await?;

    let (name, uid) = bed
        .fleet
        .wait(
            "a pod in quarantine, of which the fleet is the controller",
            PATIENCE,
            async || {
                let pods = bed.fleet.pods().await?;
                match pods.iter().find(|pod| is_kept(pod, &bed.fleet)) {
                    Some(pod) => Ok(Ok((pod.name_any(), pod.uid().unwrap_or_default()))),
                    None => Ok(Err(format!("{:?}", pods.iter().map(state).collect::<Vec<_>>()))),
                }
            },
        )
        .await?;
    bed.fleet
        .wait_replicas("one pod", PATIENCE, |replicas| {
            replicas.desired == 1 && replicas.ready == 1
        })
        .await?;
    series(&bed, "temporal_fleet_worker_pods", ("state", "Quarantined"), 1.0).await?;

    let started = load.finish().await;
    let records = bed.all_completed(&started, PATIENCE).await;
    none_cut_off(&records);
    let activities: Vec<_> = records.iter().flat_map(|each| &each.activities).collect();
    assert!(activities.iter().all(|each| each.attempt == 1), "{activities:?}");
    let last = activities
        .iter()
        .filter(|each| WorkerIdentity::parse(&each.worker).is_some_and(|identity| identity.uid == uid))
        .filter_map(|each| each.finished)
        .max()
        .context("no activity ran on the pod in quarantine")?;

    let life = bed
        .fleet
        .wait("the pod in quarantine to be gone", PATIENCE, async || {
            match watch.lives().into_iter().find(|life| life.uid == uid) {
                Some(life) if life.gone.is_some() => Ok(Ok(life)),
                other => Ok(Err(format!("{other:?}"))),
            }
        })
        .await?;
    assert!(life.exit_code.is_none_or(|code| code == 0), "{life:?}");
    assert!(
        life.end_asked.is_some_and(|asked| asked < last),
        "it was asked to go when it had nothing left to do, since {last}: {life:?}"
    );
    let staying: Vec<_> = watch
        .lives()
        .into_iter()
        .filter(|life| life.ready.is_some() && life.end_asked.is_none())
        .collect();
    assert_eq!(staying.len(), 1, "the other pod was not touched: {staying:?}");
    let events = bed.fleet.events().await?;
    assert!(
        events
            .iter()
            .any(|event| event.starts_with("PodQuarantined") && event.contains(&name)),
        "{events:?}"
    );
    bed.end().await
}

/// Waits until a series of the fleet has this value.
async fn series(bed: &Bed, metric: &str, label: (&str, &str), value: f64) -> Result<()> {
    bed.fleet
        .wait(&format!("{metric} to be {value}"), PATIENCE, async || {
            let scrape = operator::scrape(&bed.access).await?;
            let found = scrape.sum(metric, &[("worker", bed.fleet.name.as_str()), label]);
            if found == Some(value) {
                Ok(Ok(()))
            } else {
                Ok(Err(format!("{found:?}")))
            }
        })
        .await?;
    Ok(())
}

/// It carries the label of quarantine, and its one controller is the fleet.
fn is_kept(pod: &Pod, fleet: &Fleet) -> bool {
    let labelled = pod.labels().get(QUARANTINED_LABEL).is_some_and(|value| value == "true");
    let controllers: Vec<_> = pod
        .owner_references()
        .iter()
        .filter(|owner| owner.controller == Some(true))
        .map(|owner| (owner.kind.as_str(), owner.name.as_str()))
        .collect();
    labelled && controllers == [("TemporalWorker", fleet.name.as_str())]
}

/// What tells how far a pod is, for messages.
fn state(pod: &Pod) -> String {
    let owners: Vec<_> = pod.owner_references().iter().map(|owner| &owner.kind).collect();
    format!("{} {:?} {owners:?}", pod.name_any(), pod.labels())
}
