//! One run of the demo from the installation to the verdict.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::json;
use tokio::time::Instant;

use super::{
    args::Args,
    record::{PhaseKind, PhaseSpan, Record, Sample},
    sampler::Sampler,
    scenario::{Phase, Progress, scenario},
    summary,
    verdict::{Verdict, judge},
    view::{Frame, Screen},
};
use crate::{
    clock,
    cluster::Layout,
    fleet::{Access, Fleet, FleetManifest, operator, operator::OperatorImage, plugin::plugin, temporal},
    load::{Generator, TemporalClient, collect, collect::terminate_open, generator::OnQueue},
};

/// How long all workflows may take to close after the last one was started.
const SETTLE: Duration = Duration::from_mins(1);
/// … after a scenario that was cut short: its verdict is known.
const SETTLE_CUT: Duration = Duration::from_secs(5);
/// From apply to Ready on a warm machine.
const READY: Duration = Duration::from_mins(3);

/// Runs the demo; the verdict, or an error if it could not be run.
pub async fn run(args: Args) -> Result<Verdict> {
    let access = Access::open(args.kubeconfig.as_deref()).await?;
    let manifests = args
        .manifests
        .clone()
        .unwrap_or_else(|| crate::image::catalog::source_tree().join("examples/demo"));
    let manifest = FleetManifest::read(&manifests)?;
    if args.no_install {
        say("using the operator that is installed");
    } else {
        let image = image(&args, &access);
        say(&format!(
            "installing the operator by Helm: {}:{}",
            image.repository, image.tag
        ));
        operator::install(&access, &image, &[]).await?;
    }
    let fleet = Fleet::of(&access, &manifest);
    say(&format!("applying {}", shown(&manifest.path)));
    prepare(&fleet, &manifest, args.autoscaler_off).await?;

    let way = match &args.temporal_address {
        Some(address) => temporal::Way::direct(address),
        None => temporal::reach(&access, &manifest.address, &manifest.namespace).await?,
    };
    let route = if way.is_forwarded() {
        "through the API server"
    } else {
        "directly"
    };
    say(&format!("reaching Temporal {route} at {}", way.address));
    let temporal = TemporalClient::connect(&way.address, &manifest.temporal_namespace, Duration::from_secs(30)).await?;
    say("waiting for the fleet to be Ready");
    let begun = Instant::now();
    fleet.wait_ready(READY).await?;
    say(&format!(
        "the fleet is Ready after {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
    print_places(&access, &fleet).await;

    let prefix = format!("demo-{}", clock::now().as_second());
    let on_queue = OnQueue {
        client: temporal.clone(),
        task_queue: manifest.task_queue.clone(),
    };
    let load = Generator::new(on_queue, &prefix, args.seed, Duration::from_mins(1));
    let sampler = Sampler::start(&fleet, &temporal, &prefix);
    let (max_replicas, objective_seconds) = bounds(&fleet).await;
    let mut stage = Stage {
        load,
        sampler,
        screen: Screen::new(args.plain),
        record: Record::default(),
        begun: Instant::now(),
        max_replicas,
        objective_seconds,
    };
    let phases = scenario();
    for (index, phase) in phases.iter().enumerate() {
        stage.play(phase, (index + 1, phases.len())).await;
        if stage.record.cut_short.is_some() {
            break;
        }
    }
    let Stage {
        load,
        sampler,
        mut record,
        ..
    } = stage;
    record.decisions = sampler.decisions().to_vec();
    let started = load.finish().await;
    say("reading the event histories");
    let settle = if record.cut_short.is_some() { SETTLE_CUT } else { SETTLE };
    record.workflows = collect(&temporal, &started, Instant::now() + settle).await;
    // Pods that were ending when the scenario ended have had their time by now.
    record.pods = sampler.watch().lives();
    terminate_open(&temporal, &started, &record.workflows).await;

    let verdict = judge(&record);
    let output = args
        .output
        .clone()
        .unwrap_or_else(|| crate::image::catalog::source_tree().join("target/demo"));
    summary::write(&output, &record, &verdict).with_context(|| format!("failed to write {}", shown(&output)))?;
    println!("{}", summary::text(&record, &verdict));
    println!("  written to {}", shown(&output.join("summary.json")));
    println!(
        "\nkubectl temporal-worker explain {} -n {}\n",
        fleet.name, fleet.namespace
    );
    println!("{}", plugin(&fleet, "explain", &[]).await?);
    finish(&args, &access, &fleet).await?;
    Ok(verdict)
}

/// A fresh fleet: one left from an earlier run remembers its load and its size.
async fn prepare(fleet: &Fleet, manifest: &FleetManifest, autoscaler_off: bool) -> Result<()> {
    fleet
        .delete(Duration::from_mins(2))
        .await
        .context("failed to remove the fleet of an earlier run")?;
    let path = manifest.path.display().to_string();
    fleet.access.kubectl(&["apply", "-f", &path]).await?;
    if autoscaler_off {
        say("turning the autoscaler off: this run must fail");
        fleet.patch(&json!({"spec": {"autoscaling": {"mode": "Off"}}})).await?;
    }
    Ok(())
}

async fn finish(args: &Args, access: &Access, fleet: &Fleet) -> Result<()> {
    if !args.keep {
        say("deleting the fleet");
        return Ok(fleet.delete(Duration::from_mins(3)).await?);
    }
    if args.autoscaler_off {
        fleet.patch(&json!({"spec": {"autoscaling": {"mode": "Auto"}}})).await?;
    }
    print_places(access, fleet).await;
    Ok(())
}

fn image(args: &Args, access: &Access) -> OperatorImage {
    let policy = if access.is_local() { "Never" } else { "IfNotPresent" };
    OperatorImage {
        repository: args.image_repository.clone(),
        tag: args.image_tag.clone(),
        pull_policy: args.image_pull_policy.clone().unwrap_or_else(|| policy.to_owned()),
    }
}

/// The largest size and the objective of a fleet, for the view only: unknown ones are the defaults of the API.
async fn bounds(fleet: &Fleet) -> (u32, f64) {
    let object = fleet
        .api()
        .get(&fleet.name)
        .await
        .map(|object| object.data)
        .unwrap_or_default();
    let max = object
        .pointer("/spec/autoscaling/maxReplicas")
        .and_then(serde_json::Value::as_u64);
    let objective = object
        .pointer("/spec/autoscaling/targets/scheduleToStart/seconds")
        .and_then(serde_json::Value::as_f64);
    (
        max.and_then(|max| u32::try_from(max).ok()).unwrap_or(10),
        objective.unwrap_or(5.0),
    )
}

async fn print_places(access: &Access, fleet: &Fleet) {
    if access.is_local()
        && let Ok(layout) = Layout::of_user()
        && let Some(ports) = crate::cluster::status(&layout).await.ports
    {
        println!(
            "  Temporal UI   http://127.0.0.1:{}/namespaces/default/workflows",
            ports.ui
        );
        println!(
            "  Prometheus    http://127.0.0.1:{}/graph?g0.expr=temporal_fleet_worker_replicas_desired",
            ports.prometheus
        );
    }
    println!("  kubectl       export KUBECONFIG={}", access.kubeconfig().display());
    println!(
        "                kubectl -n {} describe tw {}",
        fleet.namespace, fleet.name
    );
    println!("                kubectl -n {} get tw,deploy,pods -w", fleet.namespace);
}

fn say(text: &str) {
    println!("{text}");
}

/// Relative to the working directory where it lies below it.
fn shown(path: &std::path::Path) -> String {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}

/// What a phase plays on.
struct Stage {
    load: Generator,
    sampler: Sampler,
    screen: Screen,
    record: Record,
    begun: Instant,
    max_replicas: u32,
    objective_seconds: f64,
}

impl Stage {
    async fn play(&mut self, phase: &Phase, number: (usize, usize)) {
        let name = phase.kind.name();
        let from = clock::now();
        let begun = Instant::now();
        if let Some((stream, count)) = &phase.burst {
            self.load.burst(name, stream.clone(), *count);
        }
        let mut load = None;
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            let (change, streams) = phase.load_at(begun.elapsed());
            if load != Some(change) {
                self.load.set(name, streams.to_vec());
                load = Some(change);
            }
            tokio::select! {
                _ = second.tick() => {}
                _ = tokio::signal::ctrl_c() => {
                    self.record.cut_short = Some("interrupted".to_owned());
                    break;
                }
            }
            let sample = self.sampler.sample(self.load.counts()).await;
            self.show(phase.kind, number, &sample);
            self.record.samples.push(sample);
            if phase.is_over(begun.elapsed(), &self.progress(from)) {
                break;
            }
        }
        let to = clock::now();
        self.record.phases.push(PhaseSpan {
            kind: phase.kind,
            from,
            to,
        });
        let progress = self.progress(from);
        if phase.kind == PhaseKind::Step && progress.peak <= progress.quiet {
            let seconds = begun.elapsed().as_secs();
            self.record.cut_short = Some(format!(
                "{} pods after {seconds} s of ten times the load",
                progress.peak
            ));
        }
    }

    fn show(&mut self, phase: PhaseKind, number: (usize, usize), sample: &Sample) {
        self.screen.show(&Frame {
            phase,
            number,
            elapsed_seconds: self.begun.elapsed().as_secs(),
            sample,
            decisions: self.sampler.decisions(),
            max_replicas: self.max_replicas,
            objective_seconds: self.objective_seconds,
        });
    }

    fn progress(&self, since: jiff::Timestamp) -> Progress {
        let samples = &self.record.samples;
        let last = samples.last();
        let lives = self.sampler.watch().lives();
        Progress {
            desired: last.and_then(|sample| sample.desired),
            ready: last.and_then(|sample| sample.ready),
            ending: last.and_then(|sample| sample.ending).unwrap_or(0),
            peak: samples.iter().filter_map(|sample| sample.ready).max().unwrap_or(0),
            quiet: self.record.quiet_size().unwrap_or(0),
            cpu_decisions: self
                .sampler
                .decisions()
                .iter()
                .filter(|decision| decision.time >= since && decision.reason == "CpuUtilization")
                .count(),
            ended: lives
                .iter()
                .filter(|life| life.gone.is_some() && life.end_asked.is_some_and(|asked| asked >= since))
                .count(),
        }
    }
}
