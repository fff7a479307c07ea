//! Quarantine: a scale-in cuts off no task that can be waited for, takes no more than its victims, and starts again from any crash.
#![allow(clippy::panic, clippy::expect_used, reason = "tests")]

#[allow(dead_code, reason = "shared with tests that use more of it")]
mod common;

use common::{Cluster, a_fleet, t0};
use fleet_core::autoscale::{self, PodPhase, Seen};
use fleet_core::rules::quarantine::needed;
use fleet_core::rules::scale::VICTIM_COST;
use fleet_core::{
    Connection, Desired, Memory, Pass, Plan, PodView, Quarantine, Reason, Source, Step, WorkerReport, plan,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

fn seconds(n: i64) -> SignedDuration {
    SignedDuration::from_secs(n)
}

fn report(pod: &mut PodView) -> &mut WorkerReport {
    match &mut pod.report {
        Seen::Known(report) => report,
        Seen::Unknown { reason } => panic!("no report: {reason}"),
    }
}

fn pod<'a>(cluster: &'a mut Cluster, uid: &str) -> &'a mut PodView {
    cluster
        .pods()
        .iter_mut()
        .find(|pod| pod.uid == uid)
        .expect("the pod is there")
}

/// What runs in a pod ends.
fn finish(cluster: &mut Cluster, uid: &str) {
    let report = report(pod(cluster, uid));
    report.oldest_task = None;
    report.drained = report.draining;
    for slot in &mut report.pod.slots {
        slot.used = 0;
    }
}

/// A fleet and what happens to it, second by second.
struct Story {
    cluster: Cluster,
    memory: Memory,
    now: Timestamp,
}

impl Story {
    /// A fleet of `size` pods that has come to rest.
    fn of(size: u32) -> Self {
        let mut story = Self {
            cluster: Cluster::empty(),
            memory: Memory::default(),
            now: t0(),
        };
        story.pass(&a_fleet(size));
        story.pass(&a_fleet(size));
        assert_eq!(story.pass(&a_fleet(size)).steps, []);
        story
    }

    /// What the next pass would do.
    fn plan(&mut self, desired: &Desired) -> Plan {
        let now = self.now;
        self.cluster.report_again(now);
        plan(desired, &self.cluster.world, &self.memory, Pass::default(), now)
    }

    /// One pass, and what Kubernetes makes of it, a second later.
    fn pass(&mut self, desired: &Desired) -> Plan {
        let planned = self.plan(desired);
        self.carry_out(desired, &planned);
        planned
    }

    /// What Kubernetes makes of a plan, a second later.
    fn carry_out(&mut self, desired: &Desired, planned: &Plan) {
        for step in &planned.steps {
            self.cluster
                .execute(desired, step, self.now)
                .expect("nobody else writes");
        }
        self.memory = planned.memory.clone();
        self.cluster.settle(self.now);
        self.now += seconds(1);
    }

    fn pod(&mut self, uid: &str) -> &mut PodView {
        pod(&mut self.cluster, uid)
    }
}

/// Steps in short, but for what concerns evictions: that has its own tests.
fn told(planned: &Plan) -> Vec<String> {
    let steps = planned.steps.iter();
    steps
        .filter(|step| !matches!(step, Step::BarEviction { .. }))
        .map(short)
        .collect()
}

