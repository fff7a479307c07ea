//! The scaler like Temporal's Worker Controller Instance.

use fleet_sim::baselines::by_name;
use fleet_sim::baselines::wci::learn::Learned;
use fleet_sim::baselines::wci::pods;
use fleet_sim::scaler::{Pod, Queue, Scaler, Seen, Slots, Time};
use fleet_sim::setting::Setting;

use crate::fixtures::{busy, queue, ready, setting, waiting, writes};

fn scaler(min_replicas: u32) -> Box<dyn Scaler + Send> {
    let setting = Setting {
        min_replicas,
        ..setting()
    };
    by_name("wci", &setting).expect("a baseline")
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

/// A queue with arrivals and nothing waiting.
fn arriving(rate: f64) -> Option<Queue> {
    queue(0).map(|queue| Queue {
        add_rate: rate,
        ..queue
    })
}

/// A fleet with arrivals and idle slots.
fn steady(now: Time, replicas: u32, rate: f64) -> Seen {
    Seen {
        queues: vec![arriving(rate)],
        ..waiting(now, replicas, 0)
    }
}

/// A pod that completed so many tasks, with so much slot and CPU time.
fn done(id: u64, completions: u64, busy_seconds: f64, cpu_seconds: f64) -> Pod {
    Pod {
        cpu_seconds,
        slots: vec![Slots {
            queue: 0,
            used: 0,
            limit: 10,
            completions,
            busy_seconds,
        }],
        ..ready(id, 0.0)
    }
}

#[test]
fn the_formula_adds_arrivals_backlog_and_reserve() {
    assert!(close(pods(15.0, 0.0, 2.0), 11.0), "15/(2 x 0.75) = 10, and a tenth");
    assert!(
        close(pods(0.0, 40.0, 2.0), 5.0),
        "40/(4 x 2), no reserve without arrivals"
    );
    assert!(close(pods(15.0, 40.0, 2.0), 16.0));
    assert!(close(pods(15.0, 40.0, 0.0), 0.0));
}

#[test]
fn a_full_pod_is_its_slots_over_the_service_time() {
    let mut learned = Learned::new(&setting());
    assert!(close(learned.tasks_per_slots(0), 2.0), "10 slots / 5 s: the prior");
    learned.observe(&[done(1, 4, 8.0, 0.0)]);
    assert!(close(learned.tasks_per_slots(0), 2.0), "four tasks say too little");
    learned.observe(&[done(1, 100, 200.0, 0.0)]);
    assert!((learned.tasks_per_slots(0) - 5.0).abs() < 1e-3, "10 slots / 2 s");
    assert_eq!(learned.tasks_per_cpu(), None, "no CPU was used");
    assert!(close(learned.tasks_per_slots(7), 0.0), "an unknown queue");
}

#[test]
fn a_full_pod_is_its_cores_over_the_cpu_per_task() {
    let mut learned = Learned::new(&setting());
    learned.observe(&[done(1, 60, 30.0, 30.0), done(2, 40, 20.0, 20.0)]);
    let rate = learned.tasks_per_cpu().unwrap();
    assert!((rate - 2.0).abs() < 1e-6, "1 core / 0.5 core-seconds, not 20 by slots");
}

#[test]
fn counters_are_read_as_differences_and_survive_lost_reports() {
    let mut learned = Learned::new(&setting());
    learned.observe(&[done(1, 1000, 10_000.0, 0.0)]);
    let lost = Pod {
        slots: Vec::new(),
        ..done(1, 0, 0.0, 0.0)
    };
    learned.observe(&[lost]);
    // 5000 more tasks of 1 s: the first thousand of 10 s has faded by e^-10.
    learned.observe(&[done(1, 6000, 15_000.0, 0.0)]);
    assert!((learned.tasks_per_slots(0) - 10.0).abs() < 0.01);
}

#[test]
fn it_scales_out_at_once_to_the_formula() {
    let mut wci = scaler(1);
    assert_eq!(
        wci.look(&steady(0.0, 1, 15.0)),
        Some(11),
        "2 tasks/s per pod by the prior"
    );
}

#[test]
fn a_learned_cpu_bound_replaces_the_slots() {
    let mut wci = scaler(1);
    let mut seen = steady(0.0, 1, 3.0);
    seen.pods = vec![done(0, 100, 50.0, 100.0)];
    // 20 tasks/s by slots, 1 by CPU: 3/(1 x 0.75) = 4, and a tenth.
    assert_eq!(wci.look(&seen), Some(5));
}

#[test]
fn the_queue_that_needs_most_pods_decides() {
    let two = Setting {
        slots: vec![10, 10],
        ..setting()
    };
    let mut wci = by_name("wci", &two).unwrap();
    let mut seen = steady(0.0, 1, 15.0);
    seen.queues.push(arriving(3.0));
    assert_eq!(wci.look(&seen), Some(11), "not 14 for the sum: the types share the pod");
}

#[test]
fn it_scales_in_to_the_largest_size_of_five_minutes() {
    let mut wci = scaler(1);
    let mut replicas = 1;
    let written = writes(&mut *wci, &mut replicas, 0.0, 900.0, |now, replicas| {
        steady(now, replicas, if now < 100.0 { 15.0 } else { 3.0 })
    });
    assert_eq!(written.len(), 2, "{written:?}");
    assert_eq!(written[1].1, 3, "ceil(3/1.5 x 1.1)");
    assert_eq!(written[1].0 as u32, 405, "300 s after 90 s, when 11 were still wanted");
}

#[test]
fn no_scale_in_follows_within_two_pod_starts_of_a_scale_out() {
    let slow = Setting {
        pod_start_seconds: 400.0,
        ..setting()
    };
    let mut wci = by_name("wci", &slow).unwrap();
    let mut replicas = 1;
    let written = writes(&mut *wci, &mut replicas, 0.0, 900.0, |now, replicas| {
        steady(now, replicas, if now < 10.0 { 15.0 } else { 3.0 })
    });
    assert_eq!(written[1].0 as u32, 810, "the first pass 2 x 400 s after the scale-out");
}

#[test]
fn a_backlog_with_all_slots_taken_is_answered_within_a_second() {
    let mut wci = scaler(1);
    let mut replicas = 1;
    let written = writes(&mut *wci, &mut replicas, 0.0, 14.0, |now, replicas| {
        let mut seen = busy(now, replicas);
        seen.queues = vec![queue(if now > 1.5 { 20 } else { 0 })];
        seen
    });
    assert_eq!(written.len(), 1);
    assert_eq!((written[0].0 as u32, written[0].1), (2, 3), "20/(4 x 2)");
}

#[test]
fn pushes_are_a_quarter_of_a_pod_start_apart() {
    let mut wci = scaler(1);
    let mut replicas = 1;
    let written = writes(&mut *wci, &mut replicas, 0.0, 14.0, |now, replicas| {
        let mut seen = busy(now, replicas);
        seen.queues = vec![queue(if now > 0.5 { 16 * (now as u64) } else { 0 })];
        seen
    });
    let times: Vec<u32> = written.iter().map(|write| write.0 as u32).collect();
    assert_eq!(times, [1, 9], "at least 7.5 s apart");
}

#[test]
fn free_slots_are_left_to_the_control_loop() {
    let mut wci = scaler(1);
    let mut replicas = 1;
    let written = writes(&mut *wci, &mut replicas, 0.0, 20.0, |now, replicas| {
        waiting(now, replicas, if now > 1.5 { 20 } else { 0 })
    });
    assert_eq!(written.first().map(|write| write.0 as u32), Some(15));
}

#[test]
fn it_goes_to_zero_and_comes_back_by_a_push() {
    let mut wci = scaler(0);
    let mut replicas = 3;
    let idle = writes(&mut *wci, &mut replicas, 0.0, 400.0, |now, replicas| {
        waiting(now, replicas, 0)
    });
    assert_eq!(idle.len(), 1, "{idle:?}");
    assert_eq!(replicas, 0);
    let woken = writes(&mut *wci, &mut replicas, 401.0, 403.0, |now, replicas| {
        waiting(now, replicas, 20)
    });
    assert_eq!(woken.first().map(|write| (write.0 as u32, write.1)), Some((401, 3)));
}

#[test]
fn a_queue_that_does_not_answer_holds_the_size() {
    let mut wci = scaler(0);
    let mut replicas = 3;
    let written = writes(&mut *wci, &mut replicas, 0.0, 900.0, |now, replicas| {
        let mut seen = waiting(now, replicas, 0);
        seen.queues = vec![None];
        seen
    });
    assert_eq!(written, []);
}
