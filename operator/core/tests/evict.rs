//! Who must not be evicted: exactly the pods with a task that has outlasted the grace period, for as long as it runs.
#![allow(clippy::panic, clippy::expect_used, reason = "tests")]

#[allow(dead_code, reason = "shared with tests that use more of it")]
mod common;

use common::{Cluster, a_fleet, t0};
use fleet_core::autoscale::Seen;
use fleet_core::rules::evict::{LEAST, MOST};
use fleet_core::{Connection, Desired, Eviction, Memory, Pass, PodView, Quarantine, Reason, Source, Step, plan};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

/// Of a fleet whose pods get 60 s to finish.
const OLD: SignedDuration = SignedDuration::from_secs(61);
const YOUNG: SignedDuration = SignedDuration::from_secs(60);

/// A fleet of `size` idle pods that has come to rest.
fn at_rest(size: u32) -> (Desired, Cluster) {
    let (desired, mut cluster) = (a_fleet(size), Cluster::empty());
    for _ in 0..3 {
        let planned = plan(&desired, &cluster.world, &Memory::default(), Pass::default(), t0());
        for step in &planned.steps {
            cluster.execute(&desired, step, t0()).expect("nobody else writes");
        }
    }
    (desired, cluster)
}

fn pod<'a>(cluster: &'a mut Cluster, uid: &str) -> &'a mut PodView {
    let pods = cluster.pods().iter_mut();
    pods.into_iter().find(|pod| pod.uid == uid).expect("the pod is there")
}

fn steps(desired: &Desired, cluster: &Cluster, now: Timestamp) -> Vec<Step> {
    let memory = Memory {
        desired: Some(desired.size.spec_replicas()),
        ..Memory::default()
    };
    plan(desired, &cluster.world, &memory, Pass::default(), now).steps
}

/// What is written of evictions.
fn told(desired: &Desired, cluster: &Cluster, now: Timestamp) -> Vec<(String, bool)> {
    let steps = steps(desired, cluster, now);
    let bars = steps.into_iter().filter_map(|step| match step {
        Step::BarEviction { uid, barred, .. } => Some((uid, barred)),
        _ => None,
    });
    bars.collect()
}

fn written(uid: &str, barred: bool) -> Vec<(String, bool)> {
    vec![(uid.to_owned(), barred)]
}

#[test]
fn it_is_forbidden_while_a_task_is_older_than_the_grace_and_no_longer() {
    let (desired, mut cluster) = at_rest(2);
    cluster.busy("uid-0", 1, YOUNG);
    assert_eq!(told(&desired, &cluster, t0()), [], "it fits into the grace period");
    cluster.busy("uid-0", 1, OLD);
    assert_eq!(told(&desired, &cluster, t0()), written("uid-0", true));
    for step in steps(&desired, &cluster, t0()) {
        cluster.execute(&desired, &step, t0()).expect("nobody else writes");
    }
    let later = t0() + LEAST;
    assert_eq!(steps(&desired, &cluster, later), [], "it stands already");
    for (what, tasks, oldest) in [("a younger one is left", 1, YOUNG), ("nothing is left", 0, YOUNG)] {
        cluster.busy("uid-0", tasks, oldest);
        assert_eq!(told(&desired, &cluster, later), written("uid-0", false), "{what}");
        let soon = later - SignedDuration::from_secs(1);
        assert_eq!(told(&desired, &cluster, soon), [], "{what}, but it was just written");
    }
    for step in steps(&desired, &cluster, later) {
        cluster.execute(&desired, &step, later).expect("nobody else writes");
    }
    assert_eq!(steps(&desired, &cluster, later), []);
    assert_eq!(pod(&mut cluster, "uid-0").eviction, Eviction::Open);
}

