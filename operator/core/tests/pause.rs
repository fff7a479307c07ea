//! Annotations that hold the size of a fleet: what is written is held, what is recommended is still published, and all signs
//! of it begin and end together.
#![allow(clippy::panic, clippy::expect_used, reason = "tests")]

mod common;

use std::collections::BTreeMap;

use common::{Cluster, a_fleet, autoscaled, t0};
use fleet_core::autoscale::Seen;
use fleet_core::pause::{self, FORCE_ACTIVATION, PAUSED, PAUSED_REPLICAS, PAUSED_SCALE_IN, PAUSED_SCALE_OUT};
use fleet_core::{ConditionType, Desired, Memory, NoticeReason, Pass, Plan, QueueStats, Step, Truth, plan};
use jiff::SignedDuration;

fn with(annotations: &[(&str, &str)], desired: Desired) -> Desired {
    let annotations: BTreeMap<String, String> = annotations
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Desired {
        pause: pause::read(&annotations),
        ..desired
    }
}

/// A cluster with a fleet, its memory, and the time.
struct Fleet {
    cluster: Cluster,
    memory: Memory,
    second: i64,
}

impl Fleet {
    /// A fleet of `pods` that stands still, at Temporal without load.
    fn of(desired: &Desired, pods: u32) -> Self {
        let mut fleet = Self {
            cluster: Cluster::empty(),
            memory: Memory::default(),
            second: 0,
        };
        fleet.run(&a_fleet(pods), 10);
        fleet.memory = Memory::default();
        fleet.run(desired, 1);
        fleet
    }

    fn pass(&mut self, desired: &Desired) -> Plan {
        self.second += 5;
        let now = t0() + SignedDuration::from_secs(self.second);
        for queue in &mut self.cluster.world.queues {
            queue.at = now;
        }
        self.cluster.report_again(now);
        let plan = plan(desired, &self.cluster.world, &self.memory, Pass::default(), now);
        for step in &plan.steps {
            self.cluster.execute(desired, step, now).expect("no conflict");
        }
        self.cluster.settle(now);
        self.memory = plan.memory.clone();
        plan
    }

    /// Runs some passes and returns the last.
    fn run(&mut self, desired: &Desired, passes: usize) -> Plan {
        let mut last = self.pass(desired);
        for _ in 1..passes {
            last = self.pass(desired);
        }
        last
    }

    fn tasks_wait(&mut self, tasks: u64) {
        self.cluster.world.queues[0].stats = Seen::Known(QueueStats {
            backlog: tasks,
            backlog_age_seconds: 3.0,
            add_rate: 20.0,
            ..QueueStats::default()
        });
    }

    fn size(&mut self) -> u32 {
        self.cluster.deployment().replicas
    }
}

fn paused(plan: &Plan) -> (Truth, &'static str) {
    let verdict = plan
        .verdicts
        .iter()
        .find(|verdict| verdict.condition == ConditionType::ScalingPaused)
        .expect("it is always set");
    (verdict.truth, verdict.reason.as_str())
}

fn said(plan: &Plan) -> Vec<NoticeReason> {
    plan.notices.iter().map(|notice| notice.reason).collect()
}

#[test]
fn a_paused_fleet_keeps_its_size_and_the_law_is_still_asked() {
    let held = with(&[(PAUSED, "true")], autoscaled(1, 20));
    let mut fleet = Fleet::of(&held, 3);
    fleet.tasks_wait(500);
    let plan = fleet.run(&held, 20);
    assert_eq!((fleet.size(), plan.replicas), (3, 3));
    let decision = plan.decision.expect("the law is asked");
    assert!(
        decision.recommended > 3 && decision.replicas > 3,
        "{}",
        decision.message
    );
}

#[test]
fn a_fleet_that_is_resumed_follows_the_law_again() {
    let held = with(&[(PAUSED, "true")], autoscaled(1, 20));
    let mut fleet = Fleet::of(&held, 3);
    fleet.tasks_wait(500);
    fleet.run(&held, 3);
    let resumed = fleet.pass(&autoscaled(1, 20));
    assert!(fleet.size() > 3, "{:?}", resumed.steps);
}

