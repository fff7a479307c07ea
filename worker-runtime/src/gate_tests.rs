//! Gates: who gets a slot, and that the counters are exact.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use proptest::prelude::*;
use tokio::sync::Semaphore;

use super::{Gate, Intake, Permit, TaskType};

fn gate(limit: u32, now: Instant) -> Arc<Gate> {
    Arc::new(Gate::new(TaskType::Activity, limit, now))
}

/// An intake on a lane of its own.
fn intake(gate: &Arc<Gate>, now: Instant) -> Arc<Intake> {
    gate.intake(gate.add_lane(now))
}

#[test]
fn a_single_lane_may_open_as_many_polls_as_there_are_slots() {
    let now = Instant::now();
    let gate = gate(3, now);
    let lane = gate.add_lane(now);
    let intake = gate.intake(lane);
    let permits: Vec<Permit> = std::iter::from_fn(|| intake.try_reserve(now)).collect();
    assert_eq!(permits.len(), 3);
    assert_eq!(gate.open_polls(lane), 3);
}

#[test]
fn an_idle_lane_beside_others_keeps_one_poll_open() {
    let now = Instant::now();
    let gate = gate(10, now);
    let (idle, busy) = (intake(&gate, now), intake(&gate, now));
    let _poll = idle.try_reserve(now).expect("the first poll");
    assert!(idle.try_reserve(now).is_none(), "a second idle poll would hoard a slot");
    let mut held = Vec::new();
    while let Some(permit) = busy.try_reserve(now) {
        permit.start("a", now);
        held.push(permit);
    }
    assert_eq!(held.len(), 9, "the busy lane gets all that is left");
}

#[test]
fn each_lane_keeps_a_slot_however_busy_its_neighbour_is() {
    let now = Instant::now();
    let gate = gate(4, now);
    let (busy, late) = (intake(&gate, now), intake(&gate, now));
    let mut held = Vec::new();
    while let Some(permit) = busy.try_reserve(now) {
        permit.start("a", now);
        held.push(permit);
    }
    assert_eq!(held.len(), 3);
    assert!(late.try_reserve(now).is_some());
}

#[test]
fn a_burst_on_a_shared_gate_doubles_its_polls() {
    let now = Instant::now();
    let gate = gate(100, now);
    let (burst, _other) = (intake(&gate, now), intake(&gate, now));
    let mut held = Vec::new();
    let mut rounds = 0;
    while held.len() < 64 {
        let opened: Vec<Permit> = std::iter::from_fn(|| burst.try_reserve(now)).collect();
        for permit in &opened {
            permit.start("a", now);
        }
        held.extend(opened);
        rounds += 1;
    }
    assert!(rounds <= 8, "{rounds} round trips for 64 tasks");
}

#[test]
fn a_closed_gate_hands_out_nothing_and_keeps_what_is_held() {
    let now = Instant::now();
    let gate = gate(2, now);
    let lane = gate.add_lane(now);
    let intake = gate.intake(lane);
    let permit = intake.try_reserve(now).expect("a slot");
    gate.close();
    assert!(intake.try_reserve(now).is_none());
    permit.start("last", now);
    assert_eq!((gate.report(9, now).used, gate.open_polls(lane)), (1, 0));
}

#[tokio::test]
async fn a_waiting_poller_is_woken_by_the_slot_that_becomes_free() {
    let now = Instant::now();
    let gate = gate(1, now);
    let intake = intake(&gate, now);
    let held = intake.try_reserve(now).expect("a slot");
    let waiting = tokio::spawn(async move { intake.reserve().await });
    tokio::task::yield_now().await;
    drop(held);
    tokio::time::timeout(Duration::from_secs(5), waiting)
        .await
        .expect("woken")
        .expect("no panic");
}

#[tokio::test]
async fn a_closed_intake_leaves_its_lane_to_the_next() {
    let now = Instant::now();
    let gate = gate(2, now);
    let (lane, neighbour) = (gate.add_lane(now), intake(&gate, now));
    let (old, new) = (gate.intake(lane), gate.intake(lane));
    let task = old.try_reserve(now).expect("a slot");
    task.start("long", now);
    old.close();
    assert!(old.try_reserve(now).is_none());
    assert!(new.try_reserve(now).is_none(), "the neighbour's slot is not given away");
    let poll = neighbour.try_reserve(now).expect("its own slot");
    assert!(new.try_reserve(now).is_none(), "one limit for both");
    assert_eq!((old.started(), new.started()), (1, 0));

    let emptied = tokio::spawn({
        let old = Arc::clone(&old);
        async move { old.emptied().await }
    });
    tokio::task::yield_now().await;
    assert!(!emptied.is_finished(), "its task runs");
    task.end(now);
    drop(task);
    emptied.await.expect("no panic");
    assert!(new.try_reserve(now).is_some());
    drop(poll);
}

