//! Properties that hold for every sample, however contradictory, and every history of samples.

mod common;

use std::collections::BTreeMap;

use common::at;
use fleet_autoscale::decision::{LINES_MAX, Line, RESULT_MAX, TEXT_MAX};
use fleet_autoscale::{
    Decision, Fallback, LatencyHistogram, Memory, PodPhase, PodReport, PodSample, Policy, QueueSample, QueueStats,
    Reason, Sample, ScaleDownBehavior, Seen, SelectPolicy, SlotKind, SlotReport, TaskType, decide,
};
use jiff::SignedDuration;
use proptest::prelude::*;

/// Any number a broken peer may send.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => 0.0..100.0_f64,
        1 => Just(0.0),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-5.0), Just(1e300)],
    ]
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0..200_u64, 1 => Just(0), 1 => Just(u64::MAX)]
}

fn seen<T: Clone + std::fmt::Debug + 'static>(value: impl Strategy<Value = T> + 'static) -> BoxedStrategy<Seen<T>> {
    prop_oneof![8 => value.prop_map(Seen::Known), 1 => Just(Seen::unknown("away"))].boxed()
}

prop_compose! {
    fn queue(time: f64)(
        task_type in prop_oneof![Just(TaskType::Workflow), Just(TaskType::Activity)],
        backlog in count(), age in number(), add in number(), dispatch in number(),
        rate_limited in prop::bool::weighted(0.05),
        known in prop::bool::weighted(0.9),
        late in prop_oneof![5 => 0.0..10.0_f64, 1 => 0.0..200.0_f64],
    ) -> QueueSample {
        let stats = QueueStats { backlog, backlog_age_seconds: age, add_rate: add, dispatch_rate: dispatch, rate_limited };
        QueueSample {
            queue: "q".into(),
            task_type,
            stats: if known { Seen::Known(stats) } else { Seen::unknown("away") },
            at: at(time - late),
        }
    }
}

prop_compose! {
    fn report(time: f64)(
        used in 0..12_u32, limit in prop::option::of(1..12_u32), completions in count(), busy in number(),
        cpu in prop::option::of(number()), started in 0.0..1000.0_f64, late in 0.0..40.0_f64,
        counts in prop::collection::vec(0..50_u64, 0..6),
    ) -> PodReport {
        PodReport {
            at: at(time - late),
            started: at(started),
            slots: vec![SlotReport { kind: SlotKind::Activity, used, limit, completions, busy_seconds: busy }],
            cpu_seconds: cpu,
            memory_bytes: None,
            schedule_to_start: vec![LatencyHistogram {
                queue: "q".into(),
                task_type: TaskType::Activity,
                bounds_seconds: vec![0.1, 1.0, 5.0, 30.0],
                counts,
            }],
        }
    }
}

prop_compose! {
    fn pod(time: f64)(
        number in 0..20_u32,
        phase in prop_oneof![
            4 => Just(PodPhase::Ready), 1 => Just(PodPhase::Starting),
            1 => Just(PodPhase::Pending), 1 => Just(PodPhase::Draining)
        ],
        report in seen(report(time)), cpu in seen(number()), capacity in prop::option::of(number()),
        age in 0.0..2000.0_f64, start in -10.0..100.0_f64,
        memory in prop::option::of(number()), most_memory in prop::option::of(number()),
    ) -> PodSample {
        let created = at(time - age);
        let ready = (phase == PodPhase::Ready)
            .then(|| created + SignedDuration::try_from_secs_f64(start).expect("in range"));
        PodSample {
            name: format!("pod-{number}"), uid: format!("uid-{number}"), phase, created, ready,
            cpu_capacity_cores: capacity, report, cpu_cores: cpu, memory_capacity_bytes: most_memory,
            memory_bytes: memory,
        }
    }
}

prop_compose! {
    fn sample(time: f64)(
        replicas in 0..30_u32,
        queues in prop::collection::vec(queue(time), 0..4),
        pods in prop::collection::vec(pod(time), 0..12),
        rolling in prop::bool::weighted(0.1),
        slots in 0..20_u32,
    ) -> Sample {
        Sample { replicas, queues, pods, rolling, default_slots: BTreeMap::from([(SlotKind::Activity, slots)]) }
    }
}

fn policy() -> impl Strategy<Value = Policy> {
    (
        0..5_u32,
        0..25_u32,
        any::<bool>(),
        any::<bool>(),
        prop::option::of(0..120_i64),
        prop::option::of((1..30_u32, any::<bool>())),
        any::<bool>(),
    )
        .prop_map(|(min, more, latency, cpu, window, fallback, memory)| {
            let base = Policy::new(min, min + more.max(1)).expect("valid");
            Policy {
                schedule_to_start: base.schedule_to_start.filter(|_| latency),
                cpu_utilization: base.cpu_utilization.filter(|_| cpu),
                memory_utilization: memory.then_some(0.85),
                cooldown: SignedDuration::from_secs(30),
                scale_down: window.map(|seconds| ScaleDownBehavior {
                    stabilization_window: SignedDuration::from_secs(seconds),
                    select_policy: SelectPolicy::Max,
                    policies: Vec::new(),
                }),
                fallback: fallback.map(|(replicas, fixed)| Fallback {
                    replicas: replicas.min(base.max_replicas),
                    failures: 1,
                    fixed,
                }),
                ..base
            }
        })
}

