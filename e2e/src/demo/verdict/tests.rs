//! A run that shows everything, and for each check a run that misses just that.

use super::*;
use crate::{demo::record::PhaseSpan, fleet::status::Decision, load::FailureKind};

fn at(second: i64) -> Timestamp {
    Timestamp::new(1_800_000_000 + second, 0).unwrap()
}

fn workflow(number: usize, phase: PhaseKind, second: i64) -> WorkflowRecord {
    WorkflowRecord {
        workflow_id: format!("w-{number}"),
        workflow: "DataProcessingWorkflow".to_owned(),
        phase: phase.name().to_owned(),
        outcome: Outcome::Completed,
        started: Some(at(second)),
        closed: Some(at(second + 4)),
        activities: vec![ActivityRecord {
            activity: "process_data_activity".to_owned(),
            scheduled: Some(at(second)),
            started: Some(at(second + 1)),
            finished: Some(at(second + 3)),
            attempt: 1,
            result: ActivityResult::Completed,
            last_failure: None,
            worker: "fleet-1/default/uid-1".to_owned(),
        }],
        workflow_task_schedule_to_start_seconds: vec![0.01],
        lost_workflow_tasks: 0,
    }
}

/// Quiet 0-40, step 40-100, zero 200-300, back 300-340.
fn good() -> Record {
    let span = |kind, from, to| PhaseSpan {
        kind,
        from: at(from),
        to: at(to),
    };
    let size = |second: i64| match second {
        50..100 => 6,
        100..200 => 3,
        250..310 => 0,
        _ => 1,
    };
    let samples = (0..340).map(|second| Sample {
        at: at(second),
        desired: Some(size(second)),
        ready: Some(size(second)),
        ..Sample::default()
    });
    let decision = |second, from, to, reason: &str| Decision {
        time: at(second),
        from,
        to,
        reason: reason.to_owned(),
        message: format!("20 slots -> {to}"),
    };
    let mut workflows: Vec<_> = (0..250).map(|number| workflow(number, PhaseKind::Step, 60)).collect();
    workflows.push(workflow(250, PhaseKind::Back, 301));
    Record {
        phases: vec![
            span(PhaseKind::Quiet, 0, 40),
            span(PhaseKind::Step, 40, 100),
            span(PhaseKind::Cpu, 100, 200),
            span(PhaseKind::Zero, 200, 300),
            span(PhaseKind::Back, 300, 340),
        ],
        samples: samples.collect(),
        decisions: vec![
            decision(47, 1, 6, "ScheduleToStart"),
            decision(120, 6, 4, "CpuUtilization"),
        ],
        pods: vec![PodLife {
            name: "fleet-1".to_owned(),
            uid: "uid-1".to_owned(),
            created: Some(at(0)),
            running: Some(at(1)),
            ready: Some(at(2)),
            end_asked: Some(at(62)),
            gone: Some(at(65)),
            exit_code: Some(0),
            restarts: 0,
        }],
        workflows,
        cut_short: None,
    }
}

/// The names of the checks that a run misses.
fn missed(record: &Record) -> Vec<String> {
    judge(record)
        .checks
        .into_iter()
        .filter(|check| !check.passed)
        .map(|check| check.name)
        .collect()
}

#[track_caller]
fn misses_only(record: &Record, part: &str) {
    let missed = missed(record);
    assert!(
        missed.len() == 1 && missed[0].contains(part),
        "expected to miss only \"{part}\", missed {missed:?}"
    );
}

#[test]
fn a_run_that_shows_everything_passes_with_its_numbers() {
    let verdict = judge(&good());
    assert!(verdict.passed(), "{:#?}", verdict.checks);
    assert_eq!(
        (verdict.max_replicas, verdict.quiet_replicas, verdict.final_replicas),
        (6, Some(1), Some(1))
    );
    assert_eq!(
        (
            verdict.workflows_started,
            verdict.workflows_completed,
            verdict.killed_tasks
        ),
        (251, 251, 0)
    );
    assert_eq!(verdict.reaction_seconds, Some(7.0));
    assert_eq!(verdict.capacity_seconds, Some(10.0));
    assert_eq!(verdict.schedule_to_start_p99_seconds, Some(1.0));
    assert!((verdict.scenario_seconds - 340.0).abs() < f64::EPSILON);
}

#[test]
fn a_run_with_the_autoscaler_off_fails() {
    let mut run = good();
    run.decisions.clear();
    run.pods.clear();
    for sample in &mut run.samples {
        (sample.desired, sample.ready) = (Some(1), Some(1));
    }
    let missed = missed(&run);
    for part in [
        "4 pods",
        "3 times",
        "to zero",
        "from zero",
        "a pod was ended",
        "ScheduleToStart",
        "CpuUtilization",
    ] {
        assert!(
            missed.iter().any(|name| name.contains(part)),
            "\"{part}\" must fail, missed {missed:?}"
        );
    }
}