#[test]
fn a_report_lists_the_oldest_tasks_first() {
    let now = Instant::now();
    let gate = gate(3, now);
    let intake = intake(&gate, now);
    let permits: Vec<Permit> = std::iter::from_fn(|| intake.try_reserve(now)).collect();
    for (second, permit) in permits.iter().enumerate() {
        permit.start(&format!("task-{second}"), now + Duration::from_secs(second as u64));
    }
    let report = gate.report(2, now + Duration::from_secs(10));
    let listed: Vec<(&str, u64)> = report
        .running
        .iter()
        .map(|(name, age)| (&**name, age.as_secs()))
        .collect();
    assert_eq!(listed, [("task-0", 10), ("task-1", 9)]);
}

#[test]
fn a_resource_based_gate_has_a_ceiling_but_no_limit_and_room_only_for_the_first_task_of_each_lane() {
    let now = Instant::now();
    let gate = Arc::new(Gate::new(TaskType::Activity, 3, now).resource_based(true));
    let (one, other) = (intake(&gate, now), intake(&gate, now));
    assert_eq!(gate.report(0, now).limit, None);
    let held: Vec<Permit> = [&one, &other]
        .into_iter()
        .filter_map(|intake| intake.try_reserve(now))
        .collect();
    assert_eq!((held.len(), one.issued(), other.issued()), (2, 1, 1));
    held[0].start("a", now);
    assert!(gate.has_room(), "the other lane runs nothing");
    held[1].start("b", now);
    assert!(!gate.has_room(), "a further slot is not for the gate to promise");
    let third = one.try_reserve(now).expect("below the ceiling");
    third.start("c", now);
    assert!(other.try_reserve(now).is_none(), "the ceiling holds");
}

#[tokio::test]
async fn each_attempt_at_a_slot_asks_anew_and_holds_nothing_while_it_asks() {
    let now = Instant::now();
    let gate = gate(1, now);
    let intake = intake(&gate, now);
    let held = intake.try_reserve(now).expect("the only slot");
    let asked = Arc::new(AtomicU32::new(0));
    let allowed = Arc::new(Semaphore::new(1));
    let waiting = tokio::spawn({
        let (intake, asked, allowed) = (Arc::clone(&intake), Arc::clone(&asked), Arc::clone(&allowed));
        async move {
            let ask = || async {
                asked.fetch_add(1, Ordering::Relaxed);
                allowed.acquire().await.expect("never closed").forget();
            };
            intake.reserve_after(ask).await
        }
    });
    until("it was allowed, and found no slot", || allowed.available_permits() == 0).await;
    drop(held);
    until("it asks again", || asked.load(Ordering::Relaxed) == 2).await;
    assert_eq!(intake.issued(), 0, "the slot is free for whoever is allowed");
    allowed.add_permits(1);
    waiting.await.expect("no panic");
}

/// Lets other tasks go on until something holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), wait).await.expect(what);
}

/// One thing that can happen to a gate.
#[derive(Debug, Clone)]
enum Event {
    Reserve(usize),
    Start(usize),
    End(usize),
    Drop(usize),
}

fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
    let event = prop_oneof![
        (0..3usize).prop_map(Event::Reserve),
        (0..20usize).prop_map(Event::Start),
        (0..20usize).prop_map(Event::End),
        (0..20usize).prop_map(Event::Drop),
    ];
    prop::collection::vec((0..500u64, event), 1..200)
}

proptest! {
    /// Never more than the limit, and the integral is that of a count kept by hand.
    #[test]
    fn slots_stay_within_the_limit_and_the_integral_is_exact(limit in 3..8u32, events in events()) {
        let mut now = Instant::now();
        let gate = gate(limit, now);
        let lanes = [intake(&gate, now), intake(&gate, now), intake(&gate, now)];
        let mut held: Vec<(Permit, bool)> = Vec::new();
        let (mut used, mut integral, mut completions) = (0u64, 0u64, 0u64);
        for (pause, event) in events {
            now += Duration::from_millis(pause);
            integral += used * pause;
            match event {
                Event::Reserve(lane) => held.extend(lanes[lane].try_reserve(now).map(|permit| (permit, false))),
                Event::Start(index) => if let Some((permit, running @ false)) = held.get_mut(index) {
                    permit.start("t", now);
                    *running = true;
                    used += 1;
                },
                Event::End(index) => if let Some((permit, true)) = held.get(index) {
                    permit.end(now);
                    // A slot serves one task; the SDK drops it right after.
                    held.remove(index);
                    used -= 1;
                    completions += 1;
                },
                Event::Drop(index) => if matches!(held.get(index), Some((_, false))) {
                    held.remove(index);
                },
            }
            let report = gate.report(usize::MAX, now);
            prop_assert!(held.len() <= limit as usize);
            prop_assert_eq!(u64::from(report.used), used);
            prop_assert_eq!(report.running.len() as u64, used);
            prop_assert_eq!(report.completions, completions);
            prop_assert_eq!(report.busy_slot_ms, integral);
        }
        drop(held);
        prop_assert_eq!(gate.available(), limit);
    }
}
