//! The process pool, with real children: each is this test binary, which the harness leads to [`child`].

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use fleet_worker::{
    Ended, FleetWorker, WorkerHandle,
    process::{self, Child, Failure, Pool},
};
use temporalio_common::protos::temporal::api::{common::v1::Payload, failure::v1::failure::FailureInfo};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use crate::{
    fake::{Frontend, Task},
    support::{eventually, get, settings},
};

const PARENT: &str = "FLEET_WORKER_TEST_PARENT";
const SECRET: &str = "FLEET_WORKER_TEST_SECRET";

/// Not a test by itself: what the children run.
#[test]
#[ignore = "run by the pools of the other tests"]
fn child() {
    process::child(&[
        ("echo", |child, input| {
            println!("print does not disturb frames {:?}", child.details());
            Ok(input)
        }),
        ("crash_once", |child, input| match child.details() {
            Some(details) => Ok([details, b" ", &input].concat()),
            None => {
                child.heartbeat(*b"half")?;
                // Let the heartbeat be recorded before the process is gone: frames arrive in order, so the pool has seen it.
                eprintln!("last words");
                std::process::abort()
            }
        }),
        ("until_cancelled", |child, _| {
            while !child.is_cancelled() {
                child.heartbeat([])?;
                std::thread::yield_now();
            }
            Err(Failure::cancelled())
        }),
        ("deaf", |child, _| {
            child.heartbeat(std::process::id().to_string())?;
            loop {
                std::thread::park();
            }
        }),
        ("fails", |_, _| {
            Err(Failure::new("out of paper").kind("Paper").non_retryable())
        }),
        ("panics", |_, _| panic!("no such luck")),
        ("pid", |_, _| Ok(std::process::id().to_string().into_bytes())),
        ("environment", |_, _| {
            Ok(format!(
                "{:?} {:?}",
                std::env::var(SECRET),
                std::env::var("FLEET_WORKER_TEST_MODEL")
            )
            .into_bytes())
        }),
        ("greedy", |_: &mut Child, _: Vec<u8>| {
            let much = vec![1_u8; 4 << 30];
            Ok(vec![much[much.len() - 1]])
        }),
    ]);
}

fn pool(size: usize) -> Pool {
    Pool::new(size).args([
        "--exact",
        "process::child",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ])
}

struct Pooled(Pool);

#[activities]
impl Pooled {
    #[activity(name = "pooled")]
    async fn pooled(self: Arc<Self>, ctx: ActivityContext, body: String) -> Result<Vec<u8>, ActivityError> {
        self.0.run(&ctx, &body, b"input".to_vec()).await
    }
}

fn spawn(frontend: &Arc<Frontend>, pool: Pool) -> WorkerHandle {
    frontend.state().completes_polls = true;
    FleetWorker::from_settings(settings(&[]))
        .default_queue("q")
        .activities(Pooled(pool))
        .customise_connection(frontend.customise())
        .spawn()
        .expect("started")
}

fn schedule(frontend: &Frontend, body: &str, retries: u32) {
    let text = serde_json::to_vec(body).expect("JSON");
    frontend.schedule_task(Task {
        activity: "pooled".to_owned(),
        input: vec![Payload {
            metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
            data: text,
            ..Payload::default()
        }],
        retries,
        ..Task::default()
    });
}

/// Result of the activity that completes next.
fn result(frontend: &Frontend, body: &str) -> String {
    let before = frontend.state().completed;
    schedule(frontend, body, 0);
    eventually(body, || frontend.state().completed > before);
    let state = frontend.state();
    let payload = &state.results.last().expect("a result").payloads[0];
    String::from_utf8_lossy(&payload.data).into_owned()
}

/// Type, message and whether it can be retried, of the failure that comes next.
fn failure(frontend: &Frontend, body: &str) -> (String, String, bool) {
    let before = frontend.state().failed.len();
    schedule(frontend, body, 0);
    eventually(body, || frontend.state().failed.len() > before);
    let failure = frontend.state().failed.last().expect("a failure").clone();
    let Some(FailureInfo::ApplicationFailureInfo(info)) = failure.failure_info else {
        panic!("no application failure: {failure:?}");
    };
    (info.r#type, failure.message, !info.non_retryable)
}

fn end(worker: WorkerHandle) {
    worker.stop();
    assert_eq!(worker.wait().expect("ended"), Ended::Clean);
}

/// Whether the process has ended; one that nobody has waited for yet counts.
fn gone(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| Some(stat.rsplit_once(") ")?.1.starts_with('Z')))
        .unwrap_or(true)
}

#[test]
fn a_child_stays_for_the_next_task_until_it_has_run_enough() {
    let frontend = Arc::new(Frontend::default());
    let worker = spawn(&frontend, pool(1).max_tasks(3));
    assert_eq!(result(&frontend, "echo"), "input");
    let second = result(&frontend, "pid");
    assert_eq!(result(&frontend, "pid"), second);
    assert_ne!(result(&frontend, "pid"), second);
    eventually("the first one ends by itself", || gone(&second));
    end(worker);
}