#[test]
fn nothing_seen_is_nothing_shown() {
    let verdict = judge(&Record::default());
    assert!(
        verdict.checks.iter().all(|check| !check.passed),
        "{:#?}",
        verdict.checks
    );
    let mut blind = good();
    for sample in &mut blind.samples {
        (sample.desired, sample.ready) = (None, None);
    }
    assert!(!judge(&blind).passed());
}

#[test]
fn too_small_a_fleet_fails() {
    let mut run = good();
    for sample in &mut run.samples {
        sample.ready = sample.ready.map(|ready| ready.min(3));
    }
    misses_only(&run, "4 pods");
}

#[test]
fn a_fleet_that_was_large_before_the_step_fails() {
    let mut run = good();
    for sample in run.samples.iter_mut().take(40) {
        sample.ready = Some(3);
    }
    misses_only(&run, "3 times");
}

#[test]
fn zero_counts_only_after_the_load() {
    let mut run = good();
    for sample in &mut run.samples {
        if sample.at >= at(100) {
            (sample.desired, sample.ready) = (sample.desired.max(Some(1)), sample.ready.max(Some(1)));
        }
    }
    run.samples[5].desired = Some(0);
    run.samples[5].ready = Some(0);
    let missed = missed(&run);
    assert!(missed.iter().any(|name| name.contains("to zero")), "{missed:?}");
}

#[test]
fn a_fleet_that_stays_at_zero_fails() {
    let mut run = good();
    for sample in &mut run.samples {
        if sample.at >= at(250) {
            (sample.desired, sample.ready) = (Some(0), Some(0));
        }
    }
    misses_only(&run, "from zero");
}

#[test]
fn a_task_that_nobody_served_after_zero_fails() {
    let mut run = good();
    run.workflows.retain(|each| each.phase != PhaseKind::Back.name());
    misses_only(&run, "from zero");
}

#[test]
fn too_few_workflows_fail() {
    let mut run = good();
    run.workflows.drain(..60);
    misses_only(&run, "200 workflows");
}

#[test]
fn one_workflow_that_did_not_complete_fails() {
    for outcome in [
        Outcome::Open,
        Outcome::Failed,
        Outcome::Terminated,
        Outcome::TimedOut,
        Outcome::Unknown,
    ] {
        let mut run = good();
        run.workflows[17].outcome = outcome;
        misses_only(&run, "every workflow completed");
    }
}

#[test]
fn one_activity_that_was_cut_off_fails() {
    for kind in [
        FailureKind::WorkerShutdown,
        FailureKind::Timeout("HEARTBEAT".to_owned()),
    ] {
        let mut run = good();
        run.workflows[17].activities[0].attempt = 2;
        run.workflows[17].activities[0].last_failure = Some(kind);
        misses_only(&run, "no activity was cut off");
        assert_eq!(judge(&run).killed_tasks, 1);
    }
    let mut own_failure = good();
    own_failure.workflows[17].activities[0].attempt = 2;
    own_failure.workflows[17].activities[0].last_failure = Some(FailureKind::Application("Oops".to_owned()));
    assert!(judge(&own_failure).passed(), "an activity's own failure is not ours");
}

#[test]
fn a_pod_that_was_idle_or_lost_its_task_is_no_proof() {
    let change = |change: fn(&mut Record)| {
        let mut run = good();
        change(&mut run);
        run
    };
    misses_only(&change(|run| run.pods[0].end_asked = Some(at(90))), "a pod was ended");
    misses_only(&change(|run| run.pods[0].gone = None), "a pod was ended");
    misses_only(
        &change(|run| "another".clone_into(&mut run.pods[0].uid)),
        "a pod was ended",
    );
    let second_attempt = change(|run| {
        for each in &mut run.workflows {
            each.activities[0].attempt = 2;
        }
    });
    misses_only(&second_attempt, "a pod was ended");
}

#[test]
fn both_targets_must_have_decided() {
    let mut run = good();
    run.decisions.remove(1);
    misses_only(&run, "CpuUtilization");
    let mut run = good();
    run.decisions.remove(0);
    misses_only(&run, "ScheduleToStart");
}

#[test]
fn a_run_that_was_cut_short_fails() {
    let mut run = good();
    run.cut_short = Some("interrupted".to_owned());
    misses_only(&run, "ran to its end");
}

#[test]
fn the_record_survives_its_file() {
    let run = good();
    let text = serde_json::to_string(&run).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), run);
}
