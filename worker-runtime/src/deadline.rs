//! The hard deadline: a plain thread that ends the process with exit code 75, whatever else hangs.
//!
//! It needs no Tokio and waits for no lock that other threads take. What is still running is logged first, by a second thread that
//! gets a moment for it: a blocked log must not keep the process alive until the kubelet kills it without a word.

use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use crate::pod::Pod;

/// Exit code of a process whose tasks did not end in time.
pub(crate) const FORCED: u8 = 75;

/// Time for the log of what is still running.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// When the process is ended by force, once its ending has begun.
static AT: Mutex<Option<Instant>> = Mutex::new(None);

/// Time until the process is ended by force; `None` before its ending has begun.
pub(crate) fn left(now: Instant) -> Option<Duration> {
    let at = *AT.lock().unwrap_or_else(PoisonError::into_inner);
    at.map(|at| at.saturating_duration_since(now))
}

/// While this value lives the process ends at the deadline.
#[derive(Debug)]
pub(crate) struct Deadline {
    _alive: mpsc::Sender<()>,
}

impl Deadline {
    /// Starts the thread.
    pub(crate) fn start(after: Duration, pod: Arc<Pod>) -> std::io::Result<Self> {
        *AT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + after);
        let (alive, dropped) = mpsc::channel::<()>();
        thread::Builder::new().name("deadline".to_owned()).spawn(move || {
            if dropped.recv_timeout(after) == Err(mpsc::RecvTimeoutError::Timeout) {
                end(after, pod);
            }
        })?;
        Ok(Self { _alive: alive })
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        *AT.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn end(after: Duration, pod: Arc<Pod>) -> ! {
    let (said, heard) = mpsc::channel();
    let words = thread::Builder::new().spawn(move || {
        let _ = std::io::stderr().write_all(last_words(after, &pod).as_bytes());
        let _ = said.send(());
    });
    if words.is_ok() {
        let _ = heard.recv_timeout(LAST_WORDS);
    }
    std::process::exit(i32::from(FORCED))
}

/// One line per unfinished task, as JSON like the other logs.
fn last_words(after: Duration, pod: &Pod) -> String {
    let mut text = line("hard deadline: tasks did not end in time", after, None);
    for gate in pod.gates.all() {
        for (name, age) in gate.running_now(Instant::now()).unwrap_or_default() {
            text += &line(
                "task cut off at the hard deadline",
                age,
                Some((gate.task_type().as_str(), &name)),
            );
        }
    }
    text
}

fn line(message: &str, seconds: Duration, task: Option<(&str, &str)>) -> String {
    let (task_type, name) = task.unwrap_or_default();
    let line = serde_json::json!({
        "level": "ERROR", "message": message, "seconds": seconds.as_secs(), "task_type": task_type, "name": name,
    });
    format!("{line}\n")
}
