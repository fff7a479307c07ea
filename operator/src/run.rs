//! Wiring, and the order of the end: not ready, controllers stop, passes in flight end, then the lease goes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fleet_temporal::{AddressPolicy, Client as TemporalClient, ClientSettings, Observatory, Settings, system_clock};
use futures::channel::mpsc;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::args::{Args, LeaderArgs, LimitsArgs, RecordingArgs, ServerArgs};
use crate::backoff::Backoff;
use crate::context::{Context, Fleets};
use crate::controllers::drive;
use crate::drains;
use crate::health::Health;
use crate::k8s::events::Publisher;
use crate::k8s::{Cluster, Writes, client};
use crate::leader::{Elector, KubeLease, Leadership, Timing, random_identity};
use crate::metered::Metered;
use crate::metrics::Metrics;
use crate::recorder::Recorder;
use crate::secrets::Secrets;
use crate::serve;
use crate::signals::resources::PodResources;
use crate::signals::sources::Sources;
use crate::stores::Stores;
use crate::temporal::Watching;
use crate::watches::{self, Feeds};

/// How long passes in flight may take at the end.
const LAST_PASSES: Duration = Duration::from_secs(15);

/// The server's default request limit of a Temporal namespace and frontend [requests/s].
const TEMPORAL_NAMESPACE_RPS: f64 = 2400.0;

/// The clock of this machine: read once per pass, in its observation.
#[expect(clippy::disallowed_methods, reason = "the one clock of the operator")]
fn clock() -> Timestamp {
    Timestamp::now()
}