fn short(step: &Step) -> String {
    match step {
        Step::MarkPod { uid, victim, .. } => format!("mark {uid} {victim}"),
        Step::Drain { uid, .. } => format!("drain {uid}"),
        Step::Quarantine { uid, controller, .. } => format!("quarantine {uid} {controller}"),
        Step::DeletePod { uid, .. } => format!("delete {uid}"),
        Step::Scale { from, to, .. } => format!("scale {from} -> {to}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_busy_victim_is_drained_taken_out_and_deleted_when_nothing_is_left() {
    let mut story = Story::of(2);
    story.cluster.busy("uid-0", 2, seconds(5));
    story.cluster.busy("uid-1", 1, seconds(5));
    let smaller = a_fleet(1);
    let expected: [&[&str]; 8] = [
        &["mark uid-1 true"],
        &[],
        &["drain uid-1", "quarantine uid-1 false"],
        // Its ReplicaSet has let go of it, and made another one.
        &["scale 2 -> 1", "quarantine uid-1 true"],
        &[],
        &[],
        &[],
        &[],
    ];
    for (second, steps) in expected.into_iter().enumerate() {
        let planned = story.pass(&smaller);
        assert_eq!(told(&planned), steps, "after {second} s");
    }
    assert_eq!(story.pod("uid-1").quarantine, Quarantine::Kept);
    let mut left: Vec<String> = story.cluster.pods().iter().map(|pod| pod.uid.clone()).collect();
    left.sort();
    assert_eq!(left, ["uid-0", "uid-1"], "the one made in between went");
    assert!(story.plan(&smaller).next_check <= seconds(5), "only its reports tell");

    finish(&mut story.cluster, "uid-1");
    assert_eq!(told(&story.pass(&smaller)), ["delete uid-1"]);
    assert_eq!(story.cluster.cut_off, Vec::<String>::new());
    assert_eq!(told(&story.pass(&smaller)), Vec::<String>::new());
}

#[test]
fn an_idle_victim_that_may_be_given_a_long_task_leaves_as_a_busy_one() {
    let mut story = Story::of(3);
    story.cluster.busy("uid-0", 1, seconds(5));
    for uid in ["uid-1", "uid-2"] {
        report(story.pod(uid)).pod.slots[0].completions = 1;
    }
    let smaller = a_fleet(2);
    for steps in [&["mark uid-1 true"][..], &[]] {
        assert_eq!(told(&story.pass(&smaller)), steps);
    }
    let planned = story.plan(&smaller);
    assert_eq!(told(&planned), ["drain uid-1", "quarantine uid-1 false"]);
    // It was idle when it was asked.
    story.cluster.busy("uid-1", 1, seconds(0));
    story.carry_out(&smaller, &planned);
    assert_eq!(told(&story.pass(&smaller)), ["scale 3 -> 2", "quarantine uid-1 true"]);
    assert_eq!(story.pod("uid-1").quarantine, Quarantine::Kept);
    assert_eq!(story.cluster.cut_off, Vec::<String>::new());
}

#[test]
fn zero_that_is_taken_back_in_time_is_none() {
    let mut story = Story::of(2);
    story.pass(&a_fleet(0));
    story.pass(&a_fleet(0));
    assert_eq!(told(&story.plan(&a_fleet(0))), ["scale 2 -> 0"]);
    let mut steps = Vec::new();
    for _ in 0..10 {
        steps.extend(told(&story.pass(&a_fleet(1))));
    }
    assert!(steps.contains(&"scale 2 -> 1".to_owned()), "{steps:?}");
    assert_eq!(story.cluster.deployment().replicas, 1);
}

#[test]
fn the_law_ends_the_last_pods_without_making_others() {
    let desired = common::autoscaled(0, 5);
    let mut story = Story::of(1);
    report(story.pod("uid-0")).pod.slots[0].completions = 1;
    let mut steps = Vec::new();
    for _ in 0..400 {
        for queue in &mut story.cluster.world.queues {
            queue.at = story.now;
        }
        steps.extend(told(&story.pass(&desired)));
    }
    assert_eq!(story.cluster.deployment().replicas, 0);
    assert!(!steps.iter().any(|step| step.starts_with("quarantine")), "{steps:?}");
}

#[test]
fn the_size_waits_until_the_replica_set_has_let_go() {
    let mut story = Story::of(1);
    story.cluster.busy("uid-0", 1, seconds(5));
    let none = a_fleet(0);
    for _ in 0..3 {
        let planned = story.plan(&none);
        for step in &planned.steps {
            story
                .cluster
                .execute(&none, step, story.now)
                .expect("nobody else writes");
        }
        story.memory = planned.memory;
        story.now += seconds(1);
    }
    assert_eq!(story.pod("uid-0").quarantine, Quarantine::Leaving);
    assert_eq!(told(&story.plan(&none)), Vec::<String>::new());
    story.cluster.settle(story.now);
    assert_eq!(told(&story.pass(&none)), ["scale 1 -> 0", "quarantine uid-0 true"]);
    assert_eq!(story.cluster.cut_off, Vec::<String>::new());
}

#[test]
fn a_pod_that_takes_its_place_and_gets_work_is_no_victim_by_the_way() {
    let mut story = Story::of(2);
    story.cluster.quick = true;
    story.cluster.busy("uid-0", 1, seconds(5));
    story.cluster.busy("uid-1", 1, seconds(5));
    let smaller = a_fleet(1);
    for _ in 0..3 {
        story.pass(&smaller);
    }
    story.cluster.busy("uid-2", 1, seconds(1));
    let planned = story.pass(&smaller);
    assert!(
        !planned.steps.iter().any(|step| matches!(step, Step::Scale { .. })),
        "{:?}",
        planned.steps
    );
    assert!(planned.memory.scale_in.is_some(), "victims are chosen anew");
}

#[test]
fn an_operator_that_ended_after_the_drain_takes_the_pod_out_later() {
    let mut story = Story::of(2);
    story.cluster.busy("uid-0", 1, seconds(5));
    story.cluster.busy("uid-1", 1, seconds(5));
    let smaller = a_fleet(1);
    story.pass(&smaller);
    story.pass(&smaller);
    let planned = story.plan(&smaller);
    story
        .cluster
        .execute(&smaller, &planned.steps[0], story.now)
        .expect("the pod is there");
    // Another one begins, and the size is wanted no more: the pod takes no task for good, and makes room all the same.
    story.memory = Memory::default();
    let all = a_fleet(2);
    let steps = told(&story.pass(&all));
    assert_eq!(steps.len(), 1, "{steps:?}");
    assert!(steps[0].starts_with("quarantine"), "{steps:?}");
}

#[test]
fn a_container_that_began_anew_is_told_to_drain_again() {
    let mut story = Story::of(1);
    story.pod("uid-0").quarantine = Quarantine::Kept;
    assert_eq!(told(&story.pass(&a_fleet(1))), ["drain uid-0"]);
    assert_eq!(told(&story.pass(&a_fleet(1))), ["delete uid-0"]);
}

#[test]
fn a_pod_that_ended_by_itself_is_cleared_away() {
    let mut story = Story::of(1);
    let pod = story.pod("uid-0");
    (pod.quarantine, pod.finished) = (Quarantine::Kept, true);
    pod.report = Seen::unknown("it has ended");
    assert_eq!(told(&story.plan(&a_fleet(1))), ["delete uid-0"]);
}

/// Something that speaks against deleting.
type Doubt = fn(&mut Story);

#[test]
fn nothing_is_deleted_on_a_doubt() {
    let doubts: [(&str, Doubt); 6] = [
        ("a task runs", |story| story.cluster.busy("uid-0", 1, seconds(1))),
        ("an open poll may bring one", |story| {
            report(story.pod("uid-0")).drained = false;
        }),
        ("another source", |story| {
            report(story.pod("uid-0")).source = Source::Scrape;
        }),
        ("silence", |story| {
            story.pod("uid-0").report = Seen::unknown("no answer");
        }),
        ("it ends already", |story| story.pod("uid-0").deleting = true),
        ("Temporal is away", |story| {
            story.cluster.world.connection = Connection::Failed {
                reason: Reason::Unreachable,
                message: "no answer".into(),
                stalled: false,
            };
        }),
    ];
    for (what, doubt) in doubts {
        let mut story = Story::of(1);
        let pod = story.pod("uid-0");
        pod.quarantine = Quarantine::Kept;
        let report = report(pod);
        (report.draining, report.drained) = (true, true);
        assert_eq!(told(&story.plan(&a_fleet(1))), ["delete uid-0"], "without doubt");
        doubt(&mut story);
        assert_eq!(told(&story.plan(&a_fleet(1))), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn an_old_report_is_no_word_about_now() {
    let mut story = Story::of(1);
    story.pod("uid-0").quarantine = Quarantine::Kept;
    let report = report(story.pod("uid-0"));
    (report.draining, report.drained) = (true, true);
    let at = |cluster: &Cluster, now| plan(&a_fleet(1), &cluster.world, &Memory::default(), Pass::default(), now);
    let said = report.pod.at;
    let deletes = |planned: &Plan| told(planned).contains(&"delete uid-0".to_owned());
    assert!(deletes(&at(&story.cluster, said + seconds(5))));
    assert!(!deletes(&at(&story.cluster, said + seconds(6))));
}

#[test]
fn a_pod_in_quarantine_is_work_and_no_capacity() {
    let mut story = Story::of(2);
    story.cluster.busy("uid-1", 3, seconds(5));
    story.pod("uid-1").quarantine = Quarantine::Kept;
    let sample = story.plan(&common::autoscaled(1, 5)).sample.expect("the law is asked");
    let phase = |uid: &str| sample.pods.iter().find(|pod| pod.uid == uid).map(|pod| pod.phase);
    assert_eq!(phase("uid-1"), Some(PodPhase::Draining));
    assert_eq!(phase("uid-0"), Some(PodPhase::Ready));
}

#[test]
fn who_needs_quarantine() {
    let law = |busy: f64, completions: f64| -> autoscale::Memory {
        let kind = serde_json::json!({"busy": busy, "completions": completions, "ratio": 1.0});
        serde_json::from_value(serde_json::json!({"kinds": [kind, kind, kind, kind]})).expect("reads back")
    };
    let mut story = Story::of(1);
    let grace = seconds(60);
    let mut needed = |running, age, law: &autoscale::Memory| {
        story.cluster.busy("uid-0", running, seconds(age));
        needed(story.pod("uid-0"), grace, law)
    };
    assert_eq!(needed(0, 0, &law(0.0, 0.0)), None, "it never ran anything");
    assert_eq!(
        needed(2, 5, &law(8.0, 4.0)).as_deref(),
        Some("runs 2 tasks, the oldest for 5 s; how long such tasks take is not known, and a pod gets 60 s to finish")
    );
    assert_eq!(
        needed(1, 5, &law(60.0, 100.0)).as_deref(),
        Some("runs 1 task, the oldest for 5 s; 5 s + 100 x 0.6 s = 65 s, and a pod gets 60 s to finish")
    );
    assert_eq!(needed(1, 5, &law(50.0, 100.0)), None, "55 s are enough");
    assert!(
        needed(1, 61, &law(0.1, 100.0)).is_some(),
        "older than the grace already"
    );

    story.cluster.busy("uid-0", 0, seconds(0));
    report(story.pod("uid-0")).pod.slots[0].completions = 1;
    let mut idle = |law: &autoscale::Memory| fleet_core::rules::quarantine::needed(story.pod("uid-0"), grace, law);
    assert_eq!(
        idle(&law(0.0, 0.0)).as_deref(),
        Some(
            "runs nothing and may be given a task; how long such tasks take is not known, and a pod gets 60 s to finish"
        )
    );
    assert_eq!(
        idle(&law(61.0, 100.0)).as_deref(),
        Some("runs nothing and may be given a task; 0 s + 100 x 0.6 s = 61 s, and a pod gets 60 s to finish")
    );
    assert_eq!(idle(&law(60.0, 100.0)), None, "60 s are enough");

    story.cluster.busy("uid-0", 1, seconds(5));
    report(story.pod("uid-0")).source = Source::Scrape;
    assert_eq!(
        fleet_core::rules::quarantine::needed(story.pod("uid-0"), grace, &law(0.0, 0.0)),
        None,
        "it cannot be told to drain"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever runs, whoever is silent for a moment, and wherever the operator ends: no task of a pod that can be drained is cut off,
    /// and no more pods leave than the size says.
    #[test]
    fn no_task_is_cut_off_from_any_crash_point(
        size in 1u32..6,
        less in 0u32..6,
        running in prop::collection::vec(0u32..3, 6),
        cuts in prop::collection::vec((0usize..4, any::<bool>()), 12),
        quick: bool,
    ) {
        let smaller = a_fleet(less.min(size));
        let mut story = Story::of(size);
        story.cluster.quick = quick;
        for (n, tasks) in running.iter().enumerate().take(size as usize) {
            if *tasks > 0 {
                story.cluster.busy(&format!("uid-{n}"), *tasks, seconds(5));
            }
        }
        for pass in 0..60 {
            let (cut, keeps) = cuts.get(pass).copied().unwrap_or((usize::MAX, true));
            let planned = story.plan(&smaller);
            for step in planned.steps.iter().take(cut) {
                story.cluster.execute(&smaller, step, story.now).expect("nobody else writes");
            }
            if keeps {
                story.memory = planned.memory;
            }
            story.cluster.settle(story.now);
            story.now += seconds(1);
            let serving = story.cluster.pods().iter().filter(|pod| pod.serves()).count();
            prop_assert!(serving >= less.min(size) as usize, "{serving} serve");
            prop_assert_eq!(&story.cluster.cut_off, &Vec::<String>::new());
        }
        prop_assert_eq!(story.cluster.deployment().replicas, less.min(size));
        let marked = story.cluster.pods().iter().any(|pod| pod.deletion_cost == Some(VICTIM_COST));
        prop_assert!(!marked, "marks are left");
        // Their tasks end, and then they go.
        let away: Vec<String> = story
            .cluster
            .pods()
            .iter()
            .filter(|pod| pod.quarantined())
            .map(|pod| pod.uid.clone())
            .collect();
        for uid in &away {
            finish(&mut story.cluster, uid);
        }
        story.pass(&smaller);
        prop_assert!(story.cluster.pods().iter().all(|pod| !pod.quarantined()));
        prop_assert_eq!(&story.cluster.cut_off, &Vec::<String>::new());
    }

    /// A task may come at any moment, between two writes too, to any pod that is Ready and was not told to drain.
    #[test]
    fn no_task_that_comes_in_between_is_cut_off(
        size in 1u32..6,
        less in 0u32..6,
        tasks in prop::collection::vec((0usize..20, 0usize..4, 0usize..6), 0..20),
    ) {
        let smaller = a_fleet(less.min(size));
        let mut story = Story::of(size);
        for pod in story.cluster.pods() {
            report(pod).pod.slots[0].completions = 1;
        }
        for pass in 0..60 {
            let planned = story.plan(&smaller);
            let mut steps = planned.steps.iter();
            for moment in 0.. {
                for (_, _, n) in tasks.iter().filter(|(at, then, _)| (*at, *then) == (pass, moment)) {
                    let uid = story.cluster.pods().get(*n).filter(|pod| pod.serves() && pod.ready.is_some() && !pod.drains()).map(|pod| pod.uid.clone());
                    if let Some(uid) = uid {
                        story.cluster.busy(&uid, 1, seconds(0));
                    }
                }
                let Some(step) = steps.next() else { break };
                story.cluster.execute(&smaller, step, story.now).expect("nobody else writes");
                prop_assert_eq!(&story.cluster.cut_off, &Vec::<String>::new());
            }
            story.memory = planned.memory;
            story.cluster.settle(story.now);
            story.now += seconds(1);
            prop_assert_eq!(&story.cluster.cut_off, &Vec::<String>::new());
        }
        prop_assert_eq!(story.cluster.deployment().replicas, less.min(size));
    }
}
