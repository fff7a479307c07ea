//! Properties of plans: they converge from any crash point and stay, never destroy blind, and choose victims that can go.
#![allow(clippy::panic, clippy::expect_used, reason = "tests")]

mod common;

use common::{Cluster, a_fleet, autoscaled, t0};
use fleet_core::autoscale::{Fallback, Record, Replay, Seen};
use fleet_core::rules::scale::VICTIM_COST;
use fleet_core::{
    Child, ConditionType, Desired, Memory, NoticeReason, Pass, RateLimit, Reason, Size, Step, Truth, plan,
};
use jiff::SignedDuration;
use proptest::prelude::*;

fn seconds(n: i64) -> SignedDuration {
    SignedDuration::from_secs(n)
}

fn limits(steps: &[Step]) -> Vec<(&str, Option<f64>)> {
    let limit = |step| match step {
        &Step::LimitQueue {
            ref queue, per_second, ..
        } => Some((queue.as_str(), per_second)),
        _ => None,
    };
    steps.iter().filter_map(limit).collect()
}

#[test]
fn the_rate_of_a_queue_is_set_once_changed_and_taken_back() {
    let mut cluster = Cluster::empty();
    let mut desired = a_fleet(1);
    for rate in [Some(5.0), Some(7.5), None] {
        desired.queue_rate = rate;
        let p = plan(&desired, &cluster.world, &Memory::default(), Pass::default(), t0());
        assert_eq!(limits(&p.steps), [("invoices", rate)]);
        for step in &p.steps {
            cluster.execute(&desired, step, t0()).expect("no conflict");
        }
        let p = plan(&desired, &cluster.world, &Memory::default(), Pass::default(), t0());
        assert_eq!(limits(&p.steps), [], "what is set needs no step");
    }
}

#[test]
fn a_rate_that_is_unknown_or_of_others_is_left_alone() {
    let mut cluster = Cluster::empty();
    let mut desired = a_fleet(1);
    let plan =
        |desired: &Desired, cluster: &Cluster| plan(desired, &cluster.world, &Memory::default(), Pass::default(), t0());
    cluster.world.queues[0].rate_limit = Seen::Known(Some(RateLimit {
        per_second: 3.0,
        reason: "an operator's own hand".into(),
    }));
    assert_eq!(limits(&plan(&desired, &cluster).steps), []);
    desired.queue_rate = Some(5.0);
    cluster.world.queues[0].rate_limit = Seen::unknown("Temporal does not answer");
    assert_eq!(limits(&plan(&desired, &cluster).steps), []);
}

#[test]
fn of_two_fleets_with_two_rates_the_older_one_rules() {
    let mut cluster = Cluster::empty();
    cluster.world.rate_claimed_by = Some("shop/older".into());
    let mut desired = a_fleet(1);
    desired.queue_rate = Some(5.0);
    let p = plan(&desired, &cluster.world, &Memory::default(), Pass::default(), t0());
    assert_eq!(limits(&p.steps), []);
    let said: Vec<_> = p.notices.iter().map(|notice| notice.reason).collect();
    assert!(said.contains(&NoticeReason::TaskQueueRateConflict), "{said:?}");
}

/// Runs passes until a plan is empty twice in a row; each plan is cut after `cut` steps, as a crash would.
fn converge(cluster: &mut Cluster, desired: &Desired, mut memory: Memory, cut: usize, keep_memory: bool) -> Memory {
    let mut now = t0();
    let mut quiet = 0;
    for pass in 0..200 {
        cluster.report_again(now);
        let p = plan(desired, &cluster.world, &memory, Pass::default(), now);
        for step in p.steps.iter().take(if pass < 20 { cut } else { usize::MAX }) {
            cluster
                .execute(desired, step, now)
                .expect("the world did not change in between");
        }
        let waiting = p.memory.scale_in.is_some();
        // A crash before the status was written forgets this pass.
        if keep_memory || pass >= 20 {
            memory = p.memory;
        }
        quiet = if p.steps.is_empty() && !waiting { quiet + 1 } else { 0 };
        if quiet >= 3 {
            return memory;
        }
        now += seconds(1);
    }
    panic!("no fixed point after 200 passes: {:?}", cluster.world);
}

#[test]
fn a_new_fleet_gets_its_secret_before_the_deployment_that_mounts_it() {
    let cluster = Cluster::empty();
    let p = plan(&a_fleet(3), &cluster.world, &Memory::default(), Pass::default(), t0());
    assert_eq!(
        p.steps,
        [
            Step::MakeControlSecret,
            Step::ApplyDeployment { replicas: Some(3) },
            Step::ApplyBudget
        ]
    );
}

