//! The HPA that temporal-worker-controller recommends.

use fleet_sim::baselines::by_name;
use fleet_sim::scaler::{Phase, Pod, Scaler, Seen, Time};
use fleet_sim::setting::Setting;

use crate::fixtures::{pending, queue, ready, setting, slots, waiting, writes};

fn scaler(name: &str) -> Box<dyn Scaler + Send> {
    let setting = Setting {
        max_replicas: 100,
        ..setting()
    };
    by_name(name, &setting).expect("a baseline")
}

/// Ready pods with `used` of their ten slots taken.
fn using(now: Time, replicas: u32, used: u32) -> Seen {
    let mut seen = waiting(now, replicas, 0);
    for pod in &mut seen.pods {
        pod.slots = vec![slots(0, used)];
    }
    seen
}

/// Time and size of the first write within ten minutes.
fn first(name: &str, mut replicas: u32, see: impl Fn(Time, u32) -> Seen) -> Option<(u32, u32)> {
    let written = writes(&mut *scaler(name), &mut replicas, 0.0, 600.0, see);
    written.first().map(|(at, size)| (*at as u32, *size))
}

#[test]
fn full_slots_add_ten_per_cent_once_the_window_of_thirty_seconds_agrees() {
    // The size at the start, recommended at the first sync (7.5 s), holds until it leaves the window.
    let at = |now, replicas| using(now, replicas, 10);
    assert_eq!(
        first("twc", 20, at),
        Some((37, 22)),
        "ceil(20 x 1.1), not ceil(20 x 1/0.75)"
    );
    assert_eq!(first("twc", 3, at), Some((37, 4)), "ceil(3 x 1.1)");
}

#[test]
fn a_scale_out_goes_on_by_ten_per_cent_a_sync() {
    let mut replicas = 20;
    let written = writes(&mut *scaler("twc"), &mut replicas, 0.0, 75.0, |now, replicas| {
        using(now, replicas, 10)
    });
    let sizes: Vec<u32> = written.iter().map(|write| write.1).collect();
    assert_eq!(sizes, [22, 25, 28], "1.1 x 22 = 24.2, 1.1 x 25 = 27.5");
}

#[test]
fn idle_slots_take_ten_per_cent_once_the_window_of_two_minutes_agrees() {
    let at = |now, replicas| using(now, replicas, 3);
    assert_eq!(first("twc", 20, at), Some((127, 18)), "not ceil(20 x 0.3/0.75) = 8");
}

#[test]
fn at_three_quarters_of_the_slots_nothing_changes() {
    for used in [7, 8] {
        assert_eq!(first("twc", 20, |now, replicas| using(now, replicas, used)), None);
    }
}

#[test]
fn a_backlog_is_seen_a_minute_late_at_worst_and_fifteen_seconds_by_the_fast_one() {
    // Slots at their target; 500 tasks appear just after an export.
    let at = |now: Time, replicas| {
        let mut seen = using(now, replicas, 8);
        seen.queues = vec![queue(if now > 60.5 { 500 } else { 0 })];
        seen
    };
    // Export at 120 s, scrape at 125 s, sync at 127.5 s; at 142.5 s the wish of 112.5 s has left the window of 30 s.
    assert_eq!(first("twc", 20, at), Some((142, 22)));
    // Export and scrape at 75 s, sync at 82.5 s: at once, and doubled.
    assert_eq!(first("twc-fast", 20, at), Some((82, 40)));
}

#[test]
fn the_backlog_asks_for_a_pod_per_task() {
    let at = |now, replicas| {
        let mut seen = using(now, replicas, 8);
        seen.queues = vec![queue(12)];
        seen
    };
    assert_eq!(first("twc-fast", 10, at), Some((7, 12)));
}

#[test]
fn each_task_type_has_its_own_share_of_slots() {
    let at = |now, replicas| {
        let mut seen = waiting(now, replicas, 0);
        seen.queues.push(queue(0));
        for pod in &mut seen.pods {
            pod.slots = vec![slots(0, 2), slots(1, 10)];
        }
        seen
    };
    assert_eq!(
        first("twc-fast", 9, at),
        Some((7, 12)),
        "ceil(9 x 1/0.75), not by the mean of 0.6"
    );
}

#[test]
fn only_ready_pods_are_scraped() {
    let at = |now, replicas| {
        let mut seen = using(now, replicas, 8);
        let draining = |id| Pod {
            phase: Phase::Draining,
            ..ready(id, 0.0)
        };
        seen.pods.extend((90..94).map(draining));
        seen.pods.push(pending(94, now));
        seen
    };
    assert_eq!(
        first("twc-fast", 4, at),
        None,
        "80 % of the slots of four pods, 40 % of eight"
    );
}

#[test]
fn the_last_backlog_stands_while_the_server_is_silent() {
    let mut replicas = 10;
    let written = writes(&mut *scaler("twc"), &mut replicas, 0.0, 120.0, |now, replicas| {
        let mut seen = using(now, replicas, 8);
        seen.queues = vec![if now < 1.0 { queue(500) } else { None }];
        seen
    });
    assert!(written.last().is_some_and(|write| write.0 > 100.0), "{written:?}");
}

#[test]
fn without_any_sample_it_holds() {
    let at = |now, replicas| {
        let mut seen = waiting(now, replicas, 0);
        seen.queues = vec![None];
        seen.pods.iter_mut().for_each(|pod| pod.slots.clear());
        seen
    };
    assert_eq!(first("twc", 20, at), None);
}

#[test]
fn it_cannot_leave_zero() {
    assert_eq!(first("twc", 0, |now, replicas| waiting(now, replicas, 100)), None);
}
