//! Bounds, holds and the way from zero, rule by rule and at their edges: `make mutants` changes the rules one place at a time, and a test here (or a unit
//! test, or a journey) must notice. The fleet is asked for `backlog / 10` pods and nothing else, so that each figure is a whole one.

mod common;

use common::fleet::{Fleet, by_backlog};
use fleet_autoscale::{
    Decision, Fallback, Limited, Policy, Reason, RuleKind, ScaleDownBehavior, ScalingRule, ScheduleToStart,
    SelectPolicy,
};
use jiff::SignedDuration;

fn told(decision: &Decision) -> (u32, Reason, Limited) {
    (decision.replicas, decision.reason, decision.limited.reason)
}

/// The first decision about such a fleet.
fn at_once(fleet: &Fleet) -> (u32, Reason, Limited) {
    told(&fleet.clone().decide())
}

use Limited::{AtMaxReplicas, AtMinReplicas, LimitedByBehavior, WithinBounds};
use Reason::{BacklogPerReplica, Bounds, Hold, IdleToZero, WokenFromZero};

#[test]
fn growth_goes_to_what_is_asked_for_within_the_bounds() {
    let ask = |min, max, replicas, backlog| at_once(&Fleet::new(by_backlog(min, max), replicas).waiting(backlog));
    assert_eq!(ask(1, 10, 4, 70), (7, BacklogPerReplica, WithinBounds));
    assert_eq!(ask(1, 10, 4, 100), (10, BacklogPerReplica, WithinBounds));
    assert_eq!(ask(1, 10, 4, 1000), (10, BacklogPerReplica, AtMaxReplicas));
    assert_eq!(ask(1, 10, 10, 1000), (10, BacklogPerReplica, AtMaxReplicas));
    assert_eq!(ask(1, 10, 4, 40), (4, BacklogPerReplica, WithinBounds));
    assert_eq!(ask(5, 10, 4, 20), (5, Bounds, AtMinReplicas));
    assert_eq!(ask(5, 10, 4, 40), (5, Bounds, AtMinReplicas));
    assert_eq!(ask(5, 10, 3, 40), (5, Bounds, AtMinReplicas));
    assert_eq!(ask(5, 10, 4, 50), (5, BacklogPerReplica, WithinBounds));
    assert_eq!(ask(5, 10, 4, 60), (6, BacklogPerReplica, WithinBounds));
    assert_eq!(ask(5, 10, 5, 20), (5, Bounds, AtMinReplicas));
    assert_eq!(ask(5, 10, 5, 50), (5, BacklogPerReplica, WithinBounds));
}

#[test]
fn more_than_the_maximum_goes_at_once_if_that_is_known_to_be_now() {
    let above = Fleet::new(by_backlog(1, 10), 12).waiting(200);
    assert_eq!(at_once(&above), (10, Bounds, AtMaxReplicas));
    let late = Fleet {
        late: 40.0,
        ..above.clone()
    };
    assert_eq!(at_once(&late).0, 12, "not on old statistics");
    let blind = Fleet { known: false, ..above };
    assert_eq!(at_once(&blind).0, 12);
    let below_the_minimum = Fleet {
        late: 40.0,
        ..Fleet::new(by_backlog(20, 20), 12)
    };
    assert_eq!(at_once(&below_the_minimum).0, 20);
}

