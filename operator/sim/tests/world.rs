//! The world against what is known of queues and clusters.

mod common;

use common::{Fixed, Plan, run, scenario};
use fleet_sim::erlang;
use fleet_sim::scaler::Ending;

#[test]
fn a_rerun_is_the_same_to_the_bit() {
    for name in fleet_sim::scalers::names() {
        let scenario =
            scenario("profile: mix\nload: { shape: spikes, rate: 20 }\ndurationSeconds: 900\nbounds: { start: 3 }");
        let again = |_| {
            let streams = fleet_sim::load::Streams::draw(&scenario, 5);
            fleet_sim::scalers::run(&scenario, &streams, 5, name, 50).expect("a scaler")
        };
        let [first, second] = [0, 1].map(again);
        assert_eq!(first, second, "{name}");
        assert!(first.score.tasks > 5000.0, "{name}");
    }
}

#[test]
fn threads_change_no_result() {
    let scenarios = [scenario(
        "profile: io\nload: { rate: 20 }\ndurationSeconds: 300\nseeds: [1, 2, 3]",
    )];
    let compare = |threads: usize| {
        let threads = std::num::NonZeroUsize::new(threads).expect("not zero");
        fleet_sim::compare::compare(&scenarios, &["ours".into(), "keda".into()], threads, |_, _| {}).expect("scalers")
    };
    assert_eq!(compare(1), compare(3));
}

#[test]
fn a_queue_with_exponential_times_waits_as_erlang_says() {
    for (slots, rate) in [(5, 2.0), (20, 9.0), (10, 4.7)] {
        let scenario = scenario(&format!(
            "kinds: [{{ slots: {slots}, cores: 0, partitions: 1, service: {{ distribution: exponential, meanSeconds: 2 }} }}]\n\
             load: {{ rate: {rate} }}\ndurationSeconds: 200000"
        ));
        let outcome = run(&scenario, 1, &mut Fixed::new(1));
        let busy = rate * 2.0;
        let expected = erlang::wait_probability(slots, busy);
        let objective = scenario.objective.seconds;
        let late = expected * (-(f64::from(slots) - busy) * objective / 2.0).exp();
        let measured = outcome.score.late_share;
        assert!(
            (measured - late).abs() < 0.15 * late + 0.002,
            "{slots} slots at {rate}/s: {measured:.4} late, Erlang says {late:.4}"
        );
        let p50 = if expected < 0.5 {
            0.0
        } else {
            (expected / 0.5).ln() * 2.0 / (f64::from(slots) - busy)
        };
        assert!(
            (outcome.score.wait_p50 - p50).abs() < 0.15 * p50 + 0.02,
            "{} {p50}",
            outcome.score.wait_p50
        );
    }
}

#[test]
fn the_cores_of_a_pod_bound_what_it_does() {
    // 8 slots of 1 core each on 2 cores: 2 tasks of 1 s per second, whatever the slots.
    let scenario = scenario(
        "kinds: [{ slots: 8, cores: 1, service: { distribution: fixed, meanSeconds: 1 } }]\n\
         load: { rate: 10 }\ndurationSeconds: 1000\npods: { cores: 2, idleCores: 0 }",
    );
    let outcome = run(&scenario, 1, &mut Fixed::new(1));
    assert!(
        (outcome.score.mean_cpu - 1.0).abs() < 0.01,
        "{}",
        outcome.score.mean_cpu
    );
    // 10 arrive a second, 2 get done: at the end the oldest of 8000 waits for 800 s.
    assert!(
        (outcome.score.wait_max - 800.0).abs() < 40.0,
        "{}",
        outcome.score.wait_max
    );
}

#[test]
fn a_system_behind_the_workers_bounds_them_and_leaves_their_cpu_idle() {
    let scenario = scenario(
        "kinds: [{ slots: 10, cores: 0.05, downstreamLimit: 5, service: { distribution: fixed, meanSeconds: 0.5 } }]\n\
         load: { rate: 10 }\ndurationSeconds: 1000",
    );
    let few = run(&scenario, 1, &mut Fixed::new(1)).score;
    let many = run(&scenario, 1, &mut Fixed::new(20)).score;
    assert!(few.wait_max > 400.0 && few.mean_cpu < 0.6, "{few:?}");
    assert!(many.wait_max > 300.0, "more pods do not help: {many:?}");
}

#[test]
fn a_grace_that_is_too_short_kills_and_quarantine_does_not() {
    let text = "kinds: [{ slots: 4, cores: 0.1, heartbeatTimeoutSeconds: 30, service: { distribution: fixed, meanSeconds: 300 } }]\n\
                load: { rate: 0.05 }\ndurationSeconds: 1800\nbounds: { start: 6 }";
    let scenario = scenario(text);
    let plan = || Plan::new(&[(600.0, 2)]);
    let quarantined = run(
        &scenario,
        1,
        &mut plan().ending(Ending {
            grace_seconds: 30.0,
            idle_first: true,
            quarantine: true,
        }),
    );
    assert!(quarantined.score.killed.abs() < 1e-9);
    let killed = run(
        &scenario,
        1,
        &mut plan().ending(Ending {
            grace_seconds: 30.0,
            idle_first: false,
            quarantine: false,
        }),
    );
    assert!(killed.score.killed > 0.0 && killed.score.wasted_seconds > 0.0);
    assert!(
        (killed.score.tasks - quarantined.score.tasks - killed.score.killed).abs() < 1e-9,
        "what was killed is scheduled again, once"
    );
    let patient = run(
        &scenario,
        1,
        &mut plan().ending(Ending {
            grace_seconds: 400.0,
            idle_first: false,
            quarantine: false,
        }),
    );
    assert!(
        patient.score.killed.abs() < 1e-9,
        "a grace longer than any task kills nothing"
    );
    assert!(patient.score.pod_hours > killed.score.pod_hours, "but it costs");
}

