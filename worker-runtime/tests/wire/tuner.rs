//! Slots by CPU and memory: what always runs, what is told, and that nothing waits for resources when the pod ends.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fleet_worker::{Ended, FleetWorker, Settings, WorkerHandle, settings::Tuner};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use tokio::sync::Semaphore;

use crate::{
    control::{Operator, control_dir},
    fake::Frontend,
    history::json,
    support::{Activities, eventually, get, settings, value, within},
    workflows::{Echo, Parts, Steps},
};

/// A tuner that never finds room for a further task: the SDK gives none from five points below the target of memory.
pub(crate) const NOTHING_FREE: Tuner = Tuner::ResourceBased {
    target_cpu_percent: 100,
    target_memory_percent: 1,
};

/// Lets `held` activities end, one per permit.
static GO_ON: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(0));

/// Most `counted` activities that ran at once, and how many do.
static MOST: AtomicUsize = AtomicUsize::new(0);
static NOW: AtomicUsize = AtomicUsize::new(0);

struct Tuned;

#[activities]
impl Tuned {
    /// Ends when the test lets it.
    #[activity(name = "held")]
    async fn held(_: ActivityContext) -> Result<(), ActivityError> {
        GO_ON.acquire().await?.forget();
        Ok(())
    }

    /// Takes long enough that others would begin meanwhile.
    #[activity(name = "counted")]
    async fn counted(_: ActivityContext) -> Result<(), ActivityError> {
        MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(60)).await;
        NOW.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }
}

fn worker(frontend: &Arc<Frontend>, settings: Settings) -> FleetWorker {
    FleetWorker::from_settings(settings)
        .default_queue("q")
        .workflow::<Steps>()
        .workflow::<Echo>()
        .activities(Parts)
        .activities(Activities)
        .activities(Tuned)
        .customise_connection(frontend.customise())
}

fn spawn(frontend: &Arc<Frontend>, settings: Settings) -> WorkerHandle {
    worker(frontend, settings).tuner(NOTHING_FREE).spawn().expect("started")
}

fn end(worker: WorkerHandle) {
    worker.stop();
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
}