/// What must hold of every decision.
fn check(policy: &Policy, sample: &Sample, now: f64, decision: &Decision) -> Result<(), TestCaseError> {
    let Decision {
        replicas,
        message,
        arithmetic,
        offered_load,
        cpu_utilization,
        schedule_to_start_p99_seconds,
        ..
    } = decision;
    let current = sample.replicas;
    let age = |at: jiff::Timestamp| common::at(now).duration_since(at).as_secs_f64();
    let stale = |queue: &QueueSample| !queue.stats.is_known() || age(queue.at) > 30.0;
    let gap = sample.queues.is_empty() || sample.queues.iter().any(stale);
    prop_assert!(*replicas <= policy.max_replicas.max(current), "{}", message);
    prop_assert!(*replicas >= policy.min_replicas || *replicas >= current, "{}", message);
    if gap {
        prop_assert!(*replicas >= current, "left on a gap: {}", message);
    } else if *replicas != current {
        prop_assert!(
            *replicas >= policy.min_replicas.min(current) && *replicas <= policy.max_replicas,
            "{}",
            message
        );
    }
    prop_assert!(!arithmetic.is_empty() && arithmetic.len() <= LINES_MAX);
    for Line {
        step: _,
        text,
        result,
        note,
    } in arithmetic
    {
        for (words, most) in [(text, TEXT_MAX), (result, RESULT_MAX), (note, TEXT_MAX)] {
            prop_assert!(words.chars().count() <= most, "{}", words);
            prop_assert!(!words.contains("NaN") && !words.contains(" inf"), "{}", words);
        }
    }
    prop_assert!(arithmetic.is_sorted_by_key(|line| line.step), "steps are groups");
    if sample.rolling && current <= policy.max_replicas {
        prop_assert!(*replicas >= current, "left while rolling: {}", message);
    }
    if *replicas == 0 && current > 0 {
        prop_assert_eq!(decision.reason, Reason::IdleToZero);
        prop_assert_eq!(policy.min_replicas, 0);
        let waits = sample
            .queues
            .iter()
            .filter_map(|queue| queue.stats.known())
            .map(|stats| stats.backlog)
            .max();
        prop_assert_eq!(waits.unwrap_or(0), 0);
        for pod in sample.pods.iter().filter(|pod| pod.phase != PodPhase::Draining) {
            prop_assert!(
                pod.report
                    .known()
                    .is_some_and(|report| report.slots.iter().all(|slot| slot.used == 0))
            );
        }
    }
    prop_assert!(
        message.ends_with(&format!("-> {replicas}")),
        "{} is not the end of: {}",
        replicas,
        message
    );
    prop_assert!(
        !message.contains("NaN") && !message.contains("inf") && !message.contains('\n'),
        "{}",
        message
    );
    prop_assert!(message.len() < 1000, "{}", message);
    let numbers = offered_load
        .iter()
        .map(|(_, load)| *load)
        .chain(*cpu_utilization)
        .chain(*schedule_to_start_p99_seconds);
    prop_assert!(
        numbers.clone().all(|x| x.is_finite() && x >= 0.0),
        "{:?}",
        numbers.collect::<Vec<_>>()
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_of_samples_breaks_a_rule(
        policy in policy(),
        steps in prop::collection::vec((1.0..20.0_f64).prop_flat_map(|gap| (Just(gap), prop::bool::weighted(0.05))), 30)
            .prop_flat_map(|gaps| {
                let mut time = 1000.0;
                gaps.into_iter().map(|(gap, restart)| {
                    time += gap;
                    (Just(time), Just(restart), sample(time))
                }).collect::<Vec<_>>()
            }),
    ) {
        let mut memory = Memory::default();
        for (time, restart, sample) in &steps {
            let (decision, next) = decide(&policy, &memory, sample, at(*time));
            let again = decide(&policy, &memory, sample, at(*time));
            prop_assert_eq!(format!("{:?}", &again.0), format!("{:?}", &decision), "the same input, the same answer");
            check(&policy, sample, *time, &decision)?;
            let json = serde_json::to_string(&next).expect("serialises");
            prop_assert!(json.len() <= 2048, "{} bytes", json.len());
            let back: Memory = serde_json::from_str(&json).expect("reads back");
            memory = if *restart { back } else { next };
        }
    }

    #[test]
    fn a_clock_that_jumps_breaks_no_rule(
        policy in policy(),
        steps in prop::collection::vec(1000.0..100_000.0_f64, 12)
            .prop_flat_map(|times| times.into_iter().map(|time| (Just(time), sample(time))).collect::<Vec<_>>()),
    ) {
        let mut memory = Memory::default();
        for (time, sample) in &steps {
            let (decision, next) = decide(&policy, &memory, sample, at(*time));
            check(&policy, sample, *time, &decision)?;
            memory = next;
        }
    }

    #[test]
    fn more_backlog_never_asks_for_fewer_pods(
        backlog in 0..5000_u64, more in 0..5000_u64, add in 0.0..50.0_f64, replicas in 0..20_u32,
    ) {
        let policy = Policy::new(0, 1000).expect("valid");
        let ask = |backlog| {
            let stats = QueueStats { backlog, add_rate: add, dispatch_rate: add, backlog_age_seconds: 1.0, rate_limited: false };
            let sample = Sample {
                replicas,
                queues: vec![QueueSample {
                    queue: "q".into(), task_type: TaskType::Activity, stats: Seen::Known(stats), at: at(0.0),
                }],
                pods: Vec::new(),
                rolling: false,
                default_slots: BTreeMap::from([(SlotKind::Activity, 5)]),
            };
            decide(&policy, &Memory::default(), &sample, at(0.0)).0.recommended
        };
        prop_assert!(ask(backlog + more) >= ask(backlog));
    }
}
