//! How polling ends without losing a task that was already handed out.
//!
//! Workflow halves begin their shutdown at once: their sticky runs go back to the server, and a workflow task lost with a dropped poll
//! is dispatched again after its timeout (10 s). A lost activity would wait for its own timeout, so activity polls are
//! dropped only when that can hardly hit: the server ends polls by itself, or no task has come for a while. Else the gate is
//! closed and the open polls run out first.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;

use crate::{
    lifecycle::Running,
    pod::{Lanes, Pod},
};

/// A queue without a task for so long is idle: a dropped poll will hardly lose one.
const IDLE: Duration = Duration::from_secs(10);

/// Longest wait for open polls. Under load each brings a task at once; the SDK limits them to 11 s when tasks were coming.
const OPEN_POLLS: Duration = Duration::from_secs(12);

/// Begins the shutdown of all halves; ends when none takes a new task.
pub(crate) async fn stop_polling(halves: &[Arc<Running>], pod: &Pod) {
    join_all(halves.iter().map(|running| async {
        if let (Lanes::Activities { lane }, Some(gate)) = (running.half.lanes, &pod.gates.activity) {
            let idle = gate
                .since_last_start(lane, Instant::now())
                .is_none_or(|since| since >= IDLE);
            if !idle && !running.server_completes_polls() {
                gate.close();
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
