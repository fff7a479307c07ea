//! Somebody else who sizes the fleet: the operator stops, says who it is, and takes over again when they are gone.
#![allow(clippy::panic, clippy::expect_used, reason = "tests")]

#[allow(dead_code, reason = "shared with tests that use more of it")]
mod common;

use common::{Cluster, a_fleet, autoscaled, t0};
use fleet_core::autoscale::Seen;
use fleet_core::{
    ConditionType, Desired, Memory, NoticeReason, Pass, Plan, Reason, Rival, Scales, Step, Taken, Truth, WRITERS, plan,
};
use jiff::{SignedDuration, Timestamp};

/// A cluster with a fleet, its memory, and the time.
struct Fleet {
    cluster: Cluster,
    memory: Memory,
    now: Timestamp,
}

impl Fleet {
    /// Of `pods` pods that the operator made, for a fleet that is `desired` from then on.
    fn of(pods: u32, desired: &Desired) -> Self {
        let mut fleet = Self {
            cluster: Cluster::empty(),
            memory: Memory::default(),
            now: t0(),
        };
        for _ in 0..5 {
            fleet.pass(&a_fleet(pods));
        }
        for _ in 0..3 {
            fleet.pass(desired);
        }
        assert_eq!(fleet.size(), pods);
        fleet
    }

    /// One pass, five seconds after the last.
    fn pass(&mut self, desired: &Desired) -> Plan {
        self.now += SignedDuration::from_secs(5);
        for queue in &mut self.cluster.world.queues {
            queue.at = self.now;
        }
        for pod in self.cluster.pods() {
            if let Seen::Known(report) = &mut pod.report {
                report.pod.at = self.now;
            }
        }
        let plan = plan(desired, &self.cluster.world, &self.memory, Pass::default(), self.now);
        for step in &plan.steps {
            self.cluster.execute(desired, step, self.now).expect("no conflict");
        }
        self.memory = plan.memory.clone();
        plan
    }

    fn size(&mut self) -> u32 {
        self.cluster.deployment().replicas
    }

    /// Somebody else sets the size, now.
    fn written_by(&mut self, manager: &str, replicas: u32) {
        let at = self.now;
        let view = self.cluster.deployment();
        view.replicas = replicas;
        view.scale_managed = false;
        view.taken = Some(Taken {
            manager: manager.to_owned(),
            at,
        });
    }

    fn rival(&mut self, scales: Scales) {
        self.cluster.world.rival = Some(Rival {
            name: "HorizontalPodAutoscaler shop/theirs".to_owned(),
            scales,
        });
    }
}

fn active(plan: &Plan) -> (Truth, Reason) {
    let found = plan
        .verdicts
        .iter()
        .find(|verdict| verdict.condition == ConditionType::ScalingActive);
    found
        .map(|verdict| (verdict.truth, verdict.reason))
        .expect("it is always set")
}

fn conflicts(plan: &Plan) -> usize {
    let reasons = plan.notices.iter().map(|notice| notice.reason);
    reasons
        .filter(|reason| *reason == NoticeReason::ReplicasConflict)
        .count()
}

fn writes_a_size(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| matches!(step, Step::Scale { .. }))
}

#[test]
fn the_size_is_left_to_an_autoscaler_on_the_deployment_and_taken_back_when_it_goes() {
    for desired in [autoscaled(3, 10), a_fleet(3)] {
        let mut fleet = Fleet::of(3, &desired);
        fleet.rival(Scales::Deployment);
        let told = fleet.pass(&desired);
        assert_eq!(active(&told), (Truth::False, Reason::ReplicasOwnedByOther));
        assert_eq!(conflicts(&told), 1);
        for replicas in [7, 1, 12] {
            fleet.written_by("kube-controller-manager", replicas);
            let plan = fleet.pass(&desired);
            assert!(!writes_a_size(&plan), "{:?}", plan.steps);
            assert_eq!((fleet.size(), plan.replicas), (replicas, replicas));
            assert_eq!(conflicts(&plan), 0, "it is told once");
        }
        fleet.written_by("kube-controller-manager", 2);
        fleet.pass(&desired);
        fleet.cluster.world.rival = None;
        let back = fleet.pass(&desired);
        assert_ne!(active(&back).1, Reason::ReplicasOwnedByOther);
        assert_eq!(fleet.size(), 3, "its own size again");
    }
}

