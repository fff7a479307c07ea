//! What people do by hand to a fleet in use: its pods and its Deployment heal, and no task is lost.

use std::time::Duration;

use anyhow::{Context as _, Result};
use fleet_e2e::{
    bed::{self, Bed, none_cut_off},
    demo::scenario::LONG,
    fleet::{operator, watch::PodWatch},
    load::{Stream, WorkerIdentity},
};
use serde_json::json;

const PATIENCE: Duration = Duration::from_mins(2);

/// `kubectl delete pod` of a busy worker: its activity finishes first, at its first attempt.
#[tokio::test]
async fn a_busy_pod_that_is_deleted_finishes_its_activity() -> Result<()> {
    let access = bed::cluster().await?;
    let bed = Bed::new(
        access,
        "pod-delete",
        &json!({"spec": {"autoscaling": {"minReplicas": 1, "maxReplicas": 2}}}),
    )
    .await?;
    let pod = bed.fleet.pods().await?.into_iter().next().context("a pod")?;
    let (name, uid) = (
        pod.metadata.name.context("its name")?,
        pod.metadata.uid.context("its UID")?,
    );
    let watch = PodWatch::start(&bed.fleet);
    let load = bed.load(Duration::from_secs(30));
    load.burst("one", Stream::new(LONG, 0.0), 1);
    bed.fleet
        .wait("the pod to be busy", Duration::from_secs(30), async || {
            let scrape = operator::scrape(&bed.access).await?;
            let labels = [("worker", "pod-delete"), ("slot_type", "Activity")];
            let used = scrape.sum("temporal_fleet_worker_slots_used", &labels);
            if used.is_some_and(|used| used > 0.0) {
                Ok(Ok(()))
            } else {
                Ok(Err(format!("{used:?} slots used")))
            }
        })
        .await?;
    bed.access
        .kubectl(&["delete", "pod", &name, "-n", &bed.fleet.namespace, "--wait=false"])
        .await?;
    let started = load.finish().await;
    let records = bed.all_completed(&started, PATIENCE).await;
    none_cut_off(&records);
    let activity = records
        .iter()
        .flat_map(|each| &each.activities)
        .next()
        .context("the activity")?;
    assert_eq!(activity.attempt, 1);
    assert_eq!(
        WorkerIdentity::parse(&activity.worker).map(|each| each.uid),
        Some(uid.clone()),
        "it ran on the deleted pod"
    );
    bed.fleet
        .wait("the pod to be gone, cleanly", Duration::from_mins(1), async || {
            let life = watch.lives().into_iter().find(|life| life.uid == uid);
            match life {
                Some(life) if life.gone.is_some() => Ok(Ok(life)),
                other => Ok(Err(format!("{other:?}"))),
            }
        })
        .await
        .map(|life| assert!(life.exit_code.is_none_or(|code| code == 0), "{life:?}"))?;
    bed.end().await
}

/// `kubectl scale` and `kubectl edit` on the owned Deployment: repaired once, and then quiet.
#[tokio::test]
async fn changes_by_hand_are_repaired_without_ping_pong() -> Result<()> {
    let access = bed::cluster().await?;
    let bed = Bed::new(
        access,
        "drift",
        &json!({"spec": {"autoscaling": {"minReplicas": 1, "maxReplicas": 3}}}),
    )
    .await?;
    bed.fleet
        .wait_replicas("one pod", PATIENCE, |replicas| {
            replicas.desired == 1 && replicas.ready == 1
        })
        .await?;
    let name = bed
        .fleet
        .deployment()
        .await?
        .and_then(|each| each.metadata.name)
        .context("the Deployment")?;
    let namespace = bed.fleet.namespace.clone();

    bed.access
        .kubectl(&["scale", "deployment", &name, "-n", &namespace, "--replicas=5"])
        .await?;
    bed.fleet
        .wait_replicas("the size to be repaired", PATIENCE, |replicas| replicas.desired == 1)
        .await?;

    let edit =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "worker", "image": "localhost/edited:1"}]}}}});
    bed.access
        .kubectl(&["patch", "deployment", &name, "-n", &namespace, "-p", &edit.to_string()])
        .await?;
    let image = async || -> Result<Option<String>, fleet_e2e::fleet::Error> {
        let deployment = bed.fleet.deployment().await?;
        let pod = deployment
            .and_then(|each| each.spec)
            .and_then(|spec| spec.template.spec);
        Ok(pod
            .and_then(|pod| pod.containers.into_iter().find(|each| each.name == "worker"))
            .and_then(|each| each.image))
    };
    bed.fleet
        .wait("the image to be repaired", PATIENCE, async || match image().await? {
            Some(image) if image != "localhost/edited:1" => Ok(Ok(())),
            other => Ok(Err(format!("{other:?}"))),
        })
        .await?;
    bed.fleet
        .wait_replicas("one pod again", PATIENCE, |replicas| {
            replicas.desired == 1 && replicas.ready == 1
        })
        .await?;

    // Quiet: nobody writes the spec any more, over several passes of the operator.
    let generation = async || {
        bed.fleet
            .deployment()
            .await
            .map(|each| each.and_then(|each| each.metadata.generation))
    };
    let settled = generation().await?;
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(
        generation().await?,
        settled,
        "the spec of the Deployment is still being written"
    );
    bed.end().await
}
