//! What the planner makes of pods that are known by another source than `WorkerControl`.
#![allow(clippy::panic, clippy::expect_used, reason = "tests")]

#[allow(dead_code, reason = "shared with tests that use more of it")]
mod common;

use common::{Cluster, a_pod, autoscaled, t0};
use fleet_core::autoscale::Seen;
use fleet_core::rules::credentials::checksum;
use fleet_core::{ConditionType, Memory, Pass, PodView, Reason, Source, Truth, plan};
use jiff::SignedDuration;

/// A Ready pod that is known by `source`.
fn known_by(source: Source, never_reported: bool) -> PodView {
    let mut pod = a_pod("a", t0());
    if let Seen::Known(report) = &mut pod.report {
        report.source = source;
        report.reloads_credentials = source == Source::WorkerControl;
    }
    pod.never_reported = never_reported;
    pod
}

#[test]
fn a_credential_change_restarts_images_of_other_sdks_alone() {
    for (source, never_reported, restarts) in [
        (Source::WorkerControl, false, false),
        (Source::Scrape, true, true),
        (Source::Heartbeat, true, true),
        // Just now not known to serve none: a gap of WorkerControl is no reason to restart.
        (Source::Scrape, false, false),
    ] {
        let pods = Seen::Known(vec![known_by(source, never_reported)]);
        let chosen = checksum("new", Some("old"), true, &pods);
        assert_eq!(chosen == "new", restarts, "{source:?} {never_reported}");
    }
}

#[test]
fn scaling_says_that_its_queues_are_read_late_and_why() {
    let mut cluster = Cluster::empty();
    let (desired, now) = (autoscaled(1, 5), t0());
    let said = |cluster: &Cluster| {
        let pass = plan(&desired, &cluster.world, &Memory::default(), Pass::default(), now);
        let found = pass
            .verdicts
            .iter()
            .find(|each| each.condition == ConditionType::ScalingActive);
        let verdict = found.expect("said in every pass");
        (verdict.truth, verdict.reason, verdict.message.clone())
    };
    let (_, before, message) = said(&cluster);
    assert!(!message.contains("late"), "{message}");
    cluster.world.queues[0].stretched = Some(SignedDuration::from_secs(9));
    let (truth, reason, message) = said(&cluster);
    assert_eq!(
        (truth, before, reason),
        (Truth::True, Reason::SignalsValid, Reason::PollBudgetStretched)
    );
    assert!(
        message.contains("1 of 1 queues are read up to 9 s late") && message.contains("frontend.namespaceRPS"),
        "{message}"
    );
    // What is missing is worse than what is late.
    cluster.world.queues[0].stats = Seen::unknown("Temporal is away");
    assert_eq!(said(&cluster).1, Reason::SignalsUnknown);
}

#[test]
fn scaling_says_by_what_source_it_knows_its_pods() {
    for (source, reason, words) in [
        (Source::WorkerControl, Reason::SignalsValid, "pods report"),
        (Source::Scrape, Reason::SignalsDegraded, "1 of 1 by the metrics port"),
        (
            Source::Heartbeat,
            Reason::SignalsDegraded,
            "1 of 1 by worker heartbeats",
        ),
    ] {
        let mut cluster = Cluster::empty();
        let desired = autoscaled(1, 5);
        let mut memory = Memory::default();
        let mut now = t0();
        for _ in 0..5 {
            let pass = plan(&desired, &cluster.world, &memory, Pass::default(), now);
            for step in &pass.steps {
                cluster.execute(&desired, step, now).expect("nobody else writes");
            }
            memory = pass.memory;
            now += SignedDuration::from_secs(1);
        }
        for pod in cluster.pods() {
            let known = known_by(source, source != Source::WorkerControl);
            pod.ready = Some(now);
            pod.never_reported = known.never_reported;
            pod.report = known.report;
            if let Seen::Known(report) = &mut pod.report {
                report.pod.at = now;
            }
        }
        for queue in &mut cluster.world.queues {
            queue.at = now;
        }
        let verdicts = plan(&desired, &cluster.world, &memory, Pass::default(), now).verdicts;
        let active = verdicts
            .iter()
            .find(|each| each.condition == ConditionType::ScalingActive);
        let active = active.expect("always set");
        assert_eq!(
            (active.truth, active.reason),
            (Truth::True, reason),
            "{}",
            active.message
        );
        assert!(active.message.contains(words), "{}", active.message);
    }
}