#[test]
fn the_plan_of_a_converged_fleet_is_empty() {
    let mut cluster = Cluster::empty();
    let memory = converge(&mut cluster, &a_fleet(3), Memory::default(), usize::MAX, true);
    let p = plan(
        &a_fleet(3),
        &cluster.world,
        &memory,
        Pass::default(),
        t0() + seconds(60),
    );
    assert_eq!(p.steps, []);
    let ready = p
        .verdicts
        .iter()
        .find(|v| v.condition == ConditionType::Ready)
        .expect("is set");
    assert_eq!(
        (ready.truth, ready.reason),
        (Truth::True, Reason::Available),
        "{}",
        ready.message
    );
}

#[test]
fn a_taken_name_stops_every_write_and_says_whose_it_is() {
    let mut cluster = Cluster::empty();
    cluster.world.deployment = Seen::Known(Child::Foreign {
        owner: "Helm release web".into(),
    });
    let p = plan(&a_fleet(3), &cluster.world, &Memory::default(), Pass::default(), t0());
    assert_eq!(p.steps, []);
    let stalled = p
        .verdicts
        .iter()
        .find(|v| v.condition == ConditionType::Stalled)
        .expect("is set");
    assert_eq!(stalled.reason, Reason::NameTaken);
    assert!(stalled.message.contains("Helm release web"), "{}", stalled.message);
}

#[test]
fn scale_in_marks_idle_victims_first_and_lowers_the_size_a_second_later() {
    let desired = a_fleet(3);
    let mut cluster = Cluster::empty();
    let memory = converge(&mut cluster, &desired, Memory::default(), usize::MAX, true);
    cluster.busy("uid-0", 2, seconds(5));
    cluster.busy("uid-2", 1, seconds(5));
    let smaller = a_fleet(2);

    let first = plan(&smaller, &cluster.world, &memory, Pass::default(), t0() + seconds(60));
    assert_eq!(
        first.steps,
        [Step::MarkPod {
            name: "billing-uid-1".into(),
            uid: "uid-1".into(),
            victim: true
        }]
    );
    cluster.execute(&smaller, &first.steps[0], t0()).expect("pod exists");

    let seen = plan(
        &smaller,
        &cluster.world,
        &first.memory,
        Pass::default(),
        t0() + seconds(61),
    );
    assert_eq!(seen.steps, [], "the ReplicaSet controller may not see the mark yet");
    assert_eq!(seen.next_check, seconds(1));
    let second = plan(
        &smaller,
        &cluster.world,
        &seen.memory,
        Pass::default(),
        t0() + seconds(62),
    );
    assert!(
        matches!(second.steps.as_slice(), [Step::Scale { from: 3, to: 2, .. }]),
        "{:?}",
        second.steps
    );
    cluster
        .execute(&smaller, &second.steps[0], t0())
        .expect("fresh version");
    assert!(cluster.pods().iter().all(|pod| pod.uid != "uid-1"), "the idle pod went");
}

#[test]
fn a_clock_that_went_back_holds_no_scale_in_back() {
    let desired = a_fleet(3);
    let mut cluster = Cluster::empty();
    let memory = converge(&mut cluster, &desired, Memory::default(), usize::MAX, true);
    cluster.busy("uid-0", 2, seconds(5));
    cluster.busy("uid-2", 1, seconds(5));
    let smaller = a_fleet(2);
    let look = |cluster: &Cluster, memory: &Memory, now| plan(&smaller, &cluster.world, memory, Pass::default(), now);

    let first = look(&cluster, &memory, t0() + seconds(7200));
    cluster.execute(&smaller, &first.steps[0], t0()).expect("pod exists");
    let ahead = look(&cluster, &first.memory, t0() + seconds(7201));
    let back = look(&cluster, &ahead.memory, t0() + seconds(60));
    assert_eq!((back.steps, back.next_check), (vec![], seconds(1)));
    let second = look(&cluster, &back.memory, t0() + seconds(61));
    assert!(
        matches!(second.steps.as_slice(), [Step::Scale { to: 2, .. }]),
        "{:?}",
        second.steps
    );
}