#[test]
fn at_zero_a_task_wakes_a_fleet_to_the_size_it_needs() {
    let ask = |min, max, backlog| {
        let mut fleet = Fleet::new(by_backlog(min, max), 1);
        fleet.decide();
        (fleet.replicas, fleet.ready, fleet.backlog) = (0, 0, backlog);
        told(&fleet.decide())
    };
    assert_eq!(ask(0, 10, 0), (0, IdleToZero, WithinBounds));
    assert_eq!(ask(0, 10, 1), (1, WokenFromZero, WithinBounds));
    assert_eq!(ask(0, 10, 55), (6, WokenFromZero, WithinBounds));
    assert_eq!(ask(0, 10, 100), (10, WokenFromZero, WithinBounds));
    assert_eq!(ask(0, 10, 101), (10, WokenFromZero, AtMaxReplicas));
    assert_eq!(ask(3, 10, 0), (3, Bounds, WithinBounds));
    assert_eq!(ask(3, 10, 30), (3, Bounds, WithinBounds));
    assert_eq!(ask(3, 10, 40), (4, WokenFromZero, WithinBounds));
    assert_eq!(
        at_once(&Fleet::new(by_backlog(0, 10), 0)),
        (1, WokenFromZero, WithinBounds),
        "never polled"
    );
    let mut added = Fleet::new(by_backlog(0, 10), 1);
    added.decide();
    (added.replicas, added.ready, added.add_rate) = (0, 0, 0.5);
    assert_eq!(told(&added.decide()).1, WokenFromZero);
    let mut dark = Fleet::new(by_backlog(0, 10), 1);
    dark.decide();
    (dark.replicas, dark.ready, dark.known) = (0, 0, false);
    assert_eq!(told(&dark.decide()), (0, Hold, WithinBounds));
}

/// A fleet whose server has just gone away; `change` says what its pods look like then.
fn dark(replicas: u32, min: u32, change: impl Fn(&mut Fleet)) -> (u32, Reason) {
    let mut fleet = Fleet::new(by_backlog(min, 100), replicas);
    fleet.backlog = u64::from(replicas) * 10;
    fleet.live(30);
    fleet.known = false;
    change(&mut fleet);
    let decision = fleet.decide();
    (decision.replicas, decision.reason)
}

#[test]
fn without_the_server_the_size_holds_and_full_workers_get_half_as_many_again() {
    assert_eq!(dark(8, 1, |_| {}), (8, Hold));
    assert_eq!(dark(8, 8, |_| {}), (8, Hold));
    assert_eq!(dark(8, 8, |fleet| fleet.policy.min_replicas = 9), (9, Bounds));
    assert_eq!(dark(8, 1, |fleet| fleet.used = 5), (8, Hold));
    assert_eq!(dark(8, 1, |fleet| fleet.used = 9), (8, Hold));
    let (grown, reason) = dark(8, 1, |fleet| fleet.used = 10);
    assert!((9..=12).contains(&grown) && reason != Hold, "{grown} {reason}");
    let starting = dark(8, 1, |fleet| (fleet.used, fleet.starting) = (10, 1));
    assert_eq!(starting, (8, Hold), "pods are on their way");
    // Reports that got lost are stood in for by the last ones for two intervals.
    let partly = |reporting| {
        dark(8, 1, |fleet| {
            (fleet.used, fleet.reporting) = (10, reporting);
            fleet.now += 35.0;
        })
    };
    assert_eq!(partly(3), (8, Hold));
    assert!(partly(4).0 > 8);
}

#[test]
fn growth_without_the_server_ends_at_half_as_many_again() {
    let mut fleet = Fleet::new(by_backlog(1, 100), 8);
    fleet.backlog = 80;
    fleet.live(30);
    (fleet.known, fleet.used) = (false, 10);
    let last = fleet.live(120);
    assert_eq!((last.replicas, last.reason), (12, Hold));
    fleet.policy.max_replicas = 10;
    let last = fleet.live(30);
    assert_eq!(last.replicas, 12, "nobody leaves for a maximum either");
}

#[test]
fn full_cpu_shows_full_workers_too() {
    let ask = |cpu: f64| {
        let mut fleet = Fleet::new(by_backlog(1, 100), 8);
        (fleet.backlog, fleet.cpu) = (80, cpu);
        fleet.live(200);
        fleet.known = false;
        fleet.pass();
        fleet.decide().replicas
    };
    assert_eq!(ask(0.85), 8);
    assert!(ask(0.95) > 8);
}

