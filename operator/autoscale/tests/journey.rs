//! The journey of a fleet in the small world: out, in, to zero and back, through outages and restarts.

mod common;

use common::{Work, World, demo_policy};
use fleet_autoscale::{Decision, Fallback, Limited, Mode, Policy, Reason, ScalingActive, Target};

const SLEEP: Work = Work {
    seconds: 2.0,
    cpu: 0.01,
};
const BURN: Work = Work {
    seconds: 1.25,
    cpu: 0.25,
};

type Log = Vec<(f64, u32, Decision)>;

/// Changes of size: (time, from, to, reason).
fn changes(log: &Log) -> Vec<(f64, u32, u32, Reason)> {
    let changed = log.iter().filter(|(_, before, decision)| decision.replicas != *before);
    changed
        .map(|(time, before, decision)| (*time, *before, decision.replicas, decision.reason))
        .collect()
}

fn show(log: &Log) -> String {
    let line = |(time, before, decision): &(f64, u32, Decision)| {
        format!("{time:5.0}s {before} {:?} {}", decision.reason, decision.message)
    };
    log.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_demo_goes_out_in_and_to_zero_and_back() {
    let policy = demo_policy();
    let mut world = World::new(1, 4, 0.2);
    let quiet = world.live(&policy, 60.0, 1.0, SLEEP);
    assert!(world.replicas <= 2, "{}", show(&quiet));

    let out = world.live(&policy, 90.0, 10.0, SLEEP);
    assert!((6..=8).contains(&world.replicas), "{}", show(&out));
    let (first, ..) = changes(&out)[0];
    assert!(first <= 70.0, "reacts within two polls\n{}", show(&out));

    let hot = world.live(&policy, 90.0, 2.0, BURN);
    assert!(
        changes(&hot).iter().any(|change| change.3 == Reason::CpuUtilization),
        "{}",
        show(&hot)
    );
    assert!((3..=6).contains(&world.replicas), "{}", show(&hot));

    let calm = world.live(&policy, 150.0, 0.5, SLEEP);
    assert!(world.replicas <= 2, "{}", show(&calm));

    let idle = world.live(&policy, 60.0, 0.0, SLEEP);
    assert_eq!(
        changes(&idle).last().map(|change| (change.2, change.3)),
        Some((0, Reason::IdleToZero)),
        "{}",
        show(&idle)
    );

    world.burst(40, SLEEP);
    let woken = world.live(&policy, 20.0, 0.0, SLEEP);
    let change = changes(&woken)[0];
    assert_eq!((change.1, change.3), (0, Reason::WokenFromZero));
    assert!(change.2 >= 3, "to the size that demand needs\n{}", show(&woken));
    assert_eq!(world.backlog(), 0);
    assert_eq!(
        world.started,
        world.finished + world.running() as u64,
        "no task is lost"
    );
}

#[test]
fn a_fleet_that_keeps_up_is_not_an_idle_one() {
    let policy = demo_policy();
    let mut world = World::new(6, 4, 1.0);
    let log = world.live(&policy, 600.0, 8.0, SLEEP);
    assert!(
        log.iter().all(|(_, _, decision)| decision.replicas >= 4),
        "{}",
        show(&log)
    );
    let late = world.waits.iter().filter(|wait| **wait > 5.0).count();
    assert!(late * 100 <= world.waits.len(), "{late} of {} late", world.waits.len());
}

#[test]
fn steady_load_changes_direction_at_most_once_in_ten_minutes() {
    let policy = Policy::new(1, 40).expect("valid");
    let mut world = World::new(10, 10, 1.0);
    world.live(&policy, 900.0, 20.0, SLEEP);
    let log = world.live(&policy, 600.0, 20.0, SLEEP);
    let directions: Vec<bool> = changes(&log).iter().map(|(_, from, to, _)| to > from).collect();
    let reversals = directions.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(reversals <= 1, "{}", show(&log));
}

#[test]
fn cpu_bound_pods_settle_at_the_target() {
    let policy = Policy::new(1, 60).expect("valid");
    let work = Work { seconds: 0.5, cpu: 0.5 };
    let mut world = World::new(10, 20, 1.0);
    world.live(&policy, 1200.0, 20.0, work);
    let log = world.live(&policy, 600.0, 20.0, work);
    let used: Vec<f64> = log
        .iter()
        .filter_map(|(_, _, decision)| decision.cpu_utilization)
        .collect();
    let utilization = used.iter().sum::<f64>() / used.len() as f64;
    // Whole pods and the window's caution against chance cost what is missing to 80 %.
    assert!((0.70..=0.82).contains(&utilization), "{utilization}\n{}", show(&log));
    assert!(
        log.iter()
            .all(|(_, _, decision)| decision.reason != Reason::ScheduleToStart),
        "{}",
        show(&log)
    );
}

#[test]
fn tasks_of_hours_keep_their_pods_and_are_staffed_one_slot_each() {
    let policy = demo_policy();
    let hours = Work {
        seconds: 7200.0,
        cpu: 1.0,
    };
    let mut world = World::new(1, 4, 1.0);
    world.burst(20, hours);
    let out = world.live(&policy, 300.0, 0.0, hours);
    assert!(world.replicas >= 5, "{}", show(&out));
    assert_eq!((world.backlog(), world.running()), (0, 20));
    let later = world.live(&policy, 1800.0, 0.0, hours);
    let enough = later.iter().all(|(_, _, decision)| decision.replicas * 4 >= 20);
    assert!(enough, "never below what runs\n{}", show(&later));
}

#[test]
fn while_the_server_is_away_nothing_leaves_and_growth_is_bounded() {
    let policy = demo_policy();
    let mut world = World::new(4, 4, 1.0);
    world.live(&policy, 120.0, 5.0, SLEEP);
    let before = world.replicas;
    world.dark = true;
    let log = world.live(&policy, 300.0, 0.0, SLEEP);
    assert!(
        log.iter().all(|(_, _, decision)| decision.replicas == before),
        "{}",
        show(&log)
    );
    let (_, _, last) = log.last().expect("decided");
    assert_eq!(
        (last.reason, last.active.reason),
        (Reason::Hold, ScalingActive::SignalsUnknown)
    );
    assert_eq!(
        last.message,
        format!("hold: queue orders/Activity: deadline exceeded -> {before}")
    );

    let log = world.live(&policy, 300.0, 30.0, SLEEP);
    assert!(world.replicas > before, "full workers may grow\n{}", show(&log));
    assert!(
        f64::from(world.replicas) <= (1.5 * f64::from(before)).ceil(),
        "{}",
        show(&log)
    );

    world.dark = false;
    let log = world.live(&policy, 10.0, 0.0, SLEEP);
    assert_eq!(log[0].2.active.reason, ScalingActive::SignalsValid);
}

/// A fleet under 20 busy slots for five minutes, with a memory target of 80 %: its size, and what it says last of the target.
fn sized_by_memory(held: Option<[f64; 3]>) -> (u32, Decision, String) {
    let policy = Policy {
        memory_utilization: Some(0.8),
        ..demo_policy()
    };
    let mut world = World::new(2, 20, 4.0);
    world.held = held;
    let log = world.live(&policy, 300.0, 10.0, SLEEP);
    let (_, _, last) = log.last().cloned().expect("decided");
    (world.replicas, last, show(&log))
}

fn memory_target(decision: &Decision) -> (&str, u32) {
    let mut targets = decision.targets.iter();
    let found = targets.find(|report| report.target == Target::MemoryUtilization);
    found
        .map(|report| (report.current.as_str(), report.recommended))
        .expect("the target is on")
}

#[test]
fn a_fleet_whose_tasks_hold_memory_is_sized_by_it() {
    // 7.5 slots fit under the target, and latency alone asks for two pods of 20.
    let (replicas, last, log) = sized_by_memory(Some([100.0, 40.0, 500.0]));
    assert!((3..=4).contains(&replicas), "{log}");
    assert!(
        last.message.contains("x 40Mi / (500Mi x 80% - 100Mi)"),
        "{}",
        last.message
    );
    assert!((3..=4).contains(&memory_target(&last).1), "{log}");
    let lines: Vec<&str> = last.arithmetic.iter().map(|line| line.text.as_str()).collect();
    assert!(
        lines.iter().any(|text| text.starts_with("MemoryUtilization ")),
        "{lines:?}"
    );
}

#[test]
fn a_memory_target_that_idle_pods_miss_asks_for_no_crowd() {
    let (replicas, last, log) = sized_by_memory(Some([450.0, 1.0, 500.0]));
    assert!(replicas <= 3, "{log}");
    assert!(memory_target(&last).0.starts_with('9'), "{:?}", memory_target(&last));
    let (_, beyond, _) = sized_by_memory(Some([600.0, 20.0, 500.0]));
    let text = format!("{beyond:?}");
    assert!(text.contains("since an idle pod holds"), "{text}");
}

#[test]
fn without_a_word_of_memory_its_target_does_not_count() {
    let (replicas, last, log) = sized_by_memory(None);
    assert!(replicas <= 2, "{log}");
    assert_eq!(memory_target(&last), ("Unavailable", 0));
}

#[test]
fn a_fallback_counts_after_its_failed_reads_and_makes_no_fleet_smaller() {
    for (replicas, fixed) in [(7, false), (7, true), (1, false), (1, true)] {
        let fallback = Some(Fallback {
            replicas,
            failures: 3,
            fixed,
        });
        let policy = Policy {
            fallback,
            ..demo_policy()
        };
        let mut world = World::new(4, 4, 1.0);
        world.live(&policy, 120.0, 5.0, SLEEP);
        let before = world.replicas;
        assert!((2..=6).contains(&before));
        world.dark = true;
        let dark = world.now;
        let log = world.live(&policy, 120.0, 0.0, SLEEP);
        assert_eq!(world.replicas, before.max(replicas), "{}", show(&log));
        let (_, _, last) = log.last().expect("decided");
        assert_eq!(last.active.reason, ScalingActive::FallbackActive);
        let changes = changes(&log);
        assert_eq!(changes.len(), usize::from(replicas > before), "{}", show(&log));
        for (time, _, to, reason) in changes {
            assert_eq!((to, reason), (replicas, Reason::Fallback));
            assert!((30.0..=60.0).contains(&(time - dark)), "{time} s\n{}", show(&log));
        }
        world.dark = false;
        let log = world.live(&policy, 10.0, 0.0, SLEEP);
        assert_eq!(log[0].2.active.reason, ScalingActive::SignalsValid);
    }
}

#[test]
fn full_workers_add_to_a_fallback_unless_it_is_fixed() {
    let size = |fixed| {
        let fallback = Some(Fallback {
            replicas: 4,
            failures: 3,
            fixed,
        });
        let policy = Policy {
            fallback,
            ..demo_policy()
        };
        let mut world = World::new(3, 4, 1.0);
        world.live(&policy, 120.0, 4.0, SLEEP);
        world.dark = true;
        world.live(&policy, 90.0, 4.0, SLEEP);
        let calm = world.replicas;
        world.live(&policy, 300.0, 30.0, SLEEP);
        (calm, world.replicas)
    };
    let (calm, full) = size(false);
    let most = (1.5 * f64::from(calm)).ceil() as u32;
    assert!(full > calm && full <= most, "{calm} then {full}: half as many again");
    let (calm, full) = size(true);
    assert_eq!(calm, full);
}

#[test]
fn a_fleet_at_zero_is_woken_by_its_fallback() {
    let policy = Policy {
        fallback: Some(Fallback {
            replicas: 2,
            failures: 3,
            fixed: false,
        }),
        ..demo_policy()
    };
    let mut world = World::new(1, 4, 1.0);
    world.live(&policy, 300.0, 0.0, SLEEP);
    assert_eq!(world.replicas, 0);
    world.dark = true;
    world.live(&policy, 90.0, 0.0, SLEEP);
    assert_eq!(world.replicas, 2, "what waits is not known");
}

#[test]
fn a_restart_in_the_middle_of_the_window_begins_it_anew() {
    let policy = Policy::new(1, 20).expect("valid");
    let mut world = World::new(8, 4, 1.0);
    world.live(&policy, 60.0, 10.0, SLEEP);
    let size = world.replicas;
    world.live(&policy, 200.0, 0.5, SLEEP);
    assert_eq!(world.replicas, size, "the window is not full");
    world.restart();
    let log = world.live(&policy, 290.0, 0.5, SLEEP);
    assert!(changes(&log).is_empty(), "{}", show(&log));
    let log = world.live(&policy, 400.0, 0.5, SLEEP);
    let changes = changes(&log);
    assert!(changes.len() >= 3, "{}", show(&log));
    for pair in changes.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= 30.0, "steps keep their distance");
        assert!(pair[0].1 - pair[0].2 <= (pair[0].1 / 4).max(1), "a quarter at most");
    }
}