#[test]
fn a_pinned_fleet_takes_and_keeps_the_size_whatever_the_law_wants() {
    for pods in [0, 1, 5] {
        let held = with(
            &[
                (PAUSED_REPLICAS, &pods.to_string()),
                (PAUSED, "true"),
                (FORCE_ACTIVATION, "true"),
            ],
            autoscaled(2, 4),
        );
        let mut fleet = Fleet::of(&autoscaled(2, 4), 3);
        fleet.tasks_wait(500);
        let plan = fleet.run(&held, 20);
        assert_eq!(
            (fleet.size(), plan.replicas),
            (pods, pods),
            "neither bounds nor load count"
        );
    }
}

#[test]
fn a_pinned_fleet_shrinks_as_safely_as_one_that_a_person_scales() {
    let held = with(&[(PAUSED_REPLICAS, "0")], autoscaled(1, 20));
    let mut fleet = Fleet::of(&autoscaled(1, 20), 2);
    fleet.cluster.busy("uid-0", 1, SignedDuration::from_secs(3600));
    fleet.run(&held, 20);
    let left: Vec<_> = fleet.cluster.pods().iter().map(|pod| pod.uid.clone()).collect();
    assert_eq!(
        left,
        ["uid-0"],
        "its task outlasts the grace: it leaves in its own time"
    );
    assert_eq!((fleet.size(), fleet.cluster.cut_off.len()), (0, 0));
}

#[test]
fn a_fleet_that_may_not_shrink_still_grows_and_the_other_way_round() {
    let no_in = with(&[(PAUSED_SCALE_IN, "true")], autoscaled(0, 20));
    let mut fleet = Fleet::of(&no_in, 3);
    fleet.run(&no_in, 200);
    assert_eq!(fleet.size(), 3, "idle for a thousand seconds");
    fleet.tasks_wait(500);
    fleet.run(&no_in, 2);
    assert!(fleet.size() > 3);

    let no_out = with(&[(PAUSED_SCALE_OUT, "true")], autoscaled(0, 20));
    let mut fleet = Fleet::of(&no_out, 3);
    fleet.tasks_wait(500);
    fleet.run(&no_out, 20);
    assert_eq!(fleet.size(), 3);
    fleet.cluster.world.queues[0].stats = Seen::Known(QueueStats::default());
    fleet.run(&no_out, 200);
    assert_eq!(fleet.size(), 0);
}

#[test]
fn a_scale_in_that_was_announced_ends_with_the_pause() {
    let running = autoscaled(0, 20);
    let mut fleet = Fleet::of(&running, 3);
    let announced = (0..200).find(|_| fleet.pass(&running).memory.scale_in.is_some());
    assert!(announced.is_some(), "an idle fleet shrinks");
    let held = with(&[(PAUSED, "true")], running);
    let plan = fleet.pass(&held);
    assert_eq!(plan.memory.scale_in, None);
    let unmarked = |step: &Step| matches!(step, Step::MarkPod { victim: false, .. });
    assert!(plan.steps.iter().all(unmarked), "{:?}", plan.steps);
    fleet.run(&held, 20);
    assert_eq!(fleet.size(), 3);
}

#[test]
fn a_forced_fleet_never_goes_to_zero_and_leaves_it() {
    let forced = with(&[(FORCE_ACTIVATION, "true")], autoscaled(0, 20));
    let mut fleet = Fleet::of(&forced, 3);
    let plan = fleet.run(&forced, 300);
    assert_eq!(fleet.size(), 1);
    assert_eq!(paused(&plan), (Truth::False, "NotPaused"), "it holds nothing back");

    let mut fleet = Fleet::of(&autoscaled(0, 20), 1);
    fleet.run(&autoscaled(0, 20), 300);
    assert_eq!(fleet.size(), 0);
    let plan = fleet.pass(&forced);
    let why = plan.steps.iter().find_map(|step| match step {
        Step::Scale { why, .. } => why.clone(),
        _ => None,
    });
    assert_eq!(why.expect("a change of size").reason, "Annotation");
    assert_eq!(fleet.size(), 1);
}