#[test]
fn what_the_law_recommends_is_published_all_the_same() {
    let desired = autoscaled(3, 10);
    let mut fleet = Fleet::of(3, &desired);
    fleet.rival(Scales::Deployment);
    assert!(fleet.pass(&desired).decision.is_some());
}

#[test]
fn a_victim_of_our_own_is_spared_as_soon_as_the_size_is_anothers() {
    let mut fleet = Fleet::of(5, &a_fleet(5));
    let marking = fleet.pass(&a_fleet(3));
    assert!(marking.memory.scale_in.is_some());
    fleet.rival(Scales::Deployment);
    let plan = fleet.pass(&a_fleet(3));
    assert_eq!(plan.memory.scale_in, None);
    assert!(fleet.cluster.pods().iter().all(|pod| pod.deletion_cost.is_none()));
    assert_eq!(fleet.size(), 5);
}

#[test]
fn a_template_is_applied_without_the_size_that_another_wrote() {
    let mut fleet = Fleet::of(3, &autoscaled(3, 10));
    fleet.rival(Scales::Deployment);
    fleet.written_by("kube-controller-manager", 6);
    let mut desired = autoscaled(3, 10);
    desired.deployment_hash = "d2".to_owned();
    let plan = fleet.pass(&desired);
    assert!(
        plan.steps.contains(&Step::ApplyDeployment { replicas: None }),
        "{:?}",
        plan.steps
    );
    assert_eq!(fleet.size(), 6);
}

#[test]
fn an_autoscaler_on_the_fleet_itself_sets_the_size_by_spec_replicas() {
    let auto = |replicas| {
        let mut desired = autoscaled(1, 10);
        if let fleet_core::Size::Auto { replicas: seed, .. } = &mut desired.size {
            *seed = replicas;
        }
        desired
    };
    let mut fleet = Fleet::of(3, &auto(1));
    fleet.rival(Scales::Worker);
    let plan = fleet.pass(&auto(1));
    assert_eq!(active(&plan), (Truth::False, Reason::ReplicasOwnedByOther));
    assert_eq!(fleet.size(), 3, "not the seed, before the other wrote anything");
    fleet.pass(&auto(6));
    assert_eq!(fleet.size(), 6);
    fleet.cluster.world.rival = None;
    let back = fleet.pass(&auto(6));
    assert_eq!(active(&back).0, Truth::True);
}

#[test]
fn a_fleet_without_an_autoscaler_may_be_sized_by_another_through_its_spec() {
    let mut fleet = Fleet::of(3, &a_fleet(3));
    fleet.rival(Scales::Worker);
    let plan = fleet.pass(&a_fleet(4));
    assert_eq!(active(&plan).1, Reason::TurnedOff);
    assert_eq!(fleet.size(), 4);
}

#[test]
fn a_writer_who_comes_back_for_minutes_is_given_way_to_and_outlived() {
    let desired = autoscaled(3, 10);
    let mut fleet = Fleet::of(3, &desired);
    let mut given_way = None;
    for pass in 0..100 {
        // Every 75 s.
        if pass % 15 == 0 {
            fleet.written_by("argocd", 1);
        }
        let plan = fleet.pass(&desired);
        if active(&plan).1 == Reason::ReplicasOwnedByOther {
            given_way = Some(pass);
            break;
        }
        assert_eq!(fleet.size(), 3, "put right until then");
    }
    assert_eq!(given_way, Some(60), "the fifth write, after five minutes");
    assert_eq!(fleet.size(), 1);
    fleet.now += SignedDuration::from_mins(50);
    assert_eq!(active(&fleet.pass(&desired)).1, Reason::ReplicasOwnedByOther);
    fleet.now += SignedDuration::from_mins(15);
    assert_ne!(active(&fleet.pass(&desired)).1, Reason::ReplicasOwnedByOther);
    assert_eq!(fleet.size(), 3);
}