#[test]
fn a_fallback_raises_and_never_lowers() {
    let ask = |replicas: u32, fixed: bool, used: u32| {
        let policy = Policy {
            fallback: Some(Fallback {
                replicas: 9,
                failures: 1,
                fixed,
            }),
            ..by_backlog(1, 100)
        };
        let mut fleet = Fleet::new(policy, replicas);
        fleet.backlog = u64::from(replicas) * 10;
        fleet.live(30);
        (fleet.known, fleet.used) = (false, used);
        fleet.decide();
        fleet.now += 20.0;
        let decision = fleet.decide();
        (decision.replicas, decision.reason)
    };
    assert_eq!(ask(8, false, 0), (9, Reason::Fallback));
    assert_eq!(ask(9, false, 0), (9, Hold));
    assert_eq!(ask(12, false, 0), (12, Hold));
    assert_eq!(ask(12, true, 0), (12, Hold));
    let (grown, reason) = ask(12, false, 10);
    assert!(grown > 12 && reason != Reason::Fallback, "{grown} {reason}");
    assert_eq!(ask(12, true, 10), (12, Reason::Fallback));
}

/// A fleet of 20 under little demand, watched for long enough; `change` says what stands against a scale-in then.
fn calm(change: impl Fn(&mut Fleet)) -> Decision {
    let mut fleet = Fleet::new(by_backlog(1, 100), 20);
    (fleet.backlog, fleet.used, fleet.ends) = (30, 1, 100);
    for _ in 0..70 {
        fleet.decide();
        fleet.pass();
    }
    change(&mut fleet);
    fleet.decide()
}

#[test]
fn a_scale_in_is_a_step_and_each_doubt_forbids_it() {
    assert_eq!(told(&calm(|_| {})), (17, Reason::ScheduleToStart, LimitedByBehavior));
    let held = |why: &str, change: &dyn Fn(&mut Fleet)| {
        let decision = calm(change);
        assert_eq!((decision.replicas, decision.reason), (20, Hold), "{}", decision.message);
        assert!(decision.message.contains(why), "{why}: {}", decision.message);
    };
    held("too old", &|fleet| fleet.late = 31.0);
    held("away", &|fleet| fleet.known = false);
    held("report", &|fleet| fleet.reports_late = 31.0);
    held("being replaced", &|fleet| fleet.rolling = true);
    held("are starting", &|fleet| fleet.starting = 1);
    held("Disabled", &|fleet| {
        fleet.policy.scale_down = Some(ScaleDownBehavior {
            stabilization_window: SignedDuration::from_secs(60),
            select_policy: SelectPolicy::Disabled,
            policies: Vec::new(),
        });
    });
    held("waits 6 s", &|fleet| {
        fleet.policy.schedule_to_start = Policy::default().schedule_to_start;
        fleet.age = 6.0;
    });
    let patient = calm(|fleet| {
        fleet.policy.schedule_to_start = Policy::default().schedule_to_start;
        fleet.age = 5.0;
    });
    assert_eq!(patient.replicas, 17, "{}", patient.message);
    let late = |percentile: f64, waits: [u64; 2]| {
        move |fleet: &mut Fleet| {
            fleet.policy.schedule_to_start = Some(ScheduleToStart {
                seconds: 5.0,
                percentile,
            });
            fleet.waits = waits;
        }
    };
    held("2.0 % of the last minute's tasks", &late(99.0, [98, 2]));
    assert_eq!(calm(late(99.0, [199, 1])).replicas, 17);
    assert_eq!(calm(late(50.0, [1, 1])).replicas, 17, "as many as may");
    let working = calm(|fleet| fleet.used = 9);
    assert_eq!(working.replicas, 19, "{}", working.message);
    assert!(
        working.message.contains("180 running tasks need 19 pods"),
        "{}",
        working.message
    );
    held("watched", &|fleet| {
        // A clock that goes back is a gap.
        fleet.now -= 60.0;
    });
}