#[test]
fn a_task_that_outlasts_the_grace_is_told() {
    let mut cluster = Cluster::empty();
    let memory = converge(&mut cluster, &a_fleet(2), Memory::default(), usize::MAX, true);
    cluster.busy("uid-0", 1, seconds(61));
    let p = plan(
        &a_fleet(2),
        &cluster.world,
        &memory,
        Pass::default(),
        t0() + seconds(60),
    );
    assert!(
        matches!(&p.steps[..], [Step::BarEviction { uid, barred: true, .. }] if uid == "uid-0"),
        "{:?}",
        p.steps
    );
    assert!(
        p.notices
            .iter()
            .any(|n| n.reason == NoticeReason::ShutdownBudgetTooSmall),
        "{:?}",
        p.notices
    );
}

#[test]
fn nobody_goes_while_a_pod_with_work_is_not_ready() {
    let mut cluster = Cluster::empty();
    let memory = converge(&mut cluster, &a_fleet(3), Memory::default(), usize::MAX, true);
    cluster.busy("uid-0", 1, seconds(5));
    cluster
        .pods()
        .iter_mut()
        .find(|pod| pod.uid == "uid-0")
        .expect("exists")
        .ready = None;
    let p = plan(
        &a_fleet(2),
        &cluster.world,
        &memory,
        Pass::default(),
        t0() + seconds(60),
    );
    assert_eq!(p.steps, []);
}

#[test]
fn an_abandoned_choice_is_taken_back() {
    let mut cluster = Cluster::empty();
    let memory = converge(&mut cluster, &a_fleet(2), Memory::default(), usize::MAX, true);
    let first = plan(
        &a_fleet(1),
        &cluster.world,
        &memory,
        Pass::default(),
        t0() + seconds(60),
    );
    cluster.execute(&a_fleet(1), &first.steps[0], t0()).expect("pod exists");
    let back = plan(
        &a_fleet(2),
        &cluster.world,
        &first.memory,
        Pass::default(),
        t0() + seconds(61),
    );
    assert!(
        matches!(back.steps.as_slice(), [Step::MarkPod { victim: false, .. }]),
        "{:?}",
        back.steps
    );
}

#[test]
fn a_size_lowered_by_hand_is_put_right_at_once() {
    let desired = autoscaled(3, 10);
    let mut cluster = Cluster::empty();
    let memory = converge(&mut cluster, &desired, Memory::default(), usize::MAX, true);
    let view = cluster.deployment();
    view.replicas = 1;
    view.scale_managed = false;
    let p = plan(&desired, &cluster.world, &memory, Pass::default(), t0() + seconds(60));
    assert!(
        matches!(p.steps.as_slice(), [Step::Scale { from: 1, to: 3, .. }]),
        "{:?}",
        p.steps
    );
    assert!(
        p.notices.iter().any(|n| n.reason == NoticeReason::ReplicasConflict),
        "{:?}",
        p.notices
    );
}

#[test]
fn a_fallback_has_a_condition_a_reason_and_an_event_of_its_own() {
    let mut desired = autoscaled(3, 10);
    if let Size::Auto { policy, .. } = &mut desired.size {
        policy.fallback = Some(Fallback {
            replicas: 6,
            failures: 1,
            fixed: false,
        });
    }
    let mut cluster = Cluster::empty();
    let memory = converge(&mut cluster, &desired, Memory::default(), usize::MAX, true);
    cluster.world.queues[0].stats = Seen::unknown("Temporal does not answer");
    let first = plan(&desired, &cluster.world, &memory, Pass::default(), t0() + seconds(60));
    assert_eq!(first.replicas, 3, "no read has failed yet");
    let p = plan(
        &desired,
        &cluster.world,
        &first.memory,
        Pass::default(),
        t0() + seconds(75),
    );
    let why = p.steps.iter().find_map(|step| match step {
        Step::Scale {
            from: 3, to: 6, why, ..
        } => why.as_ref(),
        _ => None,
    });
    assert_eq!(why.map(|why| why.reason.as_str()), Some("Fallback"), "{:?}", p.steps);
    let active = p
        .verdicts
        .iter()
        .find(|verdict| verdict.condition == ConditionType::ScalingActive);
    let active = active.map(|verdict| (verdict.truth, verdict.reason));
    assert_eq!(active, Some((Truth::False, Reason::FallbackActive)));
    let said: Vec<_> = p.notices.iter().map(|notice| notice.reason).collect();
    assert!(said.contains(&NoticeReason::FallbackActive), "{said:?}");
}