/// Runs the operator until SIGTERM or SIGINT; a second signal ends it at once.
#[expect(
    clippy::too_many_lines,
    reason = "wiring: it reads from top to bottom, in the order of start and end"
)]
pub async fn run(args: Args) -> anyhow::Result<()> {
    let Args {
        server,
        leader,
        limits,
        telemetry: _,
        recording: RecordingArgs { record_dir },
    } = args;
    let recorder = record_dir.map(Recorder::start).transpose()?;
    let metrics = Metrics::new()?;
    let health = Arc::new(Health::default());
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();

    supervise(
        &tasks,
        &stop,
        "the health server",
        serve::health(server.health_port, Arc::clone(&health)),
    );
    supervise(
        &tasks,
        &stop,
        "the metrics server",
        serve::metrics(server.metrics_port, metrics.clone(), Arc::clone(&health)),
    );
    tokio::spawn(signals(stop.clone()));

    let (seen, watched) = (metrics.clone(), Arc::clone(&health));
    let client = client::connect(Arc::new(move |answer: &client::Answered| {
        seen.rest(answer.method, answer.code);
        if matches!(answer.method, "WATCH" | "GET") {
            watched.answered(&answer.path, answer.method == "WATCH", answer.code);
        }
    }))
    .await
    .context("no API server is configured")?;
    let LimitsArgs {
        concurrency,
        temporal_request_budget_percent,
        temporal_allow_loopback,
        crash_after_writes,
    } = limits;
    let cluster = Cluster::new(client.clone(), Writes::new(crash_after_writes));

    let release = CancellationToken::new();
    let (mut leadership, elector) = lead(&leader, &client, &release)?;
    let lost = elector.map(|elector| tokio::spawn(elector));
    let lease = leader.lease_name.clone();
    metrics.leads(&lease, false);

    let (fleets, fleet_feed) = mpsc::unbounded();
    let (gone, gone_feed) = mpsc::unbounded();
    let (drained, drain_feed) = mpsc::unbounded();
    let (connections, connection_feed) = mpsc::unbounded();
    let feeds = Feeds {
        fleets: fleets.clone(),
        gone,
        drains: drained,
        connections,
    };
    let ServerArgs {
        watch_namespaces,
        watch_label_selector,
        instance,
        ..
    } = server;
    let scopes: Vec<Option<&str>> = if watch_namespaces.is_empty() {
        vec![None]
    } else {
        watch_namespaces.iter().map(|name| Some(name.as_str())).collect()
    };
    let mut all_stores = Vec::new();
    let filled = tokio::sync::watch::Sender::new(0_usize);
    health.watching(
        scopes
            .iter()
            .map(|scope| format!("the objects of {}", scope.unwrap_or("all namespaces")))
            .collect(),
    );
    for scope in &scopes {
        let (stores, watches) = watches::scope(&client, *scope, watch_label_selector.as_deref(), &feeds);
        for watch in watches {
            supervise(&tasks, &stop, "a watch", async move {
                watch.await;
                Ok(())
            });
        }
        // One waiter only: a store wakes the last one that asked.
        let (health, waiting, is_filled) = (Arc::clone(&health), stores.clone(), filled.clone());
        let name = format!("the objects of {}", scope.unwrap_or("all namespaces"));
        tokio::spawn(async move {
            if fill(&waiting).await {
                health.filled(&name);
                is_filled.send_modify(|count| *count += 1);
            }
        });
        all_stores.push(stores);
    }

    let resources = Arc::new(PodResources::default());
    let (reader, namespaces, metrics_client) = (Arc::clone(&resources), watch_namespaces.clone(), client.clone());
    tokio::spawn(async move { reader.run(metrics_client, &namespaces).await });

    let settings = ClientSettings {
        addresses: AddressPolicy {
            allow_loopback: temporal_allow_loopback,
            ..AddressPolicy::default()
        },
        ..ClientSettings::new(format!("temporal-fleet/{instance}"))
    };
    let temporal = Metered::new(Arc::new(TemporalClient::new(settings, system_clock())), metrics.clone());
    let requests_per_second = TEMPORAL_NAMESPACE_RPS * f64::from(temporal_request_budget_percent) / 100.0;
    let observatory = Observatory::new(
        Arc::new(temporal),
        Settings {
            requests_per_second,
            ..Settings::default()
        },
        system_clock(),
    );
    metrics.budgets(observatory.clone())?;
    let context = Arc::new(Context {
        cluster: cluster.clone(),
        scopes: all_stores.clone(),
        secrets: Secrets::new(cluster.clone()),
        sources: Sources::new(observatory.clone()),
        watching: Watching::new(observatory, fleets),
        resources,
        events: Publisher::new(cluster, "temporal-fleet.dev/operator", leader.pod_name.clone()),
        metrics: metrics.clone(),
        backoff: Backoff::new(leader.pod_name.clone()),
        health: Arc::clone(&health),
        fleets: Fleets::default(),
        recorder,
        now: clock,
    });
    tokio::spawn(drive::forget(Arc::clone(&context), gone_feed));
    let leads = CancellationToken::new();
    let (counter, led) = (Arc::clone(&context), leads.clone());
    tokio::spawn(async move { drains::count(&counter, &led, drain_feed).await });

    // Watches run on a stand-by too, so that it is warm; passes only on the leader, and only after everything was seen once.
    let ready = async {
        leadership.acquired().await;
        // The sender lives as long as this function: waiting cannot fail.
        let _ = filled.subscribe().wait_for(|count| *count == all_stores.len()).await;
    };
    tokio::select! {
        () = ready => {
            metrics.leads(&lease, true);
            leads.cancel();
        }
        () = stop.cancelled() => {}
    }
    let controllers = TaskTracker::new();
    if !stop.is_cancelled() {
        let feeds = drive::Feeds {
            fleets: fleet_feed,
            connections: connection_feed,
        };
        drive::start(&controllers, feeds, watch_namespaces, concurrency, &stop, &context);
    }
    controllers.close();

    let outcome = if let Some(mut lost) = lost {
        tokio::select! {
            () = stop.cancelled() => Outcome::Asked(Some(lost)),
            ended = &mut lost => Outcome::Lost(ended),
        }
    } else {
        stop.cancelled().await;
        Outcome::Asked(None)
    };
    health.stopping();
    match outcome {
        Outcome::Lost(ended) => {
            // What is in memory belongs to an old term: the process ends, Kubernetes starts it anew.
            metrics.leads(&lease, false);
            let reason = match ended {
                Ok(Err(lost)) => lost.to_string(),
                Ok(Ok(())) => "the election ended".to_owned(),
                Err(error) => error.to_string(),
            };
            anyhow::bail!("no longer the leader: {reason}")
        }
        Outcome::Asked(elector) => {
            if tokio::time::timeout(LAST_PASSES, controllers.wait()).await.is_err() {
                tracing::warn!("passes in flight did not end in time");
            }
            release.cancel();
            if let Some(elector) = elector {
                let _ = tokio::time::timeout(Duration::from_secs(5), elector).await;
            }
            tracing::info!("stopped");
            if tasks.is_closed() {
                anyhow::bail!("a task that must not end has ended")
            }
            Ok(())
        }
    }
}