#[test]
fn a_scale_in_ends_at_demand_at_work_and_at_the_minimum() {
    let end = |min: u32, backlog: u64, used: u32| {
        let mut fleet = Fleet::new(by_backlog(min, 100), 10);
        (fleet.backlog, fleet.used) = (backlog, used);
        told(&fleet.live(1500))
    };
    assert_eq!(
        end(1, 30, 1),
        (4, Reason::ScheduleToStart, WithinBounds),
        "a fifth of a pod more"
    );
    assert_eq!(end(4, 30, 1), (4, Reason::ScheduleToStart, WithinBounds));
    assert_eq!(end(5, 30, 1), (5, Bounds, AtMinReplicas));
    assert_eq!(
        end(1, 0, 0),
        (1, Reason::ScheduleToStart, WithinBounds),
        "zero has a rule of its own"
    );
}

#[test]
fn steps_keep_their_distance() {
    let mut fleet = Fleet::new(by_backlog(1, 100), 20);
    (fleet.backlog, fleet.used) = (30, 1);
    let mut steps = Vec::new();
    for _ in 0..100 {
        let decision = fleet.decide();
        if decision.replicas != fleet.replicas {
            steps.push((fleet.now, fleet.replicas, decision.replicas));
        }
        fleet.follow(&decision);
        fleet.pass();
    }
    assert_eq!(steps[0], (1300.0, 20, 17), "a full window first");
    assert_eq!(steps[1], (1335.0, 17, 15));
    assert_eq!(steps[2], (1370.0, 15, 13));
}

#[test]
fn what_is_recommended_is_demand_within_bounds() {
    let ask = |min, max, replicas, backlog, used| {
        let mut fleet = Fleet::new(by_backlog(min, max), replicas).waiting(backlog);
        fleet.used = used;
        fleet.decide().recommended
    };
    assert_eq!(ask(1, 10, 8, 30, 1), 3);
    assert_eq!(ask(5, 10, 8, 30, 1), 5);
    assert_eq!(ask(1, 10, 8, 300, 1), 10);
    assert_eq!(ask(1, 10, 8, 10, 5), 5, "what runs");
    assert_eq!(ask(0, 10, 8, 0, 0), 1);
    let mut dark = Fleet::new(by_backlog(1, 10), 8).waiting(30);
    dark.known = false;
    assert_eq!(dark.decide().recommended, 8);
}

#[test]
fn a_rate_limit_holds_growth_and_nothing_else() {
    let limited = |replicas, backlog| {
        let mut fleet = Fleet::new(by_backlog(1, 10), replicas).waiting(backlog);
        fleet.rate_limited = true;
        at_once(&fleet)
    };
    assert_eq!(limited(4, 90), (4, BacklogPerReplica, Limited::RateLimited));
    assert_eq!(limited(4, 40), (4, BacklogPerReplica, Limited::RateLimited));
}

#[test]
fn what_is_held_back_may_still_grow_for_the_cpu_it_uses() {
    let mut fleet = Fleet::new(by_backlog(1, 10), 4).waiting(90);
    fleet.policy.cpu_utilization = Some(0.8);
    (fleet.rate_limited, fleet.cpu) = (true, 0.9);
    for _ in 0..40 {
        fleet.decide();
        fleet.pass();
    }
    let decision = fleet.decide();
    assert_eq!(
        told(&decision),
        (5, BacklogPerReplica, Limited::RateLimited),
        "4 x 0.9 / 0.8: {}",
        decision.message
    );
}

#[test]
fn after_scale_outs_that_did_not_help_the_next_one_is_of_half_the_size() {
    let mut fleet = Fleet::new(by_backlog(1, 100), 10);
    (fleet.used, fleet.slots) = (95, 100);
    let mut sizes = vec![10];
    for pass in 0..200 {
        fleet.backlog = match pass {
            0..20 => 100,
            20..60 => 200,
            60..100 => 300,
            _ => 400,
        };
        let decision = fleet.decide();
        if decision.replicas != fleet.replicas {
            sizes.push(decision.replicas);
        }
        fleet.follow(&decision);
        // So many tasks end in all, however many pods there are.
        fleet.ends = 500_000 / u64::from(fleet.ready);
        fleet.pass();
    }
    assert_eq!(sizes, [10, 20, 30, 35, 38, 39, 40]);
}

