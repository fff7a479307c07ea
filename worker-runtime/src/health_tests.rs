//! Liveness: what makes it fail, and what never does.

use std::time::{Duration, Instant};

use super::*;
use crate::{
    executing::Executing,
    gate::{Gate, TaskType},
    pod::tests::pod,
};

fn after(pod: &Pod, seconds: u64) -> Instant {
    pod.started + Duration::from_secs(seconds)
}

#[test]
fn a_thread_that_stands_still_is_named_after_20_s() {
    let pod = pod(1);
    let pulse = pod.pulses.add("Workflow:q", Executing::default());
    pulse.beat(after(&pod, 100));
    assert_eq!(live(&pod, after(&pod, 120)), Ok(()));
    let reason = live(&pod, after(&pod, 121)).expect_err("stuck");
    assert_eq!(reason, "worker thread Workflow:q has not moved for 21 s");
}

#[test]
fn silence_with_a_free_slot_fails_after_180_s() {
    let pod = pod(1);
    pod.readiness.connected();
    pod.calls.ended(after(&pod, 10));
    assert_eq!(live(&pod, after(&pod, 190)), Ok(()));
    let reason = live(&pod, after(&pod, 191)).expect_err("silent");
    assert_eq!(
        reason,
        "no call to Temporal has ended for 181 s although slots are free"
    );
    // Refused or answered: a call that ends is a sign of life.
    pod.calls.ended(after(&pod, 191));
    assert_eq!(live(&pod, after(&pod, 192)), Ok(()));
}

#[test]
fn silence_is_allowed_while_all_slots_are_busy() {
    let pod = pod(1);
    pod.readiness.connected();
    let gate = pod.gates.activity.as_ref().expect("a gate");
    let permit = gate
        .intake(gate.add_lane(pod.started))
        .try_reserve(pod.started)
        .expect("a slot");
    assert!(live(&pod, after(&pod, 1_000)).is_err(), "an open poll is no task");
    permit.start("long", pod.started);
    assert_eq!(live(&pod, after(&pod, 1_000)), Ok(()));
    permit.end(after(&pod, 1_000));
    assert!(live(&pod, after(&pod, 1_000)).is_err());
}

#[test]
fn silence_is_allowed_while_resources_may_withhold_slots() {
    let mut pod = pod(100);
    let gate = Arc::new(Gate::new(TaskType::Activity, 100, pod.started).resource_based(true));
    pod.gates.activity = Some(Arc::clone(&gate));
    pod.readiness.connected();
    let permit = gate
        .intake(gate.add_lane(pod.started))
        .try_reserve(pod.started)
        .expect("a slot");
    assert!(
        live(&pod, after(&pod, 1_000)).is_err(),
        "the first slot is never withheld"
    );
    permit.start("long", pod.started);
    assert_eq!(live(&pod, after(&pod, 1_000)), Ok(()));
}

#[test]
fn silence_is_allowed_before_the_connection_and_while_draining() {
    let pod = pod(1);
    assert_eq!(live(&pod, after(&pod, 1_000)), Ok(()), "connecting is tried for ever");
    pod.readiness.connected();
    pod.phases.ask_to_drain(pod.started);
    assert_eq!(live(&pod, after(&pod, 1_000)), Ok(()));
    pod.phases.end(pod.started);
    assert_eq!(live(&pod, after(&pod, 1_000)), Ok(()));
}
