//! Each baseline against the formula its peer publishes, with worked numbers.

mod cpu;
mod external;
mod fixtures;
mod keda;
mod limits;
mod twc;
mod wci;

use fixtures::setting;
use fleet_sim::baselines::{NAMES, by_name};

#[test]
fn every_name_makes_the_baseline_of_that_name() {
    for name in NAMES {
        let scaler = by_name(name, &setting()).unwrap_or_else(|| panic!("no baseline {name}"));
        assert_eq!(scaler.name(), *name);
    }
    assert!(by_name("knative", &setting()).is_none());
}

#[test]
fn pods_get_the_default_grace_unless_the_peer_asks_for_more() {
    let grace = |name: &str| by_name(name, &setting()).unwrap().ending().grace_seconds as u32;
    for name in ["keda", "keda-tuned", "keda-cpu", "hpa"] {
        assert_eq!(grace(name), 30, "{name}");
    }
    for name in ["keda-long-grace", "twc", "twc-fast", "wci"] {
        assert_eq!(grace(name), 3600, "{name}");
    }
}

#[test]
fn no_peer_chooses_victims_or_lets_pods_outlive_their_grace() {
    for name in NAMES {
        let ending = by_name(name, &setting()).unwrap().ending();
        assert!(!ending.idle_first && !ending.quarantine, "{name}");
    }
}

#[test]
fn every_look_is_later_than_the_one_before() {
    for name in NAMES {
        let mut scaler = by_name(name, &setting()).unwrap();
        let mut now = 0.0;
        for look in 0..200 {
            let mut seen = fixtures::busy(now, 2);
            if look % 2 == 1 {
                seen.queues = vec![None];
            }
            scaler.look(&seen);
            let next = scaler.next(now);
            assert!(next > now && next <= now + 15.0, "{name}: {now} then {next}");
            now = next;
        }
    }
}

#[test]
fn every_size_lies_within_the_bounds_of_the_fleet() {
    for name in NAMES {
        let mut scaler = by_name(name, &setting()).unwrap();
        let (mut now, mut replicas, mut largest) = (0.0, 1, 0);
        while now < 3600.0 {
            let backlog = if now < 600.0 { 10_000 } else { 0 };
            let mut seen = fixtures::busy(now, replicas);
            seen.queues = vec![fixtures::queue(backlog)];
            if let Some(next) = scaler.look(&seen) {
                assert!((1..=20).contains(&next), "{name}: {next}");
                replicas = next;
            }
            largest = largest.max(replicas);
            now = scaler.next(now);
        }
        // With CPU at its target, the HPA on CPU has no reason to move.
        assert!(largest == 20 || *name == "hpa", "{name}: {largest}");
    }
}

#[test]
fn only_peers_that_ask_the_server_cost_calls() {
    let calls = |name: &str| by_name(name, &setting()).unwrap().calls(&fixtures::busy(0.0, 1));
    for name in ["keda", "keda-long-grace", "keda-tuned", "keda-cpu"] {
        assert_eq!(calls(name), 1, "{name}");
    }
    for name in ["hpa", "twc", "twc-fast", "wci"] {
        assert_eq!(calls(name), 0, "{name}");
    }
}
