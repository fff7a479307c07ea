//! Workers in processes of their own, to be ended by signals: this test binary, which the harness leads to [`child`].

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, ExitCode, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use fleet_worker::{FleetWorker, Settings};

use crate::bed::{Bed, FREE_PORTS, eventually};

const CASE: &str = "FLEET_WORKER_TEST_CASE";

/// Not a test by itself: the processes that the others start.
#[test]
#[ignore = "run by the other tests"]
fn child() {
    let Ok(case) = std::env::var(CASE) else { return };
    // The input ends with the test process.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::abort();
    });
    let mut settings = Settings::from_env().expect("valid variables");
    settings.ports = FREE_PORTS;
    if case == "hurried" {
        settings.clean_up = Duration::from_secs(3);
    }
    let worker = FleetWorker::from_settings(settings);
    let code = match case.as_str() {
        "seed" => crate::seed::registered(worker).run(),
        "determinism" => crate::determinism::registered(worker).run(),
        "ending" => crate::ending::registered(worker).run(),
        "hurried" | "signals" => crate::signals::registered(worker).run(),
        other => panic!("no case {other}"),
    };
    println!("\nENDED {}", if code == ExitCode::SUCCESS { "well" } else { "badly" });
    // Not the harness's: a test that panicked elsewhere would have its own.
    std::process::exit(i32::from(code != ExitCode::SUCCESS));
}

/// A worker in a process of its own, killed when this is dropped. Its output can be read line by line.
pub(crate) struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts one with the environment that a pod of the queue would have, and more variables.
    pub(crate) fn start(case: &str, bed: &Bed, more: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .args([
                "--exact",
                "process::child",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(CASE, case)
            .envs(bed.environment())
            .envs(more.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a child");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let collected = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                collected.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Self {
            child,
            lines,
            reader: Some(reader),
        }
    }

    /// Waits until it has said something so many times.
    pub(crate) async fn said(&self, what: &str, times: usize) {
        eventually(what, async || self.lines(what) >= times).await;
    }

    /// How many of its lines hold a text.
    pub(crate) fn lines(&self, what: &str) -> usize {
        self.with(what).len()
    }

    /// Its lines that hold a text.
    pub(crate) fn with(&self, what: &str) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter(|line| line.contains(what)).cloned().collect()
    }

    /// Tells it to end, as the kubelet does.
    pub(crate) fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("sent");
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The exit code, once it has ended by itself.
    pub(crate) async fn code(&mut self) -> Option<i32> {
        let mut status = None;
        eventually("the process ends", async || {
            status = self.child.try_wait().expect("a status");
            status.is_some()
        })
        .await;
        if let Some(reader) = self.reader.take() {
            reader.join().expect("its last words");
        }
        status.and_then(|status| status.code())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