#[test]
fn without_room_for_more_activities_run_one_at_a_time_and_nobody_is_told_a_number_of_slots() {
    let frontend = Arc::new(Frontend::default());
    frontend.state().completes_polls = true;
    let (directory, certificate) = control_dir("tuner");
    let mut settings = settings(&[]);
    settings.control_dir = Some(directory.clone());
    let worker = spawn(&frontend, settings);
    eventually("ready", || get(worker.ports().health, "/readyz").0 == 200);
    frontend.schedule("counted", 10);
    eventually("all are completed", || frontend.state().completed == 10);
    assert_eq!(MOST.load(Ordering::SeqCst), 1);

    let operator = Operator::new(worker.ports().control, &certificate, "the-token");
    let report = operator.report().expect("a report");
    assert_eq!(report.slots.len(), 3, "{report:?}");
    assert!(report.slots.iter().all(|slots| slots.limit.is_none()), "{report:?}");
    let activities = report.slots.iter().find(|slots| slots.completions == 10);
    assert!(activities.is_some_and(|slots| slots.busy_slot_ms >= 500), "{report:?}");
    eventually("the SDK tells what it measures", || {
        let page = get(worker.ports().metrics, "/metrics").1;
        assert!(!page.contains("temporal_worker_task_slots_available"), "{page}");
        let measured = |line: &str| line.starts_with("temporal_resource_slots_mem_usage") && !line.ends_with(" 0");
        page.contains("temporal_worker_task_slots_used") && page.lines().any(measured)
    });

    end(worker);
    // The half that polls for workflow tasks says "Fixed" of activities, and the other way round: they have no slots there.
    assert!(frontend.state().slot_kinds.contains("ResourceBased"));
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn without_room_for_more_workflows_and_their_activities_go_on_in_either_shape() {
    for cached in ["0", "10"] {
        for combined in ["false", "true"] {
            let frontend = Arc::new(Frontend::default());
            frontend.state().completes_polls = true;
            let settings = settings(&[
                ("TEMPORAL_FLEET_COMBINED", combined),
                ("TEMPORAL_FLEET_MAX_CACHED_WORKFLOWS", cached),
            ]);
            let worker = spawn(&frontend, settings);
            let runs: Vec<usize> = (0..3)
                .map(|_| frontend.runs(|runs| runs.start("Steps", Some(json(&"word")))))
                .collect();
            eventually("the runs end", || {
                frontend.runs(|all| runs.iter().all(|run| all.all[*run].ending.is_some()))
            });
            for run in runs {
                let result = frontend.runs(|runs| runs.all[run].result());
                assert_eq!(result.as_deref(), Some(r#"["WORD","WORD","child word"]"#));
            }
            end(worker);
        }
    }
}

#[test]
fn a_drain_waits_for_tasks_and_not_for_resources() {
    let frontend = Arc::new(Frontend::default());
    let (directory, certificate) = control_dir("tuner-drain");
    let mut settings = settings(&[]);
    settings.control_dir = Some(directory.clone());
    let worker = spawn(&frontend, settings);
    let operator = Operator::new(worker.ports().control, &certificate, "the-token");
    frontend.schedule("held", 5);
    eventually("one runs", || {
        operator.report().is_ok_and(|report| report.inflight.len() == 1)
    });
    let progress = operator.drain().expect("accepted");
    assert_eq!((progress.running, progress.open_polls <= 2), (1, true), "{progress:?}");
    GO_ON.add_permits(1);
    eventually("drained", || operator.drain().is_ok_and(|progress| progress.drained));
    {
        let state = frontend.state();
        assert_eq!((state.completed, state.waiting.len(), state.lost), (1, 4, 0));
    }
    end(worker);
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn workers_are_recycled_without_room_for_more() {
    let frontend = Arc::new(Frontend::default());
    let mut settings = settings(&[("TEMPORAL_FLEET_RECYCLE_AFTER_ACTIVITIES", "10")]);
    settings.graceful_shutdown = Duration::ZERO;
    let worker = spawn(&frontend, settings);
    frontend.schedule("quick", 200);
    within(Duration::from_mins(1), "all are completed", || {
        frontend.state().completed == 200
    });
    assert!(value(&worker, "rebuilds_total{reason=\"recycled\"}") >= 1);
    {
        let state = frontend.state();
        assert_eq!((state.lost, state.failed.len(), state.handed_out), (0, 0, 200));
    }
    end(worker);
}

#[test]
fn the_environment_decides_what_the_slots_follow() {
    let frontend = Arc::new(Frontend::default());
    let (directory, certificate) = control_dir("tuner-environment");
    let mut settings = settings(&[
        ("TEMPORAL_FLEET_TUNER", r#"{"fixed":{}}"#),
        ("TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES", "7"),
    ]);
    settings.control_dir = Some(directory.clone());
    let worker = spawn(&frontend, settings);
    let operator = Operator::new(worker.ports().control, &certificate, "the-token");
    let report = operator.report().expect("a report");
    assert!(report.slots.iter().any(|slots| slots.limit == Some(7)), "{report:?}");
    end(worker);
    assert!(!frontend.state().slot_kinds.contains("ResourceBased"));
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn targets_that_no_pod_can_have_are_start_errors() {
    let tuner = Tuner::ResourceBased {
        target_cpu_percent: 101,
        target_memory_percent: 0,
    };
    let error = worker(&Arc::default(), settings(&[]))
        .tuner(tuner)
        .spawn()
        .expect_err("refused")
        .to_string();
    for part in ["target_cpu_percent is 101", "target_memory_percent is 0", "1 to 100"] {
        assert!(error.contains(part), "{error}");
    }
}
