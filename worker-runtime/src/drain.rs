//! How polling ends without losing a task that was already handed out: with a deadline when the process ends, without one when the
//! operator drains the pod.
//!
//! Workflow halves begin their shutdown at once: their sticky runs go back to the server, and a workflow task lost with a dropped poll
//! is dispatched again after its timeout (10 s). A lost activity would wait for its own timeout, so activity polls are
//! dropped only when the process ends and that can hardly hit: no task has come for a while. Else the gate is closed and the open polls
//! run out first. A drain drops no activity poll at all: it has the time.
//!
//! That a server ends the polls of a worker that shuts down (`worker_poll_complete_on_shutdown`) is no reason to skip this. It cancels
//! each poll where it waits, and most wait in one partition of the queue for a task of another: a task that is being marked as started
//! at that moment stays marked, and its answer goes to nobody.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;

use crate::{
    half::Running,
    pod::{Half, Lanes, Pod},
};

/// A queue without a task for so long is idle: a dropped poll will hardly lose one.
const IDLE: Duration = Duration::from_secs(10);

/// Longest wait for open polls. Under load each brings a task at once; the SDK limits them to 11 s when tasks were coming.
const OPEN_POLLS: Duration = Duration::from_secs(12);

/// Drains all halves, however long their tasks take; ends when nothing but the last steps of their shutdown is left.
///
/// Activities run to their own end: the shutdown that would cancel them begins after the last one. Polls end by themselves, within
/// 70 s; while Temporal is down they are tried again and again, since one of them may already hold a task.
pub(crate) async fn run_out(halves: &[Arc<Running>], pod: &Pod) {
    close(halves, pod);
    join_all(halves.iter().map(|running| async {
        if running.half.polls_activities() {
            emptied(&running.half, pod).await;
        }
        running.begin_shutdown();
    }))
    .await;
}

/// Begins the shutdown of all halves; ends when none takes a new task.
pub(crate) async fn stop_polling(halves: &[Arc<Running>], pod: &Pod) {
    join_all(halves.iter().map(|running| async {
        if let (Some(lane), Some(gate)) = (running.half.lanes.activities, &pod.gates.activity) {
            let idle = gate
                .since_last_start(lane, Instant::now())
                .is_none_or(|since| since >= IDLE);
            if !idle {
                close(halves, pod);
                if tokio::time::timeout(OPEN_POLLS, gate.polls_ended(lane)).await.is_err() {
                    tracing::info!(
                        queue = running.half.queue,
                        open = gate.open_polls(lane),
                        "dropping idle polls"
                    );
                }
            }
        }
        running.begin_shutdown();
    }))
    .await;
}

/// No slot for activities any more; nor for workflow tasks, where the same SDK Worker polls both and its shutdown has to wait.
fn close(halves: &[Arc<Running>], pod: &Pod) {
    if let Some(gate) = &pod.gates.activity {
        gate.close();
    }
    let combined = |running: &Arc<Running>| running.half.lanes.workflows.is_some() && running.half.polls_activities();
    if let (Some(gate), true) = (&pod.gates.workflow, halves.iter().any(combined)) {
        gate.close();
    }
}

/// Waits until the half has neither an open poll nor a task. Local activities are part of a workflow task, and the SDK holds a slot
/// for the next one at all times.
async fn emptied(half: &Half, pod: &Pod) {
    let Lanes { workflows, activities } = half.lanes;
    let gates = &pod.gates;
    let all = [
        (&gates.workflow, workflows.map(|lanes| lanes.normal)),
        (&gates.workflow, workflows.and_then(|lanes| lanes.sticky)),
        (&gates.activity, activities),
    ];
    let lanes = all.into_iter().filter_map(|(gate, lane)| gate.as_ref().zip(lane));
    join_all(lanes.map(|(gate, lane)| gate.emptied(lane))).await;
}
