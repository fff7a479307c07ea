//! HPA on external metrics, and the choice among several metrics.

use fleet_sim::baselines::hpa::external::{average_value, value};
use fleet_sim::baselines::hpa::metric::largest;
use fleet_sim::baselines::hpa::{Hpa, Metric, Tolerance};
use fleet_sim::scaler::{Phase, Pod};

use crate::fixtures::{pending, ready, waiting};

fn pods(count: u64) -> Vec<Pod> {
    (0..count).map(|id| ready(id, 0.0)).collect()
}

#[test]
fn an_average_value_divides_the_usage_by_the_target_whatever_the_size() {
    let tolerance = Tolerance::default();
    for size in [1, 3, 20] {
        assert_eq!(average_value(23.0, 5.0, &pods(size), tolerance), Some(5), "{size} pods");
    }
    assert_eq!(average_value(0.0, 5.0, &pods(3), tolerance), Some(0));
    assert_eq!(average_value(0.0, 5.0, &[], tolerance), Some(0));
}

#[test]
fn an_average_value_within_tolerance_keeps_the_pods_that_exist() {
    let mut ten = pods(10);
    let tolerance = Tolerance::default();
    assert_eq!(average_value(55.0, 5.0, &ten, tolerance), Some(10));
    assert_eq!(average_value(56.0, 5.0, &ten, tolerance), Some(12));
    ten.push(Pod {
        phase: Phase::Draining,
        ..ready(10, 0.0)
    });
    assert_eq!(
        average_value(55.0, 5.0, &ten, tolerance),
        Some(10),
        "a draining pod is not counted"
    );
}

#[test]
fn a_value_multiplies_the_ready_pods() {
    let mut eight = pods(6);
    eight.extend([pending(6, 0.0), pending(7, 0.0)]);
    let tolerance = Tolerance::default();
    assert_eq!(value(1.0, 0.75, 8, &eight, tolerance), Some(8), "ceil(6 x 1/0.75)");
    assert_eq!(value(0.5, 0.75, 8, &eight, tolerance), Some(4), "ceil(6 x 0.5/0.75)");
    assert_eq!(value(0.8, 0.75, 8, &eight, tolerance), Some(8), "within tolerance");
    assert_eq!(value(1.0, 0.75, 0, &[], tolerance), Some(2), "at zero the ratio itself");
    assert_eq!(value(1.0, 0.75, 8, &[], tolerance), None, "no pod to multiply");
}

#[test]
fn a_metric_without_meaning_is_invalid() {
    let tolerance = Tolerance::default();
    assert_eq!(average_value(f64::NAN, 5.0, &pods(1), tolerance), None);
    assert_eq!(average_value(1.0, 0.0, &pods(1), tolerance), None);
    assert_eq!(value(-1.0, 0.75, 1, &pods(1), tolerance), None);
}

#[test]
fn the_largest_proposal_wins() {
    assert_eq!(largest(&[Some(3), Some(7), Some(5)], 4), Some(7));
    assert_eq!(largest(&[Some(3), Some(2)], 4), Some(3));
}

#[test]
fn an_invalid_metric_stops_a_scale_in_but_not_a_scale_out() {
    assert_eq!(largest(&[None, None], 4), None);
    assert_eq!(largest(&[Some(3), None], 4), None);
    assert_eq!(largest(&[Some(7), None], 4), Some(7));
}

#[test]
fn an_hpa_takes_the_most_urgent_of_cpu_and_backlog() {
    let mut hpa = Hpa::new(1, 20, None);
    let metrics = [
        Metric::CpuUtilization { percent: 80 },
        Metric::AverageValue {
            usage: Some(30.0),
            target: 5.0,
        },
    ];
    let mut seen = waiting(0.0, 4, 30);
    for pod in &mut seen.pods {
        pod.cpu_cores = Some(0.96);
    }
    assert_eq!(hpa.sync(&seen, &metrics), Some(6), "5 by CPU, 6 by backlog");
}
