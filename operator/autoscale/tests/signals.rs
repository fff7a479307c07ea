//! What the server says and what is not to be believed of it: backlogs that nobody gets, and backlogs that are gone all at once.

mod common;

use common::{Work, World, at, demo_policy};
use fleet_autoscale::{Decision, Limited, Policy, Reason, ScaleDownBehavior, Seen, SelectPolicy, decide};
use jiff::SignedDuration;
use proptest::prelude::*;

const SLEEP: Work = Work {
    seconds: 2.0,
    cpu: 0.01,
};

type Log = Vec<(f64, u32, Decision)>;

fn show(log: &Log) -> String {
    let line = |(time, before, decision): &(f64, u32, Decision)| {
        format!("{time:5.0}s {before} {:?} {}", decision.reason, decision.message)
    };
    log.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn ghostly(decision: &Decision) -> bool {
    decision.message.contains("count for nothing")
}

/// A fleet that has met 300 tasks that nobody gets, ten minutes ago.
fn haunted(policy: &Policy) -> (World, Log) {
    let mut world = World::new(1, 4, 1.0);
    world.live(policy, 60.0, 1.0, SLEEP);
    world.live(policy, 30.0, 0.0, SLEEP);
    world.ghosts = (300, world.now);
    let log = world.live(policy, 600.0, 0.0, SLEEP);
    (world, log)
}

#[test]
fn a_backlog_that_nobody_gets_is_left_to_one_pod() {
    let policy = demo_policy();
    let (mut world, log) = haunted(&policy);
    let first = log.iter().position(|(_, _, decision)| ghostly(decision));
    let first = first.unwrap_or_else(|| panic!("{}", show(&log)));
    let after = log[first].0 - log[0].0;
    assert!((300.0..=345.0).contains(&after), "{after} s\n{}", show(&log));
    assert!(log[first..].iter().all(|(_, _, decision)| ghostly(decision)));
    assert_eq!(world.replicas, 1, "{}", show(&log));
    let (_, _, last) = log.last().expect("decided");
    assert_eq!(last.limited.reason, Limited::GhostBacklog);
    assert_eq!(
        last.message,
        "no load -> 0; 300 tasks of queue orders/Activity count for nothing: none was added or dispatched for 5 min beside free \
         slots, as if they had expired; one pod keeps asking for them -> 1"
    );
    let later = world.live(&policy, 3600.0, 0.0, SLEEP);
    assert!(
        later.iter().all(|(_, _, decision)| decision.replicas == 1),
        "never to zero\n{}",
        show(&later)
    );
}

#[test]
fn a_task_that_comes_ends_the_verdict_and_the_ghosts_end_leaves_the_fleet_to_go_to_zero() {
    let policy = demo_policy();
    let (mut world, _) = haunted(&policy);
    world.burst(1, SLEEP);
    let log = world.live(&policy, 60.0, 0.0, SLEEP);
    assert!(!ghostly(&log[0].2), "{}", show(&log));
    assert!(log.iter().all(|(_, _, decision)| !ghostly(decision)));
    let log = world.live(&policy, 600.0, 0.0, SLEEP);
    assert!(ghostly(&log.last().expect("decided").2), "{}", show(&log));
    world.ghosts = (0, 0.0);
    let log = world.live(&policy, 120.0, 0.0, SLEEP);
    assert!(!ghostly(&log[0].2));
    assert_eq!(world.replicas, 0, "{}", show(&log));
}

#[test]
fn a_fleet_at_zero_gets_one_pod_for_its_ghosts() {
    let policy = demo_policy();
    let (mut world, _) = haunted(&policy);
    world.scale(0);
    world.restart();
    let decision = world.tick(&policy);
    assert_eq!((decision.replicas, decision.reason), (1, Reason::WokenFromZero));
    assert!(
        ghostly(&decision),
        "the verdict outlives a restart: {}",
        decision.message
    );
}

#[test]
fn what_is_not_known_is_no_ghost_and_ends_none() {
    let policy = demo_policy();
    let mut world = World::new(1, 4, 1.0);
    world.live(&policy, 60.0, 1.0, SLEEP);
    world.ghosts = (300, world.now);
    // Every four minutes the server is away for a moment.
    for _ in 0..4 {
        let log = world.live(&policy, 240.0, 0.0, SLEEP);
        assert!(log.iter().all(|(_, _, decision)| !ghostly(decision)), "{}", show(&log));
        world.dark = true;
        world.live(&policy, 5.0, 0.0, SLEEP);
        world.dark = false;
    }
    world.live(&policy, 330.0, 0.0, SLEEP);
    world.dark = true;
    let log = world.live(&policy, 600.0, 0.0, SLEEP);
    assert!(log.iter().all(|(_, _, decision)| !ghostly(decision)), "{}", show(&log));
    world.dark = false;
    assert!(ghostly(&world.tick(&policy)), "the same tasks are still there");
}

#[test]
fn busy_slots_and_silent_pods_show_no_ghosts() {
    let policy = demo_policy();
    let hours = Work {
        seconds: 7200.0,
        cpu: 1.0,
    };
    let mut world = World::new(8, 4, 1.0);
    world.burst(40, hours);
    let log = world.live(&policy, 1800.0, 0.0, hours);
    assert!(log.iter().all(|(_, _, decision)| !ghostly(decision)), "{}", show(&log));
    let mut world = World::new(2, 4, 1.0);
    world.silent = true;
    world.live(&policy, 60.0, 1.0, SLEEP);
    world.ghosts = (30, world.now);
    let log = world.live(&policy, 1800.0, 0.0, SLEEP);
    assert!(log.iter().all(|(_, _, decision)| !ghostly(decision)), "{}", show(&log));
}

/// Pods that report nothing, and a window that does not wait: all hangs on the backlog.
fn hasty() -> Policy {
    let policy = demo_policy();
    Policy {
        min_replicas: 1,
        scale_down: Some(ScaleDownBehavior {
            stabilization_window: SignedDuration::from_secs(0),
            select_policy: SelectPolicy::Max,
            policies: Vec::new(),
        }),
        ..policy
    }
}

/// A fleet with a pile that takes it minutes.
fn piled(policy: &Policy) -> World {
    let mut world = World::new(8, 4, 1.0);
    world.silent = true;
    world.burst(3000, SLEEP);
    world.live(policy, 60.0, 0.0, SLEEP);
    assert_eq!(world.replicas, 8);
    world
}

fn least(log: &Log) -> u32 {
    log.iter().map(|(_, _, decision)| decision.replicas).min().unwrap_or(0)
}

#[test]
fn a_backlog_that_is_gone_at_once_is_believed_from_the_third_answer_on() {
    let policy = hasty();
    let mut world = piled(&policy);
    world.unloaded = true;
    let moment = world.live(&policy, 10.0, 0.0, SLEEP);
    assert_eq!(least(&moment), 8, "{}", show(&moment));
    let doubt = "the backlog of queue orders/Activity fell from 2104 to 0 without so many dispatches (answers still to confirm it: 1) -> 8";
    assert!(moment[1].2.message.ends_with(doubt), "{}", show(&moment));
    world.unloaded = false;
    let back = world.live(&policy, 30.0, 0.0, SLEEP);
    assert_eq!(least(&back), 8, "{}", show(&back));
    world.unloaded = true;
    let gone = world.live(&policy, 40.0, 0.0, SLEEP);
    let first = gone
        .iter()
        .position(|(_, before, decision)| decision.replicas < *before);
    let first = first.unwrap_or_else(|| panic!("it goes in at last\n{}", show(&gone)));
    assert_eq!(first, 2, "{}", show(&gone));
}

#[test]
fn a_backlog_that_is_worked_off_is_believed_at_once() {
    let policy = demo_policy();
    let mut world = World::new(8, 4, 1.0);
    world.burst(300, SLEEP);
    let log = world.live(&policy, 120.0, 1.0, SLEEP);
    let doubted = log
        .iter()
        .filter(|(_, _, decision)| decision.message.contains("to confirm it"));
    assert_eq!(doubted.count(), 0, "{}", show(&log));
    assert!(world.replicas < 8, "{}", show(&log));
}

/// What an answer of the server brings, after the same as before.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Same,
    Added,
    Dispatched,
    Fell,
    Rose,
    Younger,
    Missing,
    Busy,
}