/// What is decided of a fleet that has been like this for long.
fn settled(min: u32, replicas: u32, backlog: u64, used: u32) -> Decision {
    let mut fleet = Fleet::new(by_backlog(min, 100), replicas);
    (fleet.backlog, fleet.used, fleet.ends) = (backlog, used, 100);
    for _ in 0..70 {
        fleet.decide();
        fleet.pass();
    }
    fleet.decide()
}

#[test]
fn the_last_step_says_what_ended_it() {
    assert_eq!(told(&settled(1, 5, 38, 1)), (4, BacklogPerReplica, WithinBounds));
    assert_eq!(told(&settled(5, 6, 30, 1)), (5, Bounds, AtMinReplicas));
    assert_eq!(told(&settled(4, 5, 30, 1)), (4, BacklogPerReplica, WithinBounds));
    for quiet in [settled(1, 5, 38, 1), settled(1, 5, 38, 7), settled(1, 10, 100, 1)] {
        assert!(
            !quiet.message.contains("95 % of") && !quiet.message.contains("running"),
            "{}",
            quiet.message
        );
    }
    let mut fleet = Fleet::new(by_backlog(1, 100), 10).waiting(100);
    fleet.decide();
    fleet.pass();
    fleet.backlog = 60;
    let held = fleet.decide();
    assert!(
        held.message.ends_with("95 % of 300 s asked for 11 or less -> 10"),
        "{}",
        held.message
    );
}

#[test]
fn the_owners_rules_have_a_step_of_their_own() {
    let mut fleet = Fleet::new(by_backlog(1, 100), 20);
    (fleet.backlog, fleet.used, fleet.ends) = (30, 1, 100);
    fleet.policy.scale_down = Some(ScaleDownBehavior {
        stabilization_window: SignedDuration::from_secs(60),
        select_policy: SelectPolicy::Max,
        policies: vec![ScalingRule {
            kind: RuleKind::Pods,
            value: 2,
            period: SignedDuration::from_secs(15),
        }],
    });
    let mut steps = Vec::new();
    for _ in 0..24 {
        let decision = fleet.decide();
        if decision.replicas != fleet.replicas {
            assert_eq!(decision.reason, Reason::Behavior);
            steps.push((fleet.now, fleet.replicas, decision.replicas));
        }
        fleet.follow(&decision);
        fleet.pass();
    }
    assert_eq!(steps[..3], [(1060.0, 20, 18), (1080.0, 18, 16), (1100.0, 16, 14)]);
}

#[test]
fn a_clock_that_was_ahead_holds_no_scale_in_back() {
    const AHEAD: f64 = 6.0 * 3600.0;
    let mut fleet = Fleet::new(by_backlog(1, 100), 20);
    (fleet.backlog, fleet.used, fleet.ends) = (100, 1, 100);
    fleet.policy.scale_down = Some(ScaleDownBehavior {
        stabilization_window: SignedDuration::from_secs(60),
        select_policy: SelectPolicy::Max,
        policies: vec![ScalingRule {
            kind: RuleKind::Pods,
            value: 1,
            period: SignedDuration::from_secs(60),
        }],
    });
    fleet.now += AHEAD;
    fleet.live(300);
    let before = fleet.replicas;
    assert!((11..20).contains(&before), "{before}");
    // The last answer of that time is one that has to be confirmed.
    fleet.backlog = 40;
    fleet.pass();
    fleet.decide();
    fleet.now -= AHEAD;
    fleet.live(600);
    assert!(fleet.replicas <= before - 5, "{before} then {}", fleet.replicas);
}
