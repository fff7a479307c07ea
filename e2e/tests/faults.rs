//! Faults under load on the real parts: nothing is lost, nothing is scaled wrongly, everything recovers by itself.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use fleet_e2e::{
    bed::{self, Bed, none_cut_off},
    cluster::{self, Layout},
    demo::scenario::DATA,
    fleet::{
        access::Access,
        operator,
        sizes::{SizeWatch, reversals},
        watch::PodWatch,
    },
    load::{Stream, plan::Gaps},
    program,
};
use serde_json::json;
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_mins(2);

/// Temporal goes away under load: the fleet is held as it is, and every workflow completes afterwards. A fleet beside it whose owner
/// wrote a fallback gets that size, and no pod of it is given up before the server is back.
async fn temporal_away(test: &str, away: Duration) -> Result<()> {
    let access = bed::cluster().await?;
    let bed = Bed::new(access, test, &json!({"spec": {"autoscaling": {"minReplicas": 1}}})).await?;
    let fallback = json!({"policy": "AtLeast", "replicas": 3, "failureThreshold": 2});
    let change =
        json!({"spec": {"autoscaling": {"minReplicas": 1, "pollingIntervalSeconds": 10, "fallback": fallback}}});
    let beside = Bed::new(bed.access.clone(), &format!("{test}-fallback"), &change).await?;
    let load = bed.load(away + Duration::from_mins(3));
    load.set("before", vec![Stream::new(DATA, 6.0)]);
    bed.fleet
        .wait_replicas("a larger fleet", PATIENCE, |replicas| replicas.ready >= 3)
        .await?;

    let server = Server::of(&bed).await?;
    let (pods, sizes) = (PodWatch::start(&bed.fleet), SizeWatch::start(&bed.fleet));
    load.set("away", vec![Stream::new(DATA, 2.0)]);
    server.scale(&bed.access, 0).await?;
    let begun = Instant::now();
    // What is not as it should be is told when Temporal is back: the tests after this one need it.
    let fallback = fallback_counts(&beside).await;
    let said = bed
        .fleet
        .wait_view("the outage to be said", Duration::from_mins(1), |view| {
            !view.status.is_true("ConnectionReady", None) && !view.status.is_true("ScalingActive", None)
        })
        .await;
    tokio::time::sleep_until(begun + away).await;
    let during = sizes.sizes();
    let ended = pods.lives().into_iter().filter(|life| life.end_asked.is_some()).count();
    let restarts: u32 = pods.lives().iter().map(|life| life.restarts).sum();
    server.scale(&bed.access, 1).await?;
    fallback?;
    let view = said.context("no condition spoke of the outage")?;
    assert!(
        view.status
            .condition("ConnectionReady")
            .is_some_and(|each| each.reason == "Unreachable"),
        "{}",
        view.conditions()
    );
    assert!(
        during.windows(2).all(|pair| pair[1].replicas >= pair[0].replicas),
        "scaled in while blind: {during:?}"
    );
    assert_eq!((ended, restarts), (0, 0), "workers were touched during the outage");

    bed.fleet
        .wait_view("the connection to be back", Duration::from_secs(90), |view| {
            view.status.is_true("ConnectionReady", None) && view.status.is_true("ScalingActive", None)
        })
        .await?;
    beside
        .fleet
        .wait_replicas("the size of an idle fleet again", Duration::from_mins(3), |replicas| {
            replicas.desired == 1
        })
        .await?;
    beside.end().await?;
    load.set("after", vec![Stream::new(DATA, 1.0)]);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let started = load.finish().await;
    assert!(started.iter().all(|each| each.run_id.is_some()), "a start was lost");
    bed.all_completed(&started, Duration::from_mins(4)).await;
    bed.end().await
}