#[test]
fn a_person_who_tries_sizes_for_a_minute_is_put_right_each_time() {
    let desired = autoscaled(3, 10);
    let mut fleet = Fleet::of(3, &desired);
    for _ in 0..12 {
        fleet.written_by("kubectl", 1);
        let plan = fleet.pass(&desired);
        assert_ne!(active(&plan).1, Reason::ReplicasOwnedByOther);
        assert_eq!(fleet.size(), 3);
    }
}

#[test]
fn one_write_that_is_seen_again_and_again_is_one_write() {
    let desired = autoscaled(1, 10);
    let mut fleet = Fleet::of(3, &desired);
    fleet.written_by("kubectl", 5);
    for _ in 0..90 {
        let plan = fleet.pass(&desired);
        assert!(plan.memory.writers.iter().all(|writer| writer.writes == 1));
    }
}

/// Writes by `managers` in turn, one in 75 s, until one of them is given way to; how many writes that took, and what is said.
fn in_turn(managers: &[&str], writes: usize) -> Option<(usize, String)> {
    let desired = autoscaled(3, 10);
    let mut fleet = Fleet::of(3, &desired);
    for write in 0..writes {
        fleet.written_by(managers[write % managers.len()], 1);
        for _ in 0..15 {
            let plan = fleet.pass(&desired);
            assert!(plan.memory.writers.len() <= WRITERS);
            if active(&plan).1 == Reason::ReplicasOwnedByOther {
                return Some((write + 1, plan.memory.yielded_to.unwrap_or_default()));
            }
        }
    }
    None
}

#[test]
fn several_hands_with_a_write_or_two_each_are_put_right() {
    assert_eq!(in_turn(&["kubectl-a", "kubectl-b", "kubectl-c", "kubectl-d"], 8), None);
}

#[test]
fn a_tool_is_recognised_though_a_hand_writes_between() {
    let (writes, owner) = in_turn(&["argocd", "kubectl"], 20).expect("found out");
    assert_eq!((writes, owner.as_str()), (9, "field manager argocd"), "its fifth write");
}

#[test]
fn of_more_writers_than_are_remembered_the_oldest_is_forgotten() {
    let desired = autoscaled(3, 10);
    let mut fleet = Fleet::of(3, &desired);
    for number in 0..12 {
        fleet.written_by(&format!("hand-{number}"), 1);
        fleet.pass(&desired);
    }
    let names: Vec<&str> = fleet
        .memory
        .writers
        .iter()
        .map(|writer| writer.manager.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "hand-4", "hand-5", "hand-6", "hand-7", "hand-8", "hand-9", "hand-10", "hand-11"
        ]
    );
}

#[test]
fn who_gives_way_does_not_change_sides_while_both_write() {
    let desired = autoscaled(3, 10);
    let mut fleet = Fleet::of(3, &desired);
    let mut told = 0;
    for pass in 0..200 {
        if pass % 15 == 0 {
            fleet.written_by(if pass % 30 == 0 { "argocd" } else { "flux" }, 1);
        }
        told += conflicts_with_managers(&fleet.pass(&desired));
    }
    assert_eq!(told, 1);
}

fn conflicts_with_managers(plan: &Plan) -> usize {
    let notices = plan
        .notices
        .iter()
        .filter(|notice| notice.reason == NoticeReason::ReplicasConflict);
    notices
        .filter(|notice| notice.message.starts_with("field manager"))
        .count()
}

#[test]
fn a_memory_of_one_writer_keeps_him() {
    let old = r#"{"desired": 3, "writer": {"manager": "argocd", "first": "2026-11-22T12:00:00Z", "last": "2026-11-22T12:00:00Z",
                 "writes": 4}, "autoscale": {}}"#;
    let memory: Memory = serde_json::from_str(old).expect("lenient");
    let writers: Vec<(&str, u32)> = memory
        .writers
        .iter()
        .map(|writer| (writer.manager.as_str(), writer.writes))
        .collect();
    assert_eq!((memory.desired, writers), (Some(3), vec![("argocd", 4)]));
    let json = serde_json::to_string(&memory).expect("serialises");
    assert_eq!(serde_json::from_str::<Memory>(&json).expect("reads back"), memory);
    assert_eq!(
        serde_json::from_str::<Memory>("{}").expect("lenient"),
        Memory::default()
    );
}
