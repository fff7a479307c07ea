//! The runtime's own metrics as Prometheus reads them: names, labels, units and what to alert on are a contract.

use std::time::Duration;

use super::*;
use crate::{executing::Executing, pod::tests::pod};

#[test]
fn the_page_of_a_pod_that_drains() {
    let pod = pod(4);
    let after = |seconds| pod.started + Duration::from_secs(seconds);
    let gate = pod.gates.activity.as_ref().expect("a gate");
    let intake = gate.intake(gate.add_lane(pod.started));
    let (first, second) = (intake.try_reserve(after(1)), intake.try_reserve(after(1)));
    first.as_ref().expect("a slot").start("a", after(10));
    second.as_ref().expect("a slot").start("b", after(20));
    let pulse = pod.pulses.add("Activity:q", Executing::default());
    pulse.beat(after(28));
    let counters = &pod.counters;
    count(&counters.reloads);
    count(&counters.failed_reloads);
    count(&counters.rebuilds);
    for _ in 0..3 {
        count(&counters.recycled);
        count(&counters.unregistered);
    }
    pod.phases.ask_to_drain(after(25));
    let exits = [("crashed", 1), ("killed", 2), ("replaced", 3)];
    let mut families = families(&pod, &exits, after(30));
    // As the registry does: sorted, and without families that have no sample.
    families.retain(|family| !family.get_metric().is_empty());
    families.sort_by(|left, right| left.name().cmp(right.name()));
    let page = TextEncoder::new().encode_to_string(&families).expect("a page");
    insta::assert_snapshot!(page);
}