/// Waits for the fallback's size, and for the words that say why.
async fn fallback_counts(bed: &Bed) -> Result<()> {
    bed.fleet
        .wait_replicas("the fallback's size", Duration::from_mins(1), |replicas| {
            replicas.desired == 3
        })
        .await?;
    let view = bed
        .fleet
        .wait_view("the fallback to be said", Duration::from_secs(30), |view| {
            view.status
                .condition("ScalingActive")
                .is_some_and(|each| each.reason == "FallbackActive")
        })
        .await?;
    let last = view.status.last_decision().context("no decision")?;
    anyhow::ensure!((last.reason.as_str(), last.to) == ("Fallback", 3), "{last:?}");
    Ok(())
}

/// The Deployment behind Temporal's Service.
struct Server {
    namespace: String,
    deployment: String,
}

impl Server {
    async fn of(bed: &Bed) -> Result<Self> {
        let host = bed.address.split(':').next().unwrap_or_default();
        let namespace = host
            .split('.')
            .nth(1)
            .context("Temporal's address names no Kubernetes namespace")?
            .to_owned();
        let list = bed
            .access
            .kubectl(&["get", "deployments", "-n", &namespace, "-o", "name"])
            .await?;
        let deployment = list
            .lines()
            .find(|name| name.contains("temporal"))
            .context("no Deployment of Temporal")?;
        Ok(Self {
            namespace,
            deployment: deployment.to_owned(),
        })
    }

    async fn scale(&self, access: &Access, replicas: u32) -> Result<()> {
        let count = format!("--replicas={replicas}");
        access
            .kubectl(&["scale", &self.deployment, "-n", &self.namespace, &count])
            .await?;
        if replicas > 0 {
            access
                .kubectl(&[
                    "rollout",
                    "status",
                    &self.deployment,
                    "-n",
                    &self.namespace,
                    "--timeout=2m",
                ])
                .await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn temporal_away_for_90_seconds_under_load() -> Result<()> {
    temporal_away("away", Duration::from_secs(90)).await
}

#[tokio::test]
#[ignore = "five minutes of outage: make test-faults"]
async fn temporal_away_for_5_minutes_under_load() -> Result<()> {
    temporal_away("away-long", Duration::from_mins(5)).await
}

/// The operator dies at 20 seeded moments while it scales: no size is wrong, no task is lost.
#[tokio::test]
async fn the_operator_killed_at_20_moments_during_scaling() -> Result<()> {
    let access = Access::open(None).await?;
    // A short lease, so that each successor leads soon; the moments of death are what is tested, not the waiting.
    let quick = [
        "leaderElection.leaseDuration=3s",
        "leaderElection.renewDeadline=2s",
        "leaderElection.retryPeriod=500ms",
    ];
    let recordings = Recordings::new(&access)?;
    let mounted = recordings.settings();
    let settings: Vec<&str> = quick.into_iter().chain(mounted.iter().map(String::as_str)).collect();
    operator::install(&access, &bed::image(&access), &settings).await?;
    let bed = Bed::new(
        access,
        "kills",
        &json!({"spec": {"autoscaling": {"minReplicas": 1, "maxReplicas": 8}}}),
    )
    .await?;
    let sizes = SizeWatch::start(&bed.fleet);
    let load = bed.load(Duration::from_mins(2));
    let mut moments = Gaps::new(20);
    // Out for ten deaths, then in for ten.
    for (phase, rate) in [("out", 8.0), ("in", 0.5)] {
        load.set(phase, vec![Stream::new(DATA, rate)]);
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs_f64(1.0 + 5.0 * moments.next_unit())).await;
            let kill = [
                "delete",
                "pods",
                "-n",
                operator::NAMESPACE,
                "-l",
                operator::SELECTOR,
                "--grace-period=0",
                "--force",
            ];
            bed.access.kubectl(&kill).await?;
        }
        if phase == "out" {
            bed.fleet
                .wait_replicas("the size that the load needs", PATIENCE, |replicas| replicas.ready >= 4)
                .await?;
        }
    }
    bed.fleet
        .wait_replicas("a small fleet", Duration::from_mins(4), |replicas| {
            replicas.desired <= 2
        })
        .await?;
    let started = load.finish().await;
    let records = bed.all_completed(&started, PATIENCE).await;
    none_cut_off(&records);

    let sizes = sizes.sizes();
    assert!(
        sizes.iter().all(|size| (1..=8).contains(&size.replicas)),
        "out of bounds: {sizes:?}"
    );
    assert!(
        reversals(&sizes) <= 1,
        "out once and in once, not to and fro: {sizes:?}"
    );
    // Back to the leases that everyone has.
    operator::install(&bed.access, &bed::image(&bed.access), &[]).await?;
    recordings.replay(&bed).await?;
    bed.end().await
}

/// A directory of the node, which is this machine, that the operator writes its recordings to.
struct Recordings(Option<tempfile::TempDir>);

impl Recordings {
    /// On a cluster elsewhere there is no such directory, and nothing is recorded.
    fn new(access: &Access) -> Result<Self> {
        if !access.is_local() {
            return Ok(Self(None));
        }
        let directory = tempfile::tempdir()?;
        // The operator is not root.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777))?;
        Ok(Self(Some(directory)))
    }

