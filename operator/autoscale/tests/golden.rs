//! Golden decisions: the words and numbers that users see, as they are.

mod common;

use std::collections::BTreeMap;

use common::{Work, World, at};
use fleet_autoscale::{
    Decision, Memory, PodPhase, PodReport, PodSample, Policy, QueueSample, QueueStats, Sample, Seen, SlotKind,
    SlotReport, TaskType, decide,
};

/// A fleet of four pods of 500m at a steady 51.6 tasks/s of 2.1 s and 46m core-seconds each: the example of the API page.
fn steady(time: f64, replicas: u32, backlog: u64) -> Sample {
    let share = 1.0 / f64::from(replicas);
    let pods = (0..replicas).map(|number| PodSample {
        name: format!("orders-{number}"),
        uid: format!("uid-{number}"),
        phase: PodPhase::Ready,
        created: at(-60.0),
        ready: Some(at(-50.0)),
        cpu_capacity_cores: Some(0.5),
        report: Seen::Known(PodReport {
            at: at(time),
            started: at(-60.0),
            slots: vec![SlotReport {
                kind: SlotKind::Activity,
                used: (108.4 * share).round() as u32,
                limit: Some(100),
                completions: (51.6 * share * (time + 60.0)).round() as u64,
                busy_seconds: 108.4 * share * (time + 60.0),
            }],
            cpu_seconds: Some(51.6 * share * 0.0462 * (time + 60.0)),
            memory_bytes: None,
            schedule_to_start: Vec::new(),
        }),
        cpu_cores: Seen::unknown("not asked"),
    });
    let stats = QueueStats {
        backlog,
        backlog_age_seconds: 0.0,
        add_rate: 51.6,
        dispatch_rate: 51.6,
        rate_limited: false,
    };
    Sample {
        replicas,
        queues: vec![QueueSample {
            queue: "orders".into(),
            task_type: TaskType::Activity,
            stats: Seen::Known(stats),
            at: at(time),
        }],
        pods: pods.collect(),
        rolling: false,
        default_slots: BTreeMap::from([(SlotKind::Activity, 100)]),
    }
}

fn after(seconds: u32, replicas: u32) -> Decision {
    let policy = Policy::new(2, 60).expect("valid");
    let mut memory = Memory::default();
    let mut decision = None;
    for time in (0..=seconds).step_by(5) {
        let (next, kept) = decide(
            &policy,
            &memory,
            &steady(f64::from(time), replicas, 0),
            at(f64::from(time)),
        );
        memory = kept;
        decision = Some(next);
    }
    decision.expect("decided")
}

#[test]
fn the_example_of_the_api_page() {
    insta::assert_json_snapshot!(after(120, 4));
}

#[test]
fn a_fleet_of_the_right_size_keeps_it() {
    let decision = after(600, 6);
    assert_eq!((decision.replicas, decision.recommended), (6, 6));
    insta::assert_snapshot!(decision.message);
}

#[test]
fn twice_the_slots_at_the_same_cpu_per_task_changes_nothing_for_cpu() {
    let policy = Policy::new(2, 60).expect("valid");
    let ask = |limit: u32| {
        let mut memory = Memory::default();
        let mut last = 0;
        for time in (0..=120).step_by(5) {
            let mut sample = steady(f64::from(time), 4, 0);
            for pod in &mut sample.pods {
                if let Seen::Known(report) = &mut pod.report {
                    report.slots[0].limit = Some(limit);
                }
            }
            let (decision, kept) = decide(&policy, &memory, &sample, at(f64::from(time)));
            memory = kept;
            last = decision.targets[1].recommended;
        }
        last
    };
    assert_eq!(ask(100), ask(200));
}

#[test]
fn a_queue_rate_limit_holds_and_says_so() {
    let policy = Policy::new(1, 60).expect("valid");
    let mut sample = steady(0.0, 4, 5000);
    if let Seen::Known(stats) = &mut sample.queues[0].stats {
        stats.rate_limited = true;
        stats.backlog_age_seconds = 40.0;
    }
    let (decision, _) = decide(&policy, &Memory::default(), &sample, at(0.0));
    assert_eq!(decision.replicas, 4);
    insta::assert_json_snapshot!(decision.limited);
    insta::assert_snapshot!(decision.message);
}

#[test]
fn a_first_look_at_an_empty_fleet_starts_one_pod() {
    let policy = Policy::new(0, 10).expect("valid");
    let sample = World::new(0, 4, 1.0).sample();
    let (decision, _) = decide(&policy, &Memory::default(), &sample, at(0.0));
    insta::assert_snapshot!(decision.message);
    assert_eq!(decision.replicas, 1);
}

#[test]
fn counters_that_begin_anew_are_no_work() {
    let policy = Policy::new(1, 60).expect("valid");
    let mut world = World::new(4, 10, 1.0);
    let work = Work { seconds: 2.0, cpu: 0.1 };
    world.live(&policy, 120.0, 5.0, work);
    let calm = world.tick(&policy);
    world.run(5.0, 5.0, work);
    let mut sample = world.sample();
    for pod in &mut sample.pods {
        if let Seen::Known(report) = &mut pod.report {
            report.started = at(world.now - 1.0);
            report.cpu_seconds = Some(0.1);
            report.slots[0].completions = 0;
            report.slots[0].busy_seconds = 0.5;
        }
    }
    let (decision, _) = decide(&policy, &world.memory, &sample, at(world.now));
    assert!(
        decision.recommended.abs_diff(calm.recommended) <= 1,
        "{} after {}",
        decision.message,
        calm.message
    );
}

#[test]
fn free_slots_beside_old_tasks_at_low_cpu_are_bound_by_pollers() {
    let policy = Policy::new(1, 60).expect("valid");
    let mut memory = Memory::default();
    let mut last = None;
    for time in (0..=60).step_by(5) {
        let mut sample = steady(f64::from(time), 8, 500);
        if let Seen::Known(stats) = &mut sample.queues[0].stats {
            stats.backlog_age_seconds = 20.0;
        }
        for pod in &mut sample.pods {
            pod.cpu_capacity_cores = Some(4.0);
        }
        let (decision, kept) = decide(&policy, &memory, &sample, at(f64::from(time)));
        memory = kept;
        last = Some(decision);
    }
    let last = last.expect("decided");
    assert_eq!(last.replicas, 8);
    insta::assert_json_snapshot!(last.limited);
}