#[test]
fn a_crash_is_retried_with_the_details_of_the_last_heartbeat() {
    let frontend = Arc::new(Frontend::default());
    let worker = spawn(&frontend, pool(1));
    schedule(&frontend, "crash_once", 1);
    eventually("the second attempt succeeds", || frontend.state().completed == 1);
    let state = frontend.state();
    assert_eq!(state.results[0].payloads[0].data, b"half input");
    assert_eq!(state.failed.len(), 1);
    let message = &state.failed[0].message;
    assert!(
        message.contains("signal 6") && message.contains("last words"),
        "{message}"
    );
    drop(state);
    let scrape = get(worker.ports().metrics, "/metrics").1;
    assert!(!scrape.contains("child_exits_total{reason=\"crashed\"} 0"), "{scrape}");
    end(worker);
}

#[test]
fn a_body_that_obeys_its_cancellation_keeps_its_process() {
    let frontend = Arc::new(Frontend::default());
    let worker = spawn(&frontend, pool(1));
    let pid = result(&frontend, "pid");
    frontend.state().cancel = true;
    schedule(&frontend, "until_cancelled", 0);
    eventually("it is cancelled", || frontend.state().cancelled == 1);
    frontend.state().cancel = false;
    assert_eq!(result(&frontend, "pid"), pid);
    end(worker);
}

#[test]
fn a_body_that_ignores_its_cancellation_is_killed() {
    let frontend = Arc::new(Frontend::default());
    let worker = spawn(&frontend, pool(1).kill_after(Duration::from_millis(50)));
    frontend.state().cancel = true;
    schedule(&frontend, "deaf", 0);
    eventually("it is cancelled", || frontend.state().cancelled == 1);
    let pid = String::from_utf8_lossy(&frontend.state().heartbeats[0].payloads[0].data).into_owned();
    assert!(gone(&pid));
    frontend.state().cancel = false;
    assert_eq!(result(&frontend, "echo"), "input");
    end(worker);
}

#[test]
fn failures_and_panics_of_bodies_are_failures_of_the_activity() {
    let frontend = Arc::new(Frontend::default());
    let worker = spawn(&frontend, pool(1));
    let pid = result(&frontend, "pid");
    let (kind, message, retryable) = failure(&frontend, "fails");
    assert_eq!(
        (kind.as_str(), message.as_str(), retryable),
        ("Paper", "out of paper", false)
    );
    let (kind, message, retryable) = failure(&frontend, "panics");
    assert_eq!(
        (kind.as_str(), message.as_str(), retryable),
        ("Panic", "panicked: no such luck", true)
    );
    let (kind, ..) = failure(&frontend, "unheard of");
    assert_eq!(kind, "NoSuchBody");
    assert_eq!(result(&frontend, "pid"), pid);
    end(worker);
}

#[test]
fn a_child_that_wants_too_much_memory_ends_alone() {
    let frontend = Arc::new(Frontend::default());
    let worker = spawn(&frontend, pool(1).memory(2 << 30));
    let (kind, message, retryable) = failure(&frontend, "greedy");
    assert_eq!((kind.as_str(), retryable), ("ChildExited", true));
    assert!(message.contains("memory allocation of"), "{message}");
    assert_eq!(result(&frontend, "echo"), "input");
    end(worker);
}

#[test]
fn children_see_only_the_variables_that_are_allowed() {
    let frontend = Arc::new(Frontend::default());
    // Set for a process of its own: the environment of this one is shared by all tests.
    if std::env::var_os(SECRET).is_none() {
        let status = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "process::children_see_only_the_variables_that_are_allowed"])
            .envs([(SECRET, "s"), ("FLEET_WORKER_TEST_MODEL", "m")])
            .stdout(Stdio::null())
            .status();
        assert!(status.expect("ran").success());
        return;
    }
    let worker = spawn(&frontend, pool(1).allow_env("FLEET_WORKER_TEST_MODEL"));
    assert_eq!(result(&frontend, "environment"), "Err(NotPresent) Ok(\"m\")");
    end(worker);
}

#[test]
fn a_program_that_does_not_become_a_child_is_told_so() {
    let frontend = Arc::new(Frontend::default());
    let worker = spawn(&frontend, Pool::new(1).args(["--list"]));
    let (kind, ..) = failure(&frontend, "echo");
    assert_eq!(kind, "ChildNotStarted");
    end(worker);
}

/// Not a test by itself: a worker that is killed.
#[test]
#[ignore = "run by another test"]
fn parent() {
    if std::env::var_os(PARENT).is_none() {
        return;
    }
    let frontend = Arc::new(Frontend::default());
    let _worker = spawn(&frontend, pool(1));
    schedule(&frontend, "deaf", 0);
    eventually("the child runs", || !frontend.state().heartbeats.is_empty());
    let pid = String::from_utf8_lossy(&frontend.state().heartbeats[0].payloads[0].data).into_owned();
    println!("\nCHILD {pid}");
    loop {
        std::thread::park();
    }
}

#[test]
fn no_child_outlives_its_worker() {
    let mut parent = Command::new(std::env::current_exe().expect("this binary"))
        .args([
            "--exact",
            "process::parent",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(PARENT, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("a worker");
    let lines = BufReader::new(parent.stdout.take().expect("its output")).lines();
    let pid = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("CHILD ").map(str::to_owned))
        .expect("a child");
    assert!(!gone(&pid));
    parent.kill().expect("killed");
    parent.wait().expect("gone");
    eventually("the child is gone", || gone(&pid));
}
