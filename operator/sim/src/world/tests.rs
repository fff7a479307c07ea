use super::pod::Life;
use super::*;
use crate::scenario::parse;

const PATIENT: Ending = Ending {
    grace_seconds: 600.0,
    idle_first: true,
    quarantine: true,
};

fn with_world(text: &str, ending: Ending, test: impl FnOnce(&mut World<'_>)) {
    let scenario = parse(text).expect(text);
    let streams = Streams::draw(&scenario, 1);
    test(&mut World::new(&scenario, &streams, 1, ending, Options::default()));
}

fn order(world: &World<'_>) -> Vec<u32> {
    let all = world.existing.clone();
    let count = all.len();
    world.victims(all, count)
}

#[test]
fn a_replica_set_ranks_by_life_cost_crowd_age_and_uid_in_this_order() {
    let text = "profile: io\nload: { rate: 0 }\nbounds: { start: 8 }\npods: { nodes: 4 }";
    with_world(text, PATIENT, |world| {
        world.now = At::seconds(1000.0);
        // id: life, node, Ready since, chosen, uid.
        let pods = [
            (Life::Ready, 0, 0.0, false, 9),
            (Life::Ready, 1, 0.0, true, 5),
            (Life::Starting, 2, 0.0, false, 5),
            (Life::Pending, 2, 0.0, false, 5),
            (Life::Unschedulable, 2, 0.0, false, 5),
            (Life::Ready, 0, 990.0, false, 5),
            (Life::Ready, 0, 1.0, false, 7),
            (Life::Ready, 3, 999.0, false, 1),
        ];
        for (pod, (life, node, ready, chosen, uid)) in world.pods.iter_mut().zip(pods) {
            pod.life = life;
            pod.drawn.node = node;
            pod.ready = (life == Life::Ready).then_some(At::seconds(ready));
            pod.chosen = chosen;
            pod.drawn.uid = uid;
        }
        // Without a node; pending; not Ready; the chosen one; from the node with three the youngest, then of two that are about
        // as old the lower UID although it is Ready for longer; last the youngest of all, alone on its node.
        assert_eq!(order(world), [4, 3, 2, 1, 5, 6, 0, 7]);
    });
}

#[test]
fn a_scaler_that_chooses_takes_the_idle_and_the_idlest() {
    let text = "kinds: [{ slots: 4, cores: 0, service: { distribution: fixed, meanSeconds: 500 } }]\n\
                load: { rate: 1 }\ndurationSeconds: 600\nbounds: { start: 4 }";
    with_world(text, PATIENT, |world| {
        let arrivals = world.streams.arrivals.clone();
        // Three tasks: pods are chosen at random, at least one stays idle.
        for (task, arrival) in (0..).zip(arrivals.iter().take(3)) {
            world.arrive(task, arrival);
        }
        let busy: Vec<u32> = world.pods.iter().map(Pod::busy).collect();
        let idle = busy.iter().filter(|busy| **busy == 0).count() as u32;
        world.write(4 - idle);
        let (at, event) = std::iter::from_fn(|| world.agenda.pop())
            .find(|(_, event)| matches!(event, Event::Scaled { .. }))
            .expect("a second later");
        assert!((at.as_seconds() - 1.0).abs() < 1e-6, "the costs have to be seen first");
        assert_eq!(event, Event::Scaled { replicas: 4 - idle });
        world.scale(4 - idle);
        for (pod, busy) in world.pods.iter().zip(busy) {
            let expected = if busy == 0 { Life::Gone } else { Life::Ready };
            assert_eq!(pod.life, expected);
        }
    });
}

#[test]
fn a_draining_pod_takes_no_task_and_goes_when_its_last_one_ends() {
    let text = "kinds: [{ slots: 4, cores: 0, service: { distribution: fixed, meanSeconds: 50 } }]\n\
                load: { rate: 1 }\ndurationSeconds: 600\nbounds: { start: 1, min: 0 }";
    with_world(text, PATIENT, |world| {
        let arrivals = world.streams.arrivals.clone();
        world.now = arrivals[0].at;
        world.arrive(0, &arrivals[0]);
        world.scale(0);
        world.arrive(1, &arrivals[1]);
        assert_eq!((world.pods[0].life, world.pods[0].busy()), (Life::Draining, 1));
        assert_eq!(world.queues[0].backlog(), 1);
        world.now = world.pods[0].due.expect("it runs");
        world.end_tasks(0);
        assert_eq!(world.pods[0].life, Life::Gone);
        assert!(world.existing.is_empty());
    });
}

#[test]
fn pods_with_a_free_slot_are_listed_once_and_full_ones_not() {
    let text = "profile: mix\nload: { rate: 40 }\nbounds: { start: 3 }";
    with_world(text, PATIENT, |world| {
        let arrivals = world.streams.arrivals.clone();
        for (task, arrival) in (0..).zip(arrivals.iter().take(2000)) {
            world.now = arrival.at;
            world.arrive(task, arrival);
            for (kind, free) in world.free.iter().enumerate() {
                for (id, pod) in (0..).zip(&world.pods) {
                    let slots = &pod.slots[kind];
                    let listed = free.iter().filter(|free| **free == id).count();
                    assert_eq!(listed, usize::from(slots.used < slots.limit), "task {task}");
                }
            }
        }
    });
}
