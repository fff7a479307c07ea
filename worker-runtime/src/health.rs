//! Port 9466: `/livez` and `/readyz`, and the readiness state behind them.
//!
//! Ready means: connected, the Temporal namespace exists, every queue was polled, not draining. Once reached it stays until draining
//! begins: a lost connection must not make a busy pod the first victim of a scale-in. Live means that no thread is stuck, and that
//! polling goes on where there is room for tasks.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use axum::{Router, extract::State, http::StatusCode, routing::get};

use crate::{phase::Phase, pod::Pod, pulse::Beat};

/// Why the pod is not ready, in words, and whether it ever was.
#[derive(Debug)]
pub(crate) struct Readiness {
    waiting_for: Mutex<String>,
    connected: AtomicBool,
    reached: AtomicBool,
}

impl Readiness {
    pub(crate) fn new() -> Self {
        Self {
            waiting_for: Mutex::new("starting".to_owned()),
            connected: AtomicBool::new(false),
            reached: AtomicBool::new(false),
        }
    }

    /// Not connected yet, for this reason.
    pub(crate) fn waiting(&self, reason: String) {
        *self.waiting_for.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// The connection stands and the Temporal namespace exists.
    pub(crate) fn connected(&self) {
        self.connected.store(true, Ordering::Release);
    }
}

/// Whether the pod is ready; else the reason.
pub(crate) fn ready(pod: &Pod) -> Result<(), String> {
    let readiness = &pod.readiness;
    match pod.phases.get() {
        Phase::Serving => {}
        Phase::Draining { .. } => return Err("draining: no new task is accepted".to_owned()),
        Phase::Drained { .. } => return Err("drained: waiting for the end".to_owned()),
    }
    if readiness.reached.load(Ordering::Acquire) {
        return Ok(());
    }
    if !readiness.connected.load(Ordering::Acquire) {
        return Err(readiness
            .waiting_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone());
    }
    let unpolled: Vec<String> = pod
        .queues
        .unpolled()
        .map(|(name, task_type)| format!("{name} ({})", task_type.as_str()))
        .collect();
    if unpolled.is_empty() {
        readiness.reached.store(true, Ordering::Release);
        return Ok(());
    }
    Err(format!("not polled yet: {}", unpolled.join(", ")))
}

/// Whether the process is fit to go on; else why not.
///
/// Threads must move. Where a slot is free some poll is open, and polls end within a minute or so, answered or refused: if no call
/// ends for far longer, polling is stuck. Neither holds because Temporal is down (refused calls end too) nor because all slots
/// are busy (then nothing has to be polled).
pub(crate) fn live(pod: &Pod, now: Instant) -> Result<(), String> {
    let limits = pod.watchdog;
    let mut reasons: Vec<String> = pod
        .pulses
        .all(now)
        .into_iter()
        .filter(|beat| beat.age > limits.stuck_after)
        .map(stuck)
        .collect();
    let polls = pod.phases.is_serving() && pod.readiness.connected.load(Ordering::Acquire);
    let silence = pod.calls.silence(now);
    if polls && silence > limits.silent_after && pod.gates.polled().any(|gate| gate.has_room()) {
        let seconds = silence.as_secs();
        reasons.push(format!(
            "no call to Temporal has ended for {seconds} s although slots are free"
        ));
    }
    if reasons.is_empty() {
        Ok(())
    } else {
        Err(reasons.join("; "))
    }
}

fn stuck(beat: Beat) -> String {
    let Beat { thread, age, run } = beat;
    let seconds = age.as_secs();
    match run {
        Some(run) => format!(
            "worker thread {thread} has not moved for {seconds} s, in code of workflow {:?} (run {})",
            run.workflow_type, run.run_id
        ),
        None => format!("worker thread {thread} has not moved for {seconds} s"),
    }
}

/// The routes of the health port.
pub(crate) fn router(pod: Arc<Pod>) -> Router {
    Router::new()
        .route(
            "/livez",
            get(|State(pod): State<Arc<Pod>>| async move { answer(live(&pod, Instant::now())) }),
        )
        .route(
            "/readyz",
            get(|State(pod): State<Arc<Pod>>| async move { answer(ready(&pod)) }),
        )
        .with_state(pod)
}

fn answer(state: Result<(), String>) -> (StatusCode, String) {
    match state {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason + "\n"),
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