    /// As the chart wants it.
    fn settings(&self) -> Vec<String> {
        let Some(directory) = &self.0 else {
            return Vec::new();
        };
        vec![
            "recordDir=/recordings".to_owned(),
            "extraVolumes[0].name=recordings".to_owned(),
            format!("extraVolumes[0].hostPath.path={}", directory.path().display()),
            "extraVolumeMounts[0].name=recordings".to_owned(),
            "extraVolumeMounts[0].mountPath=/recordings".to_owned(),
        ]
    }

    /// Demands that each decision is made again, to the bit, by this build: another than the operator's image, for another target.
    async fn replay(&self, bed: &Bed) -> Result<()> {
        let Some(directory) = &self.0 else {
            return Ok(());
        };
        let file = format!("{}.{}.jsonl", bed.fleet.namespace, bed.fleet.name);
        let path = directory.path().join(file);
        let lines = fs::read_to_string(&path)
            .context("the operator wrote no recording")?
            .lines()
            .count();
        assert!(lines > 20, "{lines} decisions only");
        let said = program::run("fleet-sim", &["replay", &path.display().to_string()], &[]).await?;
        assert!(said.contains(&format!("{lines} decisions")), "{said}");
        Ok(())
    }
}

/// The API server crashes under load: workers go on, and the operator scales again soon after its restart.
#[tokio::test]
async fn the_api_server_crashes_under_load() -> Result<()> {
    let access = bed::cluster().await?;
    anyhow::ensure!(
        access.is_local(),
        "restarting an API server needs the local cluster: make cluster-up, without KUBECONFIG"
    );
    let bed = Bed::new(
        access,
        "apiserver",
        &json!({"spec": {"autoscaling": {"minReplicas": 1}}}),
    )
    .await?;
    let load = bed.load(Duration::from_mins(2));
    load.set("before", vec![Stream::new(DATA, 1.0)]);
    let layout = Layout::of_user()?;
    let process = async || {
        let components = cluster::status(&layout).await.components;
        components
            .into_iter()
            .find_map(|(name, state)| (name == "kube-apiserver").then_some(state.ok()).flatten())
    };
    let pid = process().await.context("the API server's process")?.to_string();
    // A crash, the harsher of the two ends: no watch is closed in an orderly way.
    let stopped = tokio::process::Command::new("kill")
        .args(["-KILL", &pid])
        .status()
        .await?;
    anyhow::ensure!(stopped.success(), "kill -KILL {pid}");
    load.set("step", vec![Stream::new(DATA, 8.0)]);
    let gone = Instant::now() + Duration::from_secs(10);
    while process().await.is_some() {
        anyhow::ensure!(Instant::now() < gone, "the API server did not end");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    cluster::up(&layout, Path::new(env!("CARGO_BIN_EXE_local-cluster")), |_, _| {}).await?;
    bed.fleet
        .wait_replicas("the fleet to grow after the restart", PATIENCE, |replicas| {
            replicas.ready >= 3
        })
        .await?;
    let started = load.finish().await;
    let records = bed.all_completed(&started, PATIENCE).await;
    none_cut_off(&records);
    bed.end().await
}
