//! KEDA's Temporal scaler.

use fleet_sim::baselines::by_name;
use fleet_sim::baselines::keda::Trigger;
use fleet_sim::scaler::Scaler;
use fleet_sim::setting::Setting;

use crate::fixtures::{queue, setting, waiting, writes};

fn from_zero() -> Setting {
    Setting {
        min_replicas: 0,
        ..setting()
    }
}

fn scaler(name: &str, setting: &Setting) -> Box<dyn Scaler + Send> {
    by_name(name, setting).expect("a baseline")
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let trigger = Trigger::default();
    assert_eq!((trigger.target as u32, trigger.activation), (5, 0));
    assert_eq!(
        (trigger.poll_seconds as u32, trigger.cooldown_seconds as u32),
        (30, 300)
    );
    assert_eq!(trigger.cpu_percent, None);
}

#[test]
fn a_first_task_starts_one_pod_at_the_next_poll_and_the_hpa_does_the_rest() {
    let mut keda = scaler("keda", &from_zero());
    let mut replicas = 0;
    let written = writes(&mut *keda, &mut replicas, 0.0, 90.0, |now, replicas| {
        waiting(now, replicas, if now < 10.0 { 0 } else { 40 })
    });
    assert_eq!(written[0].1, 1);
    assert_eq!(written[0].0 as u32, 30, "the poll after the task came");
    assert_eq!(written[1].1, 4, "max(2 x 1, 4) at the next sync");
    assert_eq!(written[1].0 as u32, 37);
    assert_eq!(replicas, 8, "40 tasks / 5");
}

#[test]
fn a_woken_fleet_starts_at_its_lower_bound() {
    let two = Setting {
        min_replicas: 2,
        ..setting()
    };
    assert_eq!(scaler("keda", &two).look(&waiting(0.0, 0, 1)), Some(2));
    assert_eq!(scaler("keda", &two).look(&waiting(0.0, 0, 0)), Some(2));
}

#[test]
fn activation_needs_more_tasks_than_the_threshold() {
    use fleet_sim::baselines::keda::Keda;
    let trigger = Trigger {
        activation: 3,
        ..Trigger::default()
    };
    let ending = scaler("keda", &from_zero()).ending();
    let fresh = || Keda::new("keda", trigger, ending, &from_zero());
    assert_eq!(fresh().look(&waiting(0.0, 0, 3)), None);
    assert_eq!(fresh().look(&waiting(0.0, 0, 4)), Some(1));
}

#[test]
fn the_switch_goes_before_the_hpa_where_both_look_at_once() {
    use fleet_sim::baselines::keda::Keda;
    let trigger = Trigger {
        poll_seconds: 7.5,
        ..Trigger::default()
    };
    let ending = scaler("keda", &from_zero()).ending();
    let mut keda = Keda::new("keda", trigger, ending, &from_zero());
    assert_eq!(keda.look(&waiting(0.0, 0, 0)), None);
    assert_eq!(keda.look(&waiting(7.5, 0, 40)), Some(1));
}

#[test]
fn an_idle_fleet_falls_to_zero_from_any_size_after_the_cooldown() {
    let mut keda = scaler("keda", &from_zero());
    let mut replicas = 20;
    // The last poll that sees a task is the one at 120 s, the last sync the one at 142.5 s.
    let written = writes(&mut *keda, &mut replicas, 0.0, 600.0, |now, replicas| {
        waiting(now, replicas, if now < 145.0 { 100 } else { 0 })
    });
    assert_eq!(written.len(), 1, "{written:?}");
    assert_eq!(written[0].1, 0, "not 1, and before the window of the HPA ends");
    assert_eq!(written[0].0 as u32, 450, "the first poll more than 300 s after 120 s");
}

#[test]
fn a_busy_fleet_without_backlog_is_ended_all_the_same() {
    let mut keda = scaler("keda", &from_zero());
    let mut replicas = 6;
    writes(&mut *keda, &mut replicas, 0.0, 400.0, crate::fixtures::busy);
    assert_eq!(replicas, 0, "only the backlog counts");
}

#[test]
fn with_a_lower_bound_it_never_reaches_zero() {
    let mut keda = scaler("keda", &setting());
    let mut replicas = 6;
    writes(&mut *keda, &mut replicas, 0.0, 1200.0, |now, replicas| {
        waiting(now, replicas, 0)
    });
    assert_eq!(replicas, 1);
}

#[test]
fn an_error_holds_both_loops() {
    let mut keda = scaler("keda", &from_zero());
    let mut replicas = 6;
    let written = writes(&mut *keda, &mut replicas, 0.0, 1200.0, |now, replicas| {
        let mut seen = waiting(now, replicas, 0);
        seen.queues = vec![queue(0), None];
        seen
    });
    assert_eq!(written, []);
    let mut asleep = scaler("keda", &from_zero());
    let mut seen = waiting(0.0, 0, 0);
    seen.queues = vec![queue(9), None];
    assert_eq!(asleep.look(&seen), None);
}

#[test]
fn backlogs_of_all_queues_are_added_up() {
    let mut keda = scaler("keda", &setting());
    let mut replicas = 2;
    writes(&mut *keda, &mut replicas, 0.0, 60.0, |now, replicas| {
        let mut seen = waiting(now, replicas, 0);
        seen.queues = vec![queue(12), queue(18)];
        seen
    });
    assert_eq!(replicas, 6, "30 tasks / 5");
}

#[test]
fn the_tuned_one_counts_a_pod_per_full_set_of_slots_and_polls_every_five_seconds() {
    let two_types = Setting {
        slots: vec![10, 30],
        ..from_zero()
    };
    let trigger = Trigger::tuned(&two_types);
    assert_eq!((trigger.target as u32, trigger.poll_seconds as u32), (40, 5));
    let mut keda = scaler("keda-tuned", &two_types);
    let mut replicas = 0;
    let written = writes(&mut *keda, &mut replicas, 0.0, 60.0, |now, replicas| {
        waiting(now, replicas, if now < 1.0 { 0 } else { 120 })
    });
    assert_eq!((written[0].0 as u32, written[0].1), (5, 1));
    assert_eq!((written[1].0 as u32, written[1].1), (7, 3), "120 tasks / 40");
}

#[test]
fn the_cpu_trigger_scales_out_without_backlog_but_keeps_no_fleet_alive() {
    let mut keda = scaler("keda-cpu", &from_zero());
    let mut replicas = 4;
    let hot = |now, replicas| {
        let mut seen = waiting(now, replicas, 0);
        seen.pods.iter_mut().for_each(|pod| pod.cpu_cores = Some(0.96));
        seen
    };
    let written = writes(&mut *keda, &mut replicas, 0.0, 10.0, hot);
    assert_eq!(written.first().map(|write| write.1), Some(5), "ceil(4 x 96/80)");
    writes(&mut *keda, &mut replicas, 15.0, 400.0, hot);
    assert_eq!(replicas, 0, "a CPU trigger is never active");
}
