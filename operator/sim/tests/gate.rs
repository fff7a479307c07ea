//! Gates: a small part of the benchmark, with thresholds that a change of the law must not cross. Means over three seeds.

use std::num::NonZeroUsize;

use fleet_sim::compare::{Runs, compare};
use fleet_sim::report::estimate;
use fleet_sim::scenario::{Scenario, builtin, names, parse};

fn bench(scenarios: &[Scenario], scalers: &[&str]) -> Vec<Runs> {
    let scalers: Vec<String> = scalers.iter().map(|name| (*name).to_owned()).collect();
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    compare(scenarios, &scalers, threads, |_, _| {}).expect("known scalers")
}

fn mean(runs: &[Runs], workload: &str, scaler: &str, metric: &str) -> f64 {
    let of_it = runs
        .iter()
        .find(|runs| runs.workload == workload && runs.scaler == scaler);
    estimate(of_it.expect("it ran"), metric).mean
}

/// A scenario of three seeds.
fn scenario(name: &str, text: &str) -> Scenario {
    Scenario {
        name: name.to_owned(),
        seeds: vec![1, 2, 3],
        ..parse(text).expect(text)
    }
}

fn close_to(value: f64, low: f64, high: f64, what: &str) {
    assert!(
        (low..=high).contains(&value),
        "{what}: {value:.3} is not within {low} to {high}"
    );
}

#[test]
fn a_step_costs_a_minute_where_kedas_defaults_fail_for_many_at_several_times_the_price() {
    let step = scenario(
        "step",
        "profile: io\nload: { shape: step, rate: 20 }\ndurationSeconds: 2400\nbounds: { start: 3 }",
    );
    let runs = bench(&[step], &["ours", "keda", "oracle"]);
    let of = |scaler, metric| mean(&runs, "step", scaler, metric);
    close_to(of("ours", "violation_minutes"), 0.0, 2.0, "violated minutes");
    assert!(of("keda", "violation_minutes") >= 5.0 * of("ours", "violation_minutes"));
    assert!(of("ours", "pod_hours") <= 0.4 * of("keda", "pod_hours"));
    close_to(
        of("ours", "pod_hours") / of("oracle", "pod_hours"),
        1.0,
        1.5,
        "cost against the oracle",
    );
}

#[test]
fn no_task_is_cut_by_our_scale_in_in_any_workload() {
    let short = |name: String| {
        let workload = builtin(&name).expect("built in");
        Scenario {
            seeds: vec![1],
            duration_seconds: workload.duration_seconds / 4.0,
            load: fleet_sim::scenario::Load {
                rate: workload.load.rate / 3.0,
                ..workload.load
            },
            ..workload
        }
    };
    let scenarios: Vec<Scenario> = names().into_iter().map(short).collect();
    let mut changes = 0.0;
    for runs in bench(&scenarios, &["ours"]) {
        assert!(estimate(&runs, "killed").mean.abs() < 1e-9, "{}", runs.workload);
        changes += estimate(&runs, "scale_events").mean;
    }
    assert!(changes > 200.0, "{changes}: there was scale-in to survive");
}

#[test]
fn steady_load_is_served_in_time_by_a_calm_fleet() {
    let scenarios = [
        scenario(
            "io",
            "profile: io\nload: { rate: 30 }\ndurationSeconds: 2400\nbounds: { start: 5 }",
        ),
        scenario("cpu", "profile: cpu\nload: { rate: 45 }\ndurationSeconds: 2400"),
        scenario("long", "profile: long\ndurationSeconds: 3600"),
    ];
    let runs = bench(&scenarios, &["ours"]);
    for scenario in &scenarios {
        let of = |metric| mean(&runs, &scenario.name, "ours", metric);
        close_to(of("violation_minutes"), 0.0, 0.4, &scenario.name);
        close_to(of("wait_p99"), 0.0, 5.0, &scenario.name);
        close_to(
            of("reversals") / (scenario.duration_seconds / 600.0),
            0.0,
            1.0,
            "reversals per 10 min",
        );
    }
    close_to(mean(&runs, "cpu", "ours", "mean_cpu"), 0.75, 0.82, "CPU of Ready pods");
}

#[test]
fn nobody_is_cheaper_than_the_oracle_at_the_same_latency() {
    let scenarios = [
        scenario(
            "io",
            "profile: io\nload: { shape: diurnal, rate: 10 }\ndurationSeconds: 1800\nbounds: { start: 3 }",
        ),
        scenario(
            "cpu",
            "profile: cpu\nload: { shape: flash, rate: 20 }\ndurationSeconds: 1800\nbounds: { start: 6 }",
        ),
        scenario(
            "long",
            "profile: long\nload: { shape: step, rate: 0.5 }\ndurationSeconds: 3600\nbounds: { start: 5 }",
        ),
        scenario("hours", "profile: hours\ndurationSeconds: 43200"),
        scenario(
            "bursts",
            "profile: io\nload: { shape: on-off, rate: 20 }\ndurationSeconds: 3600\nbounds: { min: 0 }",
        ),
    ];
    let runs = bench(&scenarios, &["ours", "oracle"]);
    for scenario in &scenarios {
        let of = |scaler| mean(&runs, &scenario.name, scaler, "pod_hours");
        assert!(
            of("oracle") <= of("ours"),
            "{}: {} and {}",
            scenario.name,
            of("oracle"),
            of("ours")
        );
        let late = mean(&runs, &scenario.name, "oracle", "late_share");
        close_to(late, 0.0, 0.03, "late with the oracle");
    }
}

#[test]
fn without_a_word_from_the_pods_short_tasks_are_still_served_in_time() {
    let step = scenario(
        "step",
        "profile: io\nload: { shape: step, rate: 20 }\ndurationSeconds: 2400\nbounds: { start: 3 }",
    );
    let runs = bench(&[step], &["ours", "ours-degraded"]);
    let of = |scaler| mean(&runs, "step", scaler, "violation_minutes");
    assert!(
        of("ours-degraded") <= 1.5 * of("ours") + 1.0,
        "{} and {}",
        of("ours-degraded"),
        of("ours")
    );
}

#[test]
fn without_a_word_from_the_pods_tasks_of_hours_find_slots() {
    let step = scenario(
        "hours",
        "profile: hours\nload: { shape: step, rate: 0.006, peak: 2 }\ndurationSeconds: 21600",
    );
    let runs = bench(&[step], &["ours", "ours-degraded"]);
    let of = |scaler, metric| mean(&runs, "hours", scaler, metric);
    close_to(of("ours-degraded", "violation_minutes"), 0.0, 12.0, "violated minutes");
    assert!(of("ours-degraded", "pod_hours") <= 1.3 * of("ours", "pod_hours"));
}