#[test]
fn estimates_survive_a_restart_at_zero() {
    let policy = demo_policy();
    let mut world = World::new(2, 4, 1.0);
    world.live(
        &policy,
        120.0,
        3.0,
        Work {
            seconds: 10.0,
            cpu: 0.1,
        },
    );
    world.live(&policy, 120.0, 0.0, SLEEP);
    assert_eq!(world.replicas, 0);
    world.restart();
    world.tick(&policy);
    assert_eq!(world.replicas, 0, "an empty queue wakes nobody");
    world.run(5.0, 0.0, SLEEP);
    world.burst(
        30,
        Work {
            seconds: 10.0,
            cpu: 0.1,
        },
    );
    let decision = world.tick(&policy);
    assert_eq!(decision.reason, Reason::WokenFromZero);
    assert!(decision.replicas >= 4, "{}", decision.message);
}

#[test]
fn images_without_a_report_follow_the_queue_and_never_go_to_zero() {
    let policy = demo_policy();
    let mut world = World::new(1, 4, 1.0);
    world.silent = true;
    world.live(&policy, 60.0, 1.0, SLEEP);
    let log = world.live(&policy, 180.0, 6.0, SLEEP);
    assert!(world.replicas >= 3, "{}", show(&log));
    assert_eq!(log[0].2.active.reason, ScalingActive::SignalsDegraded);
    assert!(world.backlog() < 30, "{} wait\n{}", world.backlog(), show(&log));
    let log = world.live(&policy, 600.0, 0.0, SLEEP);
    assert_eq!(world.replicas, 1, "{}", show(&log));
}

