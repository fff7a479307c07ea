//! The way to zero, rule by rule: `make mutants` changes `zero.rs` one place at a time, and a test here notices.

mod common;

use common::fleet::{Fleet, by_backlog};
use fleet_autoscale::{ScaleDownBehavior, SelectPolicy};
use jiff::SignedDuration;

/// An idle fleet of two pods, for more than its cooldown of 60 s; `change` says what is different all the while.
fn idle(change: impl Fn(&mut Fleet)) -> u32 {
    let mut fleet = Fleet::new(by_backlog(0, 10), 2);
    change(&mut fleet);
    let mut least = fleet.replicas;
    for _ in 0..20 {
        least = least.min(fleet.decide().replicas);
        fleet.pass();
    }
    least
}

#[test]
fn to_zero_only_if_all_is_known_to_be_idle() {
    assert_eq!(idle(|_| {}), 0);
    assert_eq!(idle(|fleet| fleet.backlog = 1), 2);
    assert_eq!(idle(|fleet| fleet.used = 1), 2);
    assert_eq!(idle(|fleet| fleet.add_rate = 0.1), 2);
    assert_eq!(idle(|fleet| fleet.ends = 1), 2, "tasks ended");
    assert_eq!(idle(|fleet| fleet.known = false), 2);
    assert_eq!(idle(|fleet| fleet.late = 31.0), 2);
    assert_eq!(idle(|fleet| fleet.reporting = 1), 2);
    assert_eq!(idle(|fleet| fleet.reports_late = 31.0), 2);
    assert_eq!(idle(|fleet| fleet.ready = 1), 2, "a pod that is not seen may work");
    assert_eq!(idle(|fleet| fleet.starting = 1), 2);
    assert_eq!(idle(|fleet| fleet.rolling = true), 2);
    assert_eq!(idle(|fleet| fleet.policy.min_replicas = 1), 2);
    assert_eq!(
        idle(|fleet| fleet.policy.scale_down = Some(ScaleDownBehavior {
            stabilization_window: SignedDuration::from_secs(300),
            select_policy: SelectPolicy::Disabled,
            policies: Vec::new(),
        })),
        2
    );
}

#[test]
fn to_zero_after_the_whole_cooldown_and_any_doubt_begins_it_anew() {
    let first = |doubt_at: f64, cooldown: i64| {
        let mut fleet = Fleet::new(by_backlog(0, 10), 2);
        fleet.policy.cooldown = SignedDuration::from_secs(cooldown);
        for _ in 0..100 {
            fleet.known = (fleet.now - doubt_at).abs() > 0.1;
            if fleet.decide().replicas == 0 {
                return fleet.now - 1000.0;
            }
            fleet.pass();
        }
        f64::INFINITY
    };
    assert!((first(0.0, 60) - 60.0).abs() < 0.1);
    assert!((first(1030.0, 60) - 95.0).abs() < 0.1);
    // Pods of this fleet took 5 s to start.
    assert!((first(0.0, 0) - 10.0).abs() < 0.1, "{}", first(0.0, 0));
    assert!((first(0.0, 120) - 120.0).abs() < 0.1);
}

#[test]
fn pods_that_start_hold_the_way_to_zero_up_and_do_not_begin_it_anew() {
    // Each scale-in by quarantine makes a pod in the place of the one that leaves, which goes again as soon as the size is lowered.
    let first = |from: f64, until: f64, change: &dyn Fn(&mut Fleet)| {
        let mut fleet = Fleet::new(by_backlog(0, 10), 2);
        for _ in 0..100 {
            (fleet.ready, fleet.reporting, fleet.starting, fleet.used) = (2, 2, 0, 0);
            if (from..until).contains(&(fleet.now - 1000.0)) {
                change(&mut fleet);
            }
            if fleet.decide().replicas == 0 {
                return (fleet.now - 1000.0).round() as u32;
            }
            fleet.pass();
        }
        u32::MAX
    };
    let replaced = |fleet: &mut Fleet| (fleet.ready, fleet.reporting, fleet.starting) = (1, 1, 1);
    let unseen = |fleet: &mut Fleet| (fleet.ready, fleet.reporting) = (1, 1);
    for short_of_pods in [&replaced as &dyn Fn(&mut Fleet), &unseen] {
        assert_eq!(first(20.0, 40.0, short_of_pods), 60);
        assert_eq!(first(20.0, 90.0, short_of_pods), 90, "never without all pods");
        assert_eq!(
            first(0.0, 30.0, short_of_pods),
            90,
            "it does not begin without them either"
        );
    }
    let busy = |fleet: &mut Fleet| (fleet.starting, fleet.used) = (1, 1);
    assert_eq!(first(20.0, 40.0, &busy), 100, "a task does begin it anew");
}