#[test]
fn pods_start_after_their_time_and_cost_from_the_beginning() {
    let scenario = scenario(
        "profile: io\nload: { rate: 0 }\ndurationSeconds: 600\nbounds: { start: 1 }\n\
         pods: { startSeconds: 100, startSpread: 0 }",
    );
    let outcome = run(&scenario, 1, &mut Plan::new(&[(60.0, 5)]));
    let ready = |at: f64| {
        outcome
            .series
            .points
            .iter()
            .rfind(|point| point.at <= at)
            .map(|point| point.ready)
    };
    assert_eq!((ready(155.0), ready(165.0)), (Some(1), Some(5)));
    let expected = (600.0 + 4.0 * 540.0) / 3600.0;
    assert!(
        (outcome.score.pod_hours - expected).abs() < 1e-6,
        "{}",
        outcome.score.pod_hours
    );
    assert!((outcome.score.pod_starts - 4.0).abs() < 1e-9);
}

#[test]
fn a_quota_keeps_pods_out_until_others_leave() {
    let scenario =
        scenario("profile: io\nload: { rate: 0 }\ndurationSeconds: 900\nbounds: { start: 2 }\nfaults: { quota: 3 }");
    let outcome = run(&scenario, 1, &mut Plan::new(&[(60.0, 8)]));
    let most = outcome.series.points.iter().map(|point| point.ready).max();
    assert_eq!(most, Some(3));
    assert_eq!(
        outcome.series.points.last().map(|point| point.starting),
        Some(5),
        "the others are pending"
    );
}

#[test]
fn pods_of_a_crash_loop_get_ready_after_it() {
    let scenario = scenario(
        "profile: io\nload: { rate: 0 }\ndurationSeconds: 1800\nbounds: { start: 1 }\n\
         faults: { crashLoop: [{ from: 50, until: 400 }] }",
    );
    let outcome = run(&scenario, 1, &mut Plan::new(&[(60.0, 3)]));
    let ready = |at: f64| {
        outcome
            .series
            .points
            .iter()
            .rfind(|point| point.at <= at)
            .map(|point| point.ready)
    };
    assert_eq!((ready(395.0), ready(1000.0)), (Some(1), Some(3)));
}

#[test]
fn eager_tasks_skip_the_statistics_while_slots_are_free() {
    let of = |eager: f64| {
        let scenario = scenario(&format!(
            "kinds: [{{ slots: 100, cores: 0, eager: {eager}, service: {{ meanSeconds: 1 }} }}]\nload: {{ rate: 20 }}\n\
             durationSeconds: 300"
        ));
        let mut fixed = Fixed::new(1);
        run(&scenario, 1, &mut fixed);
        fixed.last.and_then(|seen| seen.queues[0]).expect("an answer")
    };
    let (none, most) = (of(0.0), of(0.9));
    assert!((none.add_rate - 20.0).abs() < 3.0, "{none:?}");
    assert!((most.add_rate - 2.0).abs() < 1.0, "{most:?}");
}

#[test]
fn faults_take_answers_and_reports_away() {
    let scenario = scenario(
        "profile: io\nload: { rate: 5 }\ndurationSeconds: 600\nbounds: { start: 4 }\n\
         faults: { lostReports: 0.5, blind: [{ from: 100, until: 200 }], staleSeconds: 30 }",
    );
    let mut fixed = Fixed::new(4);
    run(&scenario, 1, &mut fixed);
    for seen in &fixed.all {
        assert_eq!(
            seen.queues[0].is_none(),
            (100.0..200.0).contains(&seen.now),
            "at {}",
            seen.now
        );
        if let Some(queue) = seen.queues[0].filter(|_| seen.now > 100.0) {
            assert!(queue.stale_seconds >= 30.0, "{queue:?}");
        }
    }
    let reports = fixed.all.iter().flat_map(|seen| &seen.pods);
    let lost = reports.clone().filter(|pod| pod.slots.is_empty()).count() as f64 / reports.count() as f64;
    assert!((lost - 0.5).abs() < 0.1, "{lost}");
}

#[test]
fn nobody_puts_an_hpa_on_a_fleet_at_zero() {
    let scenario =
        scenario("profile: io\nload: { rate: 1 }\ndurationSeconds: 600\nbounds: { min: 0, max: 5, start: 0 }");
    let streams = fleet_sim::load::Streams::draw(&scenario, 1);
    for name in ["hpa", "twc", "twc-fast"] {
        let outcome = fleet_sim::scalers::run(&scenario, &streams, 1, name, 0).expect("a scaler");
        // The one pod that it begins with, for ten minutes.
        assert!(
            outcome.score.pod_hours >= 0.99 * 600.0 / 3600.0,
            "{name}: {:?}",
            outcome.score
        );
    }
}
