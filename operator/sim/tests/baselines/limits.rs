//! HPA: stabilisation, rates and bounds.

use fleet_sim::baselines::hpa::normalize::{Bounds, Change, History};
use fleet_sim::baselines::hpa::{Behavior, Hpa, Kind, Metric, Policy, Rules, Select};

use crate::fixtures::waiting;

const BOUNDS: Bounds = Bounds { min: 1, max: 100 };

fn change(now: f64, current: u32, desired: u32) -> Change {
    Change { now, current, desired }
}

/// An HPA wants one task per replica, so that the backlog is its wish.
fn sync(hpa: &mut Hpa, now: f64, replicas: u32, wish: u64) -> Option<u32> {
    let metric = Metric::AverageValue {
        usage: Some(wish as f64),
        target: 1.0,
    };
    hpa.sync(&waiting(now, replicas, wish), &[metric])
}

#[test]
fn without_behavior_the_largest_wish_of_five_minutes_stands() {
    let mut history = History::default();
    assert_eq!(history.without_behavior(change(0.0, 10, 10), BOUNDS), 10);
    for step in 1..=20 {
        let now = 15.0 * f64::from(step);
        assert_eq!(history.without_behavior(change(now, 10, 3), BOUNDS), 10, "at {now} s");
    }
    assert_eq!(history.without_behavior(change(315.0, 10, 3), BOUNDS), 3);
}

#[test]
fn the_size_at_the_start_counts_as_a_wish() {
    let mut hpa = Hpa::new(1, 100, None);
    let mut now = 0.0;
    while sync(&mut hpa, now, 8, 2).is_none() {
        now += 15.0;
    }
    assert_eq!(now as u32, 315);
}

#[test]
fn without_behavior_a_sync_doubles_at_most_but_may_always_reach_four() {
    let mut hpa = Hpa::new(1, 30, None);
    let sizes: Vec<u32> = [1, 4, 8, 16]
        .into_iter()
        .zip([0.0, 15.0, 30.0, 45.0])
        .filter_map(|(replicas, now)| sync(&mut hpa, now, replicas, 1000))
        .collect();
    assert_eq!(sizes, [4, 8, 16, 30]);
}

#[test]
fn empty_behavior_adds_four_pods_or_doubles_each_fifteen_seconds() {
    let mut hpa = Hpa::new(1, 100, Some(Behavior::default()));
    assert_eq!(sync(&mut hpa, 0.0, 1, 1000), Some(5), "1 + 4");
    assert_eq!(sync(&mut hpa, 5.0, 5, 1000), None, "the period is used up");
    assert_eq!(sync(&mut hpa, 15.0, 5, 1000), Some(10), "5 x 2");
    assert_eq!(sync(&mut hpa, 30.0, 10, 1000), Some(20));
}

#[test]
fn ten_per_cent_are_rounded_up_on_the_way_out_and_cut_on_the_way_in() {
    let ten = |select| Rules {
        select,
        ..Rules::new(
            0.0,
            vec![Policy {
                kind: Kind::Percent,
                value: 10,
                period_seconds: 10.0,
            }],
        )
    };
    let none = |_| fleet_sim::baselines::hpa::behavior::Changed::default();
    assert_eq!(ten(Select::Max).upper_limit(1, none), 2);
    assert_eq!(ten(Select::Max).upper_limit(5, none), 6);
    assert_eq!(ten(Select::Max).upper_limit(20, none), 22);
    assert_eq!(ten(Select::Max).lower_limit(20, none), 18);
    assert_eq!(ten(Select::Max).lower_limit(5, none), 4);
    assert_eq!(ten(Select::Max).lower_limit(1, none), 0);
    assert_eq!(ten(Select::Disabled).upper_limit(5, none), 5);
    assert_eq!(ten(Select::Disabled).lower_limit(5, none), 5);
}

#[test]
fn the_start_of_a_period_undoes_what_the_hpa_did_in_it() {
    use fleet_sim::baselines::hpa::behavior::Changed;
    let four = Rules::new(
        0.0,
        vec![Policy {
            kind: Kind::Pods,
            value: 4,
            period_seconds: 60.0,
        }],
    );
    let changed = |added, removed| move |_| Changed { added, removed };
    assert_eq!(four.upper_limit(13, changed(3, 0)), 14, "10 + 4");
    assert_eq!(four.upper_limit(16, changed(6, 0)), 16, "10 + 4 is less than there is");
    assert_eq!(four.lower_limit(7, changed(0, 3)), 6, "10 - 4");
    assert_eq!(four.lower_limit(2, changed(0, 0)), 0);
}

#[test]
fn select_policy_picks_the_largest_or_the_smallest_change() {
    let none = |_| fleet_sim::baselines::hpa::behavior::Changed::default();
    let policies = vec![
        Policy {
            kind: Kind::Pods,
            value: 4,
            period_seconds: 15.0,
        },
        Policy {
            kind: Kind::Percent,
            value: 100,
            period_seconds: 15.0,
        },
    ];
    let most = Rules::new(0.0, policies);
    let least = Rules {
        select: Select::Min,
        ..most.clone()
    };
    assert_eq!((most.upper_limit(10, none), least.upper_limit(10, none)), (20, 14));
    assert_eq!((most.lower_limit(10, none), least.lower_limit(10, none)), (0, 6));
}

#[test]
fn stabilisation_takes_the_smallest_wish_on_the_way_out_and_the_largest_on_the_way_in() {
    let behavior = Behavior {
        up: Rules {
            stabilization_seconds: 30.0,
            ..Behavior::default().up
        },
        down: Rules {
            stabilization_seconds: 60.0,
            ..Behavior::default().down
        },
    };
    let mut history = History::starting(0.0, 5);
    let mut at = |now, current, desired| history.with_behavior(change(now, current, desired), BOUNDS, &behavior);
    assert_eq!(at(15.0, 5, 8), 5, "5 was wished for 15 s ago");
    assert_eq!(at(30.0, 5, 9), 8, "the window of 30 s does not include its edge");
    assert_eq!(at(45.0, 8, 9), 9);
    assert_eq!(at(60.0, 9, 2), 9);
    assert_eq!(at(90.0, 9, 2), 9, "9 was wished for within 60 s");
    assert_eq!(at(105.0, 9, 2), 2);
}

#[test]
fn bounds_come_last_and_are_reached_at_once() {
    let mut hpa = Hpa::new(2, 10, None);
    assert_eq!(sync(&mut hpa, 0.0, 12, 12), Some(10));
    assert_eq!(sync(&mut hpa, 15.0, 1, 1), Some(2));
    let mut floor = Hpa::new(0, 10, None);
    let mut now = 0.0;
    let last = loop {
        if let Some(next) = sync(&mut floor, now, 5, 0) {
            break next;
        }
        now += 15.0;
    };
    assert_eq!(last, 1, "never zero");
}

#[test]
fn an_hpa_never_wakes_a_deployment_at_zero() {
    let mut hpa = Hpa::new(1, 10, None);
    assert_eq!(sync(&mut hpa, 0.0, 0, 1000), None);
}
