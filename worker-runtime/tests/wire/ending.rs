//! The ending of a whole process, by signal: each case runs this test binary again as a child.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use fleet_worker::FleetWorker;

use crate::{
    control::{Operator, control_dir},
    fake::Frontend,
    support::{Activities, eventually, settings},
    tuner::NOTHING_FREE,
};

const CASE: &str = "FLEET_WORKER_TEST_CASE";

/// Not a test by itself: the process that the others end.
#[test]
#[ignore = "run by the other tests"]
fn child() {
    let Ok(case) = std::env::var(CASE) else { return };
    let frontend = Arc::new(Frontend::default());
    let mut settings = settings(&[]);
    if case == "load" {
        frontend.schedule("quick", 100_000);
        let frontend = Arc::clone(&frontend);
        std::thread::spawn(move || {
            eventually("tasks flow", || frontend.state().completed > 20);
            println!("RUNNING");
        });
    } else if case == "withheld" {
        settings.options.tuner = Some(NOTHING_FREE);
        frontend.schedule("quick", 100_000);
        let frontend = Arc::clone(&frontend);
        std::thread::spawn(move || {
            eventually("tasks flow", || frontend.state().completed > 20);
            println!("RUNNING");
        });
    } else if case == "drained" {
        let (directory, certificate) = control_dir("ending");
        settings.control_dir = Some(directory);
        settings.ports.control = free_port();
        let operator = Operator::new(settings.ports.control, &certificate, "the-token");
        std::thread::spawn(move || {
            eventually("drained", || operator.drain().is_ok_and(|progress| progress.drained));
            println!("DRAINED");
        });
    } else {
        settings.graceful_shutdown = Duration::ZERO;
        settings.clean_up = Duration::from_millis(700);
        frontend.schedule("stubborn", 1);
    }
    let code = FleetWorker::from_settings(settings)
        .default_queue("q")
        .activities(Activities)
        .customise_connection(frontend.customise())
        .run();
    let state = frontend.state();
    println!(
        "ENDED {code:?} lost={} open={}",
        state.lost,
        state.handed_out - state.completed
    );
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("[::]:0").expect("a port");
    listener.local_addr().expect("its address").port()
}

fn start(case: &str) -> (Child, impl Iterator<Item = String>) {
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args([
            "--exact",
            "ending::child",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(CASE, case)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let lines = BufReader::new(child.stdout.take().expect("its output"))
        .lines()
        .map_while(Result::ok);
    (child, lines)
}

fn terminate(child: &Child) {
    let sent = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .expect("kill");
    assert!(sent.success());
}

#[test]
fn sigterm_under_load_ends_cleanly_with_every_task_answered() {
    let (mut child, mut lines) = start("load");
    assert!(lines.any(|line| line.contains("RUNNING")));
    terminate(&child);
    let ended = lines.find(|line| line.contains("ENDED")).expect("it ended by itself");
    assert!(ended.contains("lost=0 open=0"), "{ended}");
    assert!(
        ended.contains(&format!("{:?}", std::process::ExitCode::SUCCESS)),
        "{ended}"
    );
    child.wait().expect("gone");
}

#[test]
fn sigterm_while_resources_withhold_slots_is_as_any_other() {
    let (mut child, mut lines) = start("withheld");
    assert!(lines.any(|line| line.contains("RUNNING")));
    terminate(&child);
    let began = Instant::now();
    let ended = lines.find(|line| line.contains("ENDED")).expect("it ended by itself");
    assert!(ended.contains("lost=0 open=0"), "{ended}");
    assert!(
        ended.contains(&format!("{:?}", std::process::ExitCode::SUCCESS)),
        "{ended}"
    );
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    child.wait().expect("gone");
}

#[test]
fn a_drained_process_stays_until_sigterm() {
    let (mut child, mut lines) = start("drained");
    assert!(lines.any(|line| line.contains("DRAINED")));
    assert!(child.try_wait().expect("a child").is_none(), "it stays");
    terminate(&child);
    let ended = lines.find(|line| line.contains("ENDED")).expect("it ended by itself");
    assert!(
        ended.contains(&format!("{:?}", std::process::ExitCode::SUCCESS)),
        "{ended}"
    );
    child.wait().expect("gone");
}

#[test]
fn a_task_that_ignores_everything_meets_the_hard_deadline() {
    let (mut child, mut lines) = start("stubborn");
    assert!(lines.any(|line| line.contains("STUBBORN")));
    terminate(&child);
    let began = Instant::now();
    let rest: Vec<String> = lines.collect();
    let status = child.wait().expect("gone");
    assert_eq!(status.code(), Some(75), "{rest:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
