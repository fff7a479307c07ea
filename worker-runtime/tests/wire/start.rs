//! What keeps a process from starting: it says everything that is wrong on standard error and ends with exit code 1.

use std::{
    net::TcpListener,
    process::{Command, ExitCode, Output, Stdio},
};

use fleet_worker::FleetWorker;

use crate::support::Activities;

const CASE: &str = "FLEET_WORKER_TEST_START";

/// Not a test by itself: the process that the others start.
#[test]
#[ignore = "run by the other tests"]
fn child() {
    if std::env::var_os(CASE).is_none() {
        return;
    }
    let code = FleetWorker::from_env().default_queue("q").activities(Activities).run();
    // Not the harness's: it has one of its own for a test that fails.
    std::process::exit(i32::from(code == ExitCode::FAILURE));
}

fn start(variables: &[(&str, &str)]) -> Output {
    Command::new(std::env::current_exe().expect("this binary"))
        .args([
            "--exact",
            "start::child",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(CASE, "1")
        // A configuration file in the developer's home must not change the outcome.
        .env("TEMPORAL_CONFIG_FILE", "/nonexistent/temporal.toml")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("a child")
}

#[test]
fn an_environment_that_cannot_be_used_is_explained_and_ends_with_exit_code_1() {
    let output = start(&[
        ("TEMPORAL_TLS", "maybe"),
        ("TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES", "0"),
    ]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for line in [
        "TEMPORAL_TLS: \"maybe\" is neither true nor false; allowed: true, false",
        "TEMPORAL_FLEET_MAX_CONCURRENT_ACTIVITIES: \"0\" is not a whole number in that range; allowed: 1 to 100000",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn a_port_that_is_taken_is_named_and_ends_with_exit_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port().to_string();
    let output = start(&[("TEMPORAL_FLEET_METRICS_PORT", &port)]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("failed to listen on port {port} (metrics)")),
        "{said}"
    );
}