#[test]
fn a_report_that_is_missing_is_a_full_pod_for_scale_in_and_forbids_zero() {
    let policy = demo_policy();
    let mut world = World::new(4, 4, 1.0);
    world.live(&policy, 60.0, 4.0, SLEEP);
    let size = world.replicas;
    world.silent = true;
    let log = world.live(&policy, 900.0, 0.0, SLEEP);
    assert!(changes(&log).is_empty(), "{}", show(&log));
    assert_eq!(world.replicas, size);
}

#[test]
fn dry_run_and_off_recommend_and_keep() {
    for (mode, reason) in [
        (Mode::DryRun, ScalingActive::DryRun),
        (Mode::Off, ScalingActive::TurnedOff),
    ] {
        let policy = Policy { mode, ..demo_policy() };
        let mut world = World::new(1, 4, 1.0);
        let log = world.live(&policy, 120.0, 10.0, SLEEP);
        let (_, _, last) = log.last().expect("decided");
        assert_eq!((world.replicas, last.replicas, last.active.reason), (1, 1, reason));
        assert!(last.recommended >= 6, "{}", last.message);
    }
}

#[test]
fn the_maximum_holds_and_says_what_is_missing() {
    let policy = Policy {
        max_replicas: 3,
        ..demo_policy()
    };
    let mut world = World::new(1, 4, 1.0);
    let log = world.live(&policy, 120.0, 10.0, SLEEP);
    let (_, _, last) = log.last().expect("decided");
    assert_eq!((world.replicas, last.limited.reason), (3, Limited::AtMaxReplicas));
    assert!(last.message.ends_with("-> 3"), "{}", last.message);
    assert!(log.iter().all(|(_, _, decision)| decision.replicas <= 3));
}