#[test]
fn a_fixed_size_is_held_too_and_is_not_forced() {
    let held = with(&[(PAUSED, "true")], a_fleet(5));
    let mut fleet = Fleet::of(&a_fleet(2), 2);
    assert_eq!(fleet.run(&held, 5).replicas, 2);
    assert_eq!(fleet.run(&a_fleet(5), 5).replicas, 5, "spec.replicas rules again");
    let forced = with(&[(FORCE_ACTIVATION, "true")], a_fleet(0));
    assert_eq!(fleet.run(&forced, 20).replicas, 0);
}

#[test]
fn a_fleet_is_made_in_its_own_size_and_held_from_then_on() {
    let mut fleet = Fleet {
        cluster: Cluster::empty(),
        memory: Memory::default(),
        second: 0,
    };
    fleet.run(&with(&[(PAUSED, "true")], a_fleet(4)), 5);
    assert_eq!(fleet.size(), 4);
}

#[test]
fn what_somebody_takes_away_from_a_paused_fleet_by_hand_is_put_right() {
    let held = with(&[(PAUSED, "true")], autoscaled(1, 20));
    let mut fleet = Fleet::of(&held, 3);
    let view = fleet.cluster.deployment();
    view.replicas = 1;
    view.scale_managed = false;
    fleet.pass(&held);
    assert_eq!(fleet.size(), 3);
}

#[test]
fn condition_and_event_begin_and_end_together() {
    for (annotation, value, reason) in [
        (PAUSED, "true", "Paused"),
        (PAUSED_REPLICAS, "3", "PausedAtReplicas"),
        (PAUSED_SCALE_IN, "true", "ScaleInPaused"),
        (PAUSED_SCALE_OUT, "true", "ScaleOutPaused"),
    ] {
        let (running, held) = (autoscaled(1, 20), with(&[(annotation, value)], autoscaled(1, 20)));
        let mut fleet = Fleet::of(&running, 3);
        let before = fleet.pass(&running);
        assert_eq!((paused(&before), said(&before)), ((Truth::False, "NotPaused"), vec![]));
        let first = fleet.pass(&held);
        assert_eq!(paused(&first), (Truth::True, reason));
        assert_eq!(said(&first), [NoticeReason::Paused]);
        let second = fleet.pass(&held);
        assert_eq!(paused(&second), (Truth::True, reason));
        assert_eq!(said(&second), [], "said once");
        let ended = fleet.pass(&running);
        assert_eq!(paused(&ended), (Truth::False, "NotPaused"));
        assert_eq!(said(&ended), [NoticeReason::Resumed]);
        assert_eq!(said(&fleet.pass(&running)), []);
    }
}

#[test]
fn the_end_of_a_pause_is_told_after_a_restart_too() {
    let held = with(&[(PAUSED, "true")], autoscaled(1, 20));
    let mut fleet = Fleet::of(&held, 3);
    let json = serde_json::to_string(&fleet.memory).expect("serialises");
    fleet.memory = serde_json::from_str(&json).expect("reads back");
    assert_eq!(said(&fleet.pass(&held)), []);
    assert_eq!(said(&fleet.pass(&autoscaled(1, 20))), [NoticeReason::Resumed]);
}

#[test]
fn an_annotation_that_cannot_be_read_is_named_and_holds_nothing() {
    let odd = with(&[(PAUSED, "ja")], autoscaled(1, 20));
    let mut fleet = Fleet::of(&odd, 3);
    let plan = fleet.pass(&odd);
    assert_eq!(paused(&plan), (Truth::False, "NotPaused"));
    assert_eq!(said(&plan), [NoticeReason::AnnotationInvalid]);
}
