//! Golden decisions: the words and numbers that users see, as they are.

mod common;

use std::collections::BTreeMap;

use common::{Work, World, at};
use fleet_autoscale::{
    Decision, Memory, PodPhase, PodReport, PodSample, Policy, QueueSample, QueueStats, Reason, Sample, Seen, SlotKind,
    SlotReport, TaskType, decide,
};

/// A fleet of four pods of 500m at a steady 51.6 tasks/s of 2.1 s and 46m core-seconds each: the example of the API page.
fn steady(time: f64, replicas: u32, backlog: u64) -> Sample {
    steady_at(51.6, time, replicas, backlog)
}

/// The same at another rate [tasks/s].
fn steady_at(rate: f64, time: f64, replicas: u32, backlog: u64) -> Sample {
    let busy = 108.4 * rate / 51.6;
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
                used: (busy * share).round() as u32,
                limit: Some(100),
                completions: (rate * share * (time + 60.0)).round() as u64,
                busy_seconds: busy * share * (time + 60.0),
            }],
            cpu_seconds: Some(rate * share * 0.0462 * (time + 60.0)),
            memory_bytes: None,
            schedule_to_start: Vec::new(),
        }),
        cpu_cores: Seen::unknown("not asked"),
        memory_capacity_bytes: None,
        memory_bytes: None,
    });
    let stats = QueueStats {
        backlog,
        backlog_age_seconds: 0.0,
        add_rate: rate,
        dispatch_rate: rate,
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

/// The arithmetic of a decision as a reader would lay it out.
fn told(decision: &Decision) -> String {
    let lines = decision.arithmetic.iter().map(|line| {
        let text = format!(
            "{:9} {} | {} | {}",
            line.step.as_str(),
            line.text,
            line.result,
            line.note
        );
        text.trim_end_matches([' ', '|']).to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_arithmetic_of_a_decision_that_cpu_leads() {
    let decision = after(120, 4);
    assert_eq!(decision.reason, Reason::CpuUtilization);
    insta::assert_snapshot!(told(&decision));
}

#[test]
fn the_arithmetic_of_a_decision_that_latency_leads() {
    let policy = Policy::new(1, 60).expect("valid");
    let mut world = World::new(2, 4, 4.0);
    let work = Work {
        seconds: 2.0,
        cpu: 0.01,
    };
    let out = world.live(&policy, 60.0, 8.0, work);
    let (_, _, decision) = out
        .iter()
        .rfind(|(_, before, decision)| decision.replicas > *before)
        .expect("it grows");
    assert_eq!(decision.reason, Reason::ScheduleToStart);
    insta::assert_snapshot!(told(decision));
}

#[test]
fn the_arithmetic_of_a_size_that_is_held() {
    let decision = after(120, 20);
    assert_eq!((decision.reason, decision.replicas), (Reason::Hold, 20));
    insta::assert_snapshot!(told(&decision));
}

#[test]
fn the_arithmetic_without_the_servers_word() {
    let policy = Policy::new(1, 60).expect("valid");
    let mut sample = steady(0.0, 4, 0);
    sample.queues[0].stats = Seen::unknown("Temporal does not answer");
    let (decision, _) = decide(&policy, &Memory::default(), &sample, at(0.0));
    insta::assert_snapshot!(told(&decision));
}

#[test]
fn the_thresholds_it_names_are_where_the_size_changes() {
    // At a steady load the law is asked with a little less and a little more than it said.
    let asked = |rate: f64| {
        let policy = Policy::new(2, 60).expect("valid");
        let mut memory = Memory::default();
        let mut last = None;
        for time in (0..=240).step_by(5) {
            let mut sample = steady_at(rate, f64::from(time), 8, 0);
            for pod in &mut sample.pods {
                pod.cpu_capacity_cores = Some(0.5);
            }
            let (decision, kept) = decide(&policy, &memory, &sample, at(f64::from(time)));
            memory = kept;
            last = Some(decision);
        }
        last.expect("decided")
    };
    let now = asked(51.6);
    let sentence = &now.arithmetic.last().expect("lines").text;
    let rates: Vec<f64> = sentence
        .split("about ")
        .skip(1)
        .map(|rest| rest.split(' ').next().expect("a number").parse().expect("a number"))
        .collect();
    let [below, above] = rates[..] else {
        panic!("{sentence}")
    };
    let size = now.recommended;
    let around = [0.97 * below, 1.03 * below, 0.97 * above, 1.03 * above];
    let sizes = around.map(|rate| asked(rate).recommended);
    assert_eq!(sizes, [size - 1, size, size, size + 1], "{sentence}");
}
