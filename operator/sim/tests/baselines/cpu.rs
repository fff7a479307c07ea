//! HPA on CPU utilisation: the proposal of the metric.

use fleet_sim::baselines::hpa::{Tolerance, resource};
use fleet_sim::scaler::{Phase, Pod};

use crate::fixtures::{pending, ready};

const NOW: f64 = 1000.0;

/// Replicas proposed for these pods, all of them asked for.
fn proposal(pods: &[Pod], percent: u32) -> Option<u32> {
    resource::proposal(pods, pods.len() as u32, percent, Tolerance::default(), NOW)
}

fn pods(count: u64, cores: f64) -> Vec<Pod> {
    (0..count).map(|id| ready(id, cores)).collect()
}

fn without_sample(id: u64) -> Pod {
    Pod {
        cpu_cores: None,
        ..ready(id, 0.0)
    }
}

#[test]
fn the_size_follows_the_ratio_of_use_to_target_rounded_up() {
    assert_eq!(proposal(&pods(4, 0.96), 80), Some(5), "ceil(4 x 96/80)");
    assert_eq!(proposal(&pods(3, 0.40), 80), Some(2), "ceil(3 x 40/80)");
    assert_eq!(proposal(&pods(2, 1.0), 50), Some(4), "twice the target, twice the pods");
}

#[test]
fn a_tenth_off_the_target_changes_nothing() {
    assert_eq!(proposal(&pods(4, 0.88), 80), Some(4));
    assert_eq!(proposal(&pods(4, 0.889), 80), Some(4), "the per cent is truncated");
    assert_eq!(proposal(&pods(4, 0.89), 80), Some(5));
    assert_eq!(proposal(&pods(10, 0.72), 80), Some(10));
    assert_eq!(proposal(&pods(10, 0.71), 80), Some(9));
}

#[test]
fn a_pod_without_sample_is_at_its_request_before_a_scale_in() {
    let mut four = pods(3, 0.40);
    assert_eq!(proposal(&four, 50), Some(3), "ceil(3 x 40/50)");
    four.push(without_sample(3));
    assert_eq!(
        proposal(&four, 50),
        Some(4),
        "(3 x 40 + 100)/4 = 55, which is within tolerance"
    );
}

#[test]
fn a_pod_without_sample_is_idle_before_a_scale_out() {
    let mut three = pods(2, 1.6);
    three.push(without_sample(2));
    assert_eq!(proposal(&three, 80), Some(4), "ceil(3 x 106/80)");
    let mut eleven = pods(10, 0.9);
    assert_eq!(proposal(&eleven, 80), Some(12), "ceil(10 x 90/80)");
    eleven.push(without_sample(10));
    assert_eq!(
        proposal(&eleven, 80),
        Some(11),
        "900/11 = 81, which is within tolerance"
    );
}

#[test]
fn a_pending_pod_is_idle_before_a_scale_out_and_nothing_before_a_scale_in() {
    let small = Pod {
        cpu_request: 0.1,
        ..ready(0, 0.26)
    };
    let large = Pod {
        cpu_request: 0.3,
        ..pending(1, NOW)
    };
    assert_eq!(
        proposal(&[small, large], 50),
        Some(3),
        "260/400 = 65 %, ceil(2 x 65/50)"
    );

    let mut four = pods(3, 0.40);
    four.push(pending(3, NOW));
    assert_eq!(proposal(&four, 80), Some(2), "ceil(3 x 40/80)");
}

#[test]
fn unready_pods_that_would_turn_the_direction_hold_the_size() {
    let mut five = pods(2, 1.0);
    five.extend((2..5).map(|id| pending(id, NOW)));
    assert_eq!(proposal(&five, 80), Some(5), "125 % of the target by two, 50 % by five");
}

#[test]
fn the_sample_of_a_young_pod_counts_one_window_after_ready() {
    let young = |ready_for: f64| Pod {
        created: NOW - 60.0,
        ready: Some(NOW - ready_for),
        ..ready(1, 2.0)
    };
    // One old pod at 0.6 cores; the young one burns through its warm-up.
    let unripe = [ready(0, 0.6), young(14.0)];
    assert_eq!(proposal(&unripe, 80), Some(1), "ceil(1 x 60/80): the sample is ignored");
    let ripe = [ready(0, 0.6), young(15.0)];
    assert_eq!(proposal(&ripe, 80), Some(4), "ceil(2 x 130/80)");
}

#[test]
fn after_five_minutes_only_a_pod_that_was_never_ready_is_ignored() {
    let unready = |was_ready: Option<f64>| Pod {
        phase: Phase::Starting,
        created: NOW - 400.0,
        ready: was_ready,
        ..ready(1, 2.0)
    };
    assert_eq!(proposal(&[ready(0, 0.6), unready(None)], 80), Some(1));
    let was = unready(Some(NOW - 350.0));
    assert_eq!(proposal(&[ready(0, 0.6), was], 80), Some(4), "ceil(2 x 130/80)");
}

#[test]
fn a_pod_that_drains_does_not_count() {
    let mut four = pods(3, 0.96);
    four.push(Pod {
        phase: Phase::Draining,
        ..ready(3, 0.0)
    });
    assert_eq!(proposal(&four, 80), Some(4), "ceil(3 x 96/80)");
}

#[test]
fn without_a_sample_or_a_request_there_is_no_proposal() {
    assert_eq!(proposal(&[], 80), None);
    assert_eq!(proposal(&[without_sample(0), pending(1, NOW)], 80), None);
    let unrequested = Pod {
        cpu_request: 0.0,
        ..ready(1, 0.9)
    };
    assert_eq!(proposal(&[ready(0, 0.9), unrequested], 80), None);
}