#[test]
fn it_is_forbidden_in_quarantine_while_anything_runs() {
    for stage in [Quarantine::Leaving, Quarantine::Free, Quarantine::Kept] {
        let (desired, mut cluster) = at_rest(1);
        cluster.busy("uid-0", 1, SignedDuration::from_secs(1));
        pod(&mut cluster, "uid-0").quarantine = stage;
        assert_eq!(told(&desired, &cluster, t0()), written("uid-0", true), "{stage:?}");
        cluster.busy("uid-0", 0, SignedDuration::ZERO);
        let idle = pod(&mut cluster, "uid-0");
        idle.eviction = Eviction::Barred { since: None };
        assert_eq!(told(&desired, &cluster, t0()), written("uid-0", false), "{stage:?}");
    }
}

#[test]
fn a_pod_that_this_pass_deletes_is_not_written_first() {
    let (desired, mut cluster) = at_rest(1);
    let done = pod(&mut cluster, "uid-0");
    (done.quarantine, done.eviction) = (Quarantine::Kept, Eviction::Barred { since: None });
    if let Seen::Known(report) = &mut done.report {
        (report.draining, report.drained) = (true, true);
    }
    let planned = steps(&desired, &cluster, t0());
    assert!(planned.iter().any(|step| matches!(step, Step::DeletePod { .. })));
    assert_eq!(told(&desired, &cluster, t0()), []);
}

/// Something that leaves the annotation as it is, and what it is about.
type Doubt = fn(&mut PodView);

#[test]
fn what_nobody_knows_is_left_as_it_is() {
    let doubts: [(&str, Doubt); 4] = [
        ("silence", |pod| pod.report = Seen::unknown("no answer")),
        ("a source without ages", |pod| {
            if let Seen::Known(report) = &mut pod.report {
                report.source = Source::Scrape;
            }
        }),
        ("tasks of an unknown age", |pod| {
            if let Seen::Known(report) = &mut pod.report {
                report.oldest_task = None;
            }
        }),
        ("it ends already", |pod| pod.deleting = true),
    ];
    for (what, doubt) in doubts {
        let barred = Eviction::Barred { since: None };
        for (eviction, oldest) in [(Eviction::Open, OLD), (barred, YOUNG)] {
            let (desired, mut cluster) = at_rest(1);
            cluster.busy("uid-0", 1, oldest);
            let pod = pod(&mut cluster, "uid-0");
            pod.eviction = eviction;
            doubt(pod);
            assert_eq!(told(&desired, &cluster, t0()), [], "{what}, {eviction:?}");
        }
    }
}

#[test]
fn another_source_takes_nothing_back_and_forbids_nothing() {
    let barred = Eviction::Barred { since: None };
    for (stage, tasks, eviction) in [
        (Quarantine::No, 0, barred),
        (Quarantine::Kept, 0, barred),
        (Quarantine::Kept, 1, Eviction::Open),
    ] {
        let (desired, mut cluster) = at_rest(1);
        cluster.busy("uid-0", tasks, OLD);
        let pod = pod(&mut cluster, "uid-0");
        (pod.quarantine, pod.eviction) = (stage, eviction);
        if let Seen::Known(report) = &mut pod.report {
            report.source = Source::Heartbeat;
        }
        assert_eq!(told(&desired, &cluster, t0()), [], "{stage:?}, {tasks} tasks");
    }
}

#[test]
fn protection_comes_before_what_is_taken_back_whatever_the_ages() {
    let (desired, mut cluster) = at_rest(2);
    cluster.busy("uid-0", 1, YOUNG);
    pod(&mut cluster, "uid-0").eviction = Eviction::Barred { since: None };
    cluster.busy("uid-1", 1, SignedDuration::from_secs(1));
    pod(&mut cluster, "uid-1").quarantine = Quarantine::Kept;
    let wanted = [("uid-1".to_owned(), true), ("uid-0".to_owned(), false)];
    assert_eq!(told(&desired, &cluster, t0()), wanted);
}