#[test]
fn leaving_the_autoscaler_holds_the_size_until_replicas_changes() {
    let mut cluster = Cluster::empty();
    let memory = converge(&mut cluster, &autoscaled(3, 10), Memory::default(), usize::MAX, true);
    let held = plan(
        &a_fleet(1),
        &cluster.world,
        &memory,
        Pass::default(),
        t0() + seconds(60),
    );
    assert_eq!(held.replicas, 3);
    assert!(held.notices.iter().any(|n| n.reason == NoticeReason::ReplicasHeld));
    let again = plan(
        &a_fleet(1),
        &cluster.world,
        &held.memory,
        Pass::default(),
        t0() + seconds(61),
    );
    assert_eq!((again.replicas, again.notices.len()), (3, 0), "said once");
    let grown = plan(
        &a_fleet(5),
        &cluster.world,
        &again.memory,
        Pass::default(),
        t0() + seconds(62),
    );
    assert_eq!(grown.replicas, 5);
}

#[test]
fn decisions_can_be_made_again_from_what_their_plans_hand_out() {
    let desired = autoscaled(1, 10);
    let mut cluster = Cluster::empty();
    let mut memory = converge(&mut cluster, &a_fleet(3), Memory::default(), usize::MAX, true);
    let mut replay = Replay::default();
    for pass in 0..20 {
        let now = t0() + seconds(60 + 5 * pass);
        cluster.world.queues[0].at = now;
        let p = plan(&desired, &cluster.world, &memory, Pass::default(), now);
        let decision = p.decision.clone().expect("the law was asked");
        let record = Record {
            at: now,
            policy: desired.size.policy().expect("autoscaled").clone(),
            memory: (pass == 0).then(|| memory.autoscale.clone()),
            continues: false,
            sample: p.sample.clone().expect("it was asked about something"),
            decision,
        };
        let line = serde_json::to_string(&record).expect("serialises");
        let record: Record = serde_json::from_str(&line).expect("reads back");
        assert_eq!(Some(replay.next(&record)), p.decision);
        for step in &p.steps {
            cluster.execute(&desired, step, now).expect("no conflict");
        }
        memory = p.memory;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn converges_from_any_crash_point(
        size in 0u32..8, then in 0u32..8, cut in 0usize..4, keep_memory: bool,
    ) {
        let mut cluster = Cluster::empty();
        let memory = converge(&mut cluster, &a_fleet(size), Memory::default(), cut, keep_memory);
        let mut second = a_fleet(then);
        second.deployment_hash = "d2".into();
        let memory = converge(&mut cluster, &second, memory, cut, keep_memory);
        prop_assert_eq!(cluster.deployment().replicas, then);
        prop_assert_eq!(&cluster.applied_hash, "d2");
        prop_assert!(cluster.pods().iter().all(|pod| pod.deletion_cost != Some(VICTIM_COST)));
        let p = plan(&second, &cluster.world, &memory, Pass::default(), t0() + seconds(500));
        prop_assert_eq!(p.steps, vec![]);
    }

    #[test]
    fn never_destroys_blind(size in 1u32..8, pods_unknown: bool, deployment_unknown: bool, auto: bool) {
        prop_assume!(pods_unknown || deployment_unknown);
        let mut cluster = Cluster::empty();
        let memory = converge(&mut cluster, &a_fleet(size), Memory::default(), usize::MAX, true);
        if pods_unknown {
            cluster.world.pods = Seen::unknown("watch is not synced");
        }
        if deployment_unknown {
            cluster.world.deployment = Seen::unknown("watch is not synced");
        }
        let wanted = if auto { autoscaled(0, 10) } else { a_fleet(0) };
        for pass in 0..10 {
            let p = plan(&wanted, &cluster.world, &memory, Pass::default(), t0() + seconds(400 + pass));
            for step in &p.steps {
                if let Step::Scale { from, to, .. } = step {
                    prop_assert!(to >= from, "scaled in without seeing the pods: {:?}", step);
                }
            }
        }
    }

    #[test]
    fn planned_twice_is_the_same(size in 0u32..8, then in 0u32..8) {
        let mut cluster = Cluster::empty();
        let memory = converge(&mut cluster, &a_fleet(size), Memory::default(), usize::MAX, true);
        let at = t0() + seconds(60);
        let once = plan(&a_fleet(then), &cluster.world, &memory, Pass::default(), at);
        prop_assert_eq!(once, plan(&a_fleet(then), &cluster.world, &memory, Pass::default(), at));
    }
}
