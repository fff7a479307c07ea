//! The journey of a fleet in the small world: out, in, to zero and back.

mod common;

use common::{Work, World, demo_policy};

fn show(decisions: &[(f64, u32, fleet_autoscale::Decision)]) {
    for (time, before, decision) in decisions {
        println!(
            "{time:6.0}s {before}->{} rec {} {:?} {:?} cpu {:?} p99 {:?} | {}",
            decision.replicas, decision.recommended, decision.reason, decision.limited.reason,
            decision.cpu_utilization.map(|c| (c * 100.0).round()), decision.schedule_to_start_p99_seconds, decision.message
        );
    }
}

#[test]
fn demo() {
    let policy = demo_policy();
    let mut world = World::new(1, 4, 0.2);
    let sleep = Work { seconds: 2.0, cpu: 0.01 };
    let burn = Work { seconds: 1.25, cpu: 0.25 };
    println!("quiet"); show(&world.live(&policy, 60.0, 1.0, sleep));
    println!("step"); show(&world.live(&policy, 90.0, 10.0, sleep));
    println!("cpu"); show(&world.live(&policy, 90.0, 2.0, burn));
    println!("quiet"); show(&world.live(&policy, 120.0, 0.5, sleep));
    println!("none"); show(&world.live(&policy, 90.0, 0.0, sleep));
    world.burst(40, sleep);
    println!("burst"); show(&world.live(&policy, 60.0, 0.0, sleep));
}