fn answer() -> impl Strategy<Value = Answer> {
    use Answer::{Added, Busy, Dispatched, Fell, Missing, Rose, Same, Younger};
    let moves = prop::sample::select(vec![Added, Busy, Dispatched, Fell, Missing, Rose, Younger]);
    prop_oneof![60 => Just(Same), 1 => moves]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_ghost_is_what_did_not_move_for_five_minutes(
        steps in prop::collection::vec((10.0..15.0_f64, answer(), prop::bool::weighted(0.01)), 120)
    ) {
        let policy = Policy::new(0, 20).expect("valid");
        let mut world = World::new(1, 4, 1.0);
        let (mut backlog, mut oldest) = (300, world.now);
        let (mut quiet, mut verdict) = (None, false);
        for (seconds, answer, restart) in steps {
            world.now += seconds;
            if restart {
                world.restart();
                quiet = None;
            }
            match answer {
                Answer::Fell => backlog -= 1,
                Answer::Rose => backlog += 1,
                Answer::Younger => oldest = world.now - 1.0,
                Answer::Same | Answer::Added | Answer::Dispatched | Answer::Missing | Answer::Busy => {}
            }
            world.ghosts = (backlog, oldest);
            world.dark = answer == Answer::Missing;
            let mut sample = world.sample();
            if let Seen::Known(stats) = &mut sample.queues[0].stats {
                stats.add_rate = if answer == Answer::Added { 0.1 } else { 0.0 };
                stats.dispatch_rate = if answer == Answer::Dispatched { 0.1 } else { 0.0 };
            }
            if answer == Answer::Busy {
                for pod in &mut sample.pods {
                    if let Seen::Known(report) = &mut pod.report {
                        report.slots[0].used = 4;
                    }
                }
            }
            let now = world.now;
            match answer {
                Answer::Same | Answer::Fell | Answer::Rose | Answer::Younger => {
                    if answer != Answer::Same {
                        (quiet, verdict) = (None, false);
                    }
                    let since = *quiet.get_or_insert(now);
                    verdict |= now - since >= 300.0;
                }
                Answer::Added | Answer::Dispatched => (quiet, verdict) = (None, false),
                Answer::Missing | Answer::Busy => quiet = None,
            }
            let (decision, memory) = decide(&policy, &world.memory, &sample, at(now));
            world.memory = memory;
            prop_assert!(decision.replicas >= 1);
            if answer != Answer::Missing {
                prop_assert_eq!(ghostly(&decision), verdict, "{} at {}", decision.message, now);
            }
        }
    }

    #[test]
    fn no_fall_of_half_a_backlog_is_followed_by_a_scale_in_before_the_third_answer(
        steps in prop::collection::vec((5.0..15.0_f64, prop::option::weighted(0.9, prop::sample::select(vec![0, 10, 400, 500, 3000]))), 60)
    ) {
        let policy = hasty();
        let mut world = World::new(8, 4, 1.0);
        world.silent = true;
        let mut answers = Vec::new();
        for (seconds, backlog) in steps {
            world.now += seconds;
            world.dark = backlog.is_none();
            // A task that waits for less than the objective forbids nothing.
            world.ghosts = (backlog.unwrap_or(0), world.now - 1.0);
            answers.extend(backlog);
            let decision = world.tick(&policy);
            if decision.replicas < 8 {
                let last = answers.iter().rev().take(4).copied().collect::<Vec<u64>>();
                let falls = last.windows(2).take(2).filter(|pair| 2 * pair[0] < pair[1] && 2 * last[0] < pair[1]).count();
                prop_assert_eq!(falls, 0, "{:?} {}", answers, decision.message);
                world.scale(8);
                world.run(10.0, 0.0, SLEEP);
            }
        }
    }
}