enum Outcome {
    Asked(Option<tokio::task::JoinHandle<Result<(), crate::leader::Lost>>>),
    Lost(Result<Result<(), crate::leader::Lost>, tokio::task::JoinError>),
}

/// Runs a task that must not end: if it does, everything stops and the exit code tells.
fn supervise(
    tasks: &TaskTracker,
    stop: &CancellationToken,
    what: &'static str,
    task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
) {
    let (tasks, stop) = (tasks.clone(), stop.clone());
    tokio::spawn(async move {
        tokio::select! {
            ended = task => {
                let error = ended.err().map(|error| format!("{error:#}")).unwrap_or_default();
                tracing::error!(what, error, "a task that must not end has ended");
                tasks.close();
                stop.cancel();
            }
            () = stop.cancelled() => {}
        }
    });
}

async fn signals(stop: CancellationToken) {
    let (Ok(mut term), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::error!("signals cannot be handled");
        return;
    };
    for first in [true, false] {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        if first {
            tracing::info!("stopping");
            stop.cancel();
        }
    }
    std::process::exit(1);
}

type Election = futures::future::BoxFuture<'static, Result<(), crate::leader::Lost>>;

fn lead(
    args: &LeaderArgs,
    client: &kube::Client,
    release: &CancellationToken,
) -> anyhow::Result<(Leadership, Option<Election>)> {
    let LeaderArgs {
        leader_election,
        leader_election_lease_duration: lease_duration,
        leader_election_renew_deadline: renew_deadline,
        leader_election_retry_period: retry_period,
        lease_namespace,
        lease_name,
        pod_name,
    } = args.clone();
    if !leader_election {
        return Ok((Leadership::always(), None));
    }
    anyhow::ensure!(
        retry_period < renew_deadline && renew_deadline < lease_duration,
        "--leader-election-retry-period < --leader-election-renew-deadline < --leader-election-lease-duration must hold"
    );
    let provider = rustls::crypto::ring::default_provider();
    let identity =
        random_identity(&pod_name, &provider).map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    let store = KubeLease::new(client.clone(), &lease_namespace, lease_name);
    let timing = Timing {
        lease_duration,
        renew_deadline,
        retry_period,
    };
    let (elector, leadership) = Elector::new(Arc::new(store), timing, identity);
    let release = release.clone();
    Ok((leadership, Some(Box::pin(elector.run(release)))))
}

/// Waits until every store has seen everything once; false if a watch ended before.
async fn fill(stores: &Stores) -> bool {
    let Stores {
        workers,
        connections,
        deployments,
        budgets,
        pods,
        autoscalers,
    } = stores;
    let (a, b, c, d, e, f) = futures::join!(
        workers.wait_until_ready(),
        connections.wait_until_ready(),
        deployments.wait_until_ready(),
        budgets.wait_until_ready(),
        pods.wait_until_ready(),
        autoscalers.wait_until_ready(),
    );
    a.is_ok() && b.is_ok() && c.is_ok() && d.is_ok() && e.is_ok() && f.is_ok()
}