#[test]
fn what_somebody_else_says_stays_whatever_runs() {
    let (desired, mut cluster) = at_rest(1);
    for tasks in [0, 1] {
        cluster.busy("uid-0", tasks, OLD);
        pod(&mut cluster, "uid-0").eviction = Eviction::Theirs;
        assert_eq!(told(&desired, &cluster, t0()), [], "{tasks} tasks");
    }
}

#[test]
fn a_pod_that_ended_by_itself_runs_nothing() {
    let (desired, mut cluster) = at_rest(2);
    let pod = pod(&mut cluster, "uid-0");
    (pod.finished, pod.eviction) = (true, Eviction::Barred { since: None });
    pod.report = Seen::unknown("it has ended");
    assert_eq!(told(&desired, &cluster, t0()), written("uid-0", false));
}

#[test]
fn temporal_need_not_answer() {
    let (desired, mut cluster) = at_rest(1);
    cluster.world.connection = Connection::Failed {
        reason: Reason::Unreachable,
        message: "no answer".into(),
        stalled: false,
    };
    cluster.busy("uid-0", 1, OLD);
    assert_eq!(told(&desired, &cluster, t0()), written("uid-0", true));
}

#[test]
fn a_pass_writes_a_bounded_number_of_pods_the_oldest_tasks_first() {
    let size = MOST + 5;
    let (desired, mut cluster) = at_rest(size as u32);
    for (n, second) in (0..size).zip(0..) {
        let age = OLD + SignedDuration::from_secs(second);
        cluster.busy(&format!("uid-{n}"), 1, age);
    }
    let idle = pod(&mut cluster, &format!("uid-{}", size - 1));
    idle.eviction = Eviction::Barred { since: None };
    cluster.busy(&format!("uid-{}", size - 1), 0, SignedDuration::ZERO);
    let first = told(&desired, &cluster, t0());
    let uids: Vec<String> = (0..size - 1).rev().map(|n| format!("uid-{n}")).collect();
    let wanted: Vec<(String, bool)> = uids.into_iter().map(|uid| (uid, true)).collect();
    assert_eq!(first, wanted[..MOST]);
    for step in steps(&desired, &cluster, t0()) {
        cluster.execute(&desired, &step, t0()).expect("nobody else writes");
    }
    let mut rest = wanted[MOST..].to_vec();
    rest.push((format!("uid-{}", size - 1), false));
    assert_eq!(told(&desired, &cluster, t0()), rest);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Wherever the operator ends, and whatever others wrote before: it comes to stand on exactly the pods it belongs to, and stays.
    #[test]
    fn it_comes_to_rest_from_any_crash_point(
        ages in prop::collection::vec(prop::option::of(1i64..120), 1..8),
        before in prop::collection::vec(0u8..3, 8),
        cuts in prop::collection::vec(0usize..3, 6),
    ) {
        let (desired, mut cluster) = at_rest(ages.len() as u32);
        for (n, age) in ages.iter().enumerate() {
            let uid = format!("uid-{n}");
            cluster.busy(&uid, u32::from(age.is_some()), SignedDuration::from_secs(age.unwrap_or(0)));
            pod(&mut cluster, &uid).eviction = match before[n] {
                0 => Eviction::Open,
                1 => Eviction::Barred { since: Some(t0()) },
                _ => Eviction::Theirs,
            };
        }
        let mut now = t0() + LEAST;
        for cut in cuts.into_iter().chain([usize::MAX]) {
            for step in steps(&desired, &cluster, now).iter().take(cut) {
                cluster.execute(&desired, step, now).expect("what is somebody else's is not tried");
            }
            now += SignedDuration::from_secs(1);
        }
        prop_assert_eq!(steps(&desired, &cluster, now + LEAST), vec![]);
        for (n, age) in ages.iter().enumerate() {
            let stands = matches!(pod(&mut cluster, &format!("uid-{n}")).eviction, Eviction::Barred { .. });
            let wanted = before[n] != 2 && age.is_some_and(|age| age > 60);
            prop_assert_eq!(stands, wanted, "uid-{}", n);
        }
    }
}
