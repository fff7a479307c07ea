//! A child's standard error: each line goes to the log with the fields of the task that runs, and the end of it explains a crash.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use temporalio_sdk::activities::ActivityInfo;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    task::JoinHandle,
};

/// How much of the end is kept. Of a retried activity Temporal's server keeps 4 kB of failure (`limit.mutableStateActivityFailureSize.error`);
/// a longer one is replaced by a failure of its own, without the type.
const TAIL: usize = 2_048;

/// A longer line is logged in pieces.
const LINE: usize = 8_192;

/// What is known of the output of one child.
#[derive(Debug, Default)]
pub(crate) struct Output {
    tail: Vec<u8>,
    task: Option<ActivityInfo>,
}

/// Handle on the output of one child.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stderr(Arc<Mutex<Output>>);

impl Stderr {
    /// Reads until the end, on a task of its own.
    pub(crate) fn follow(&self, pid: u32, pipe: impl AsyncRead + Unpin + Send + 'static) -> JoinHandle<()> {
        let output = self.clone();
        tokio::spawn(async move { output.read(pid, pipe).await })
    }

    /// From now on lines belong to this task.
    pub(crate) fn begin(&self, task: ActivityInfo) {
        *self.lock() = Output {
            tail: Vec::new(),
            task: Some(task),
        };
    }

    /// The last 2 kB since the task began, as text.
    pub(crate) fn tail(&self) -> String {
        let output = self.lock();
        let text = String::from_utf8_lossy(&output.tail);
        // A byte that is no text became three.
        let surplus = text.ceil_char_boundary(text.len().saturating_sub(TAIL));
        text.get(surplus..).unwrap_or_default().trim().to_owned()
    }

    async fn read(&self, pid: u32, mut pipe: impl AsyncRead + Unpin) {
        let (mut chunk, mut line) = ([0; 4_096], Vec::new());
        while let Ok(length @ 1..) = pipe.read(&mut chunk).await {
            let new = chunk.get(..length).unwrap_or_default();
            self.lock().push(new);
            for byte in new {
                if *byte != b'\n' {
                    line.push(*byte);
                }
                if *byte == b'\n' || line.len() >= LINE {
                    self.log(pid, &line);
                    line.clear();
                }
            }
        }
        if !line.is_empty() {
            self.log(pid, &line);
        }
    }

    fn log(&self, pid: u32, line: &[u8]) {
        let output = self.lock();
        let text = String::from_utf8_lossy(line);
        if let Some(task) = &output.task {
            tracing::info!(
                pid,
                activity_type = task.activity_type,
                activity_id = task.activity_id,
                workflow_id = task.workflow_id,
                run_id = task.workflow_run_id,
                attempt = task.attempt,
                "{text}"
            );
        } else {
            tracing::info!(pid, "{text}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Output> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Output {
    fn push(&mut self, new: &[u8]) {
        self.tail.extend_from_slice(new);
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_not_more() {
        let stderr = Stderr::default();
        let text: Vec<u8> = (0..20_000_u32).flat_map(|n| format!("{n}\n").into_bytes()).collect();
        futures::executor::block_on(stderr.read(1, text.as_slice()));
        let tail = stderr.tail();
        assert!(tail.ends_with("19998\n19999"), "{tail}");
        assert!(tail.len() <= TAIL && tail.len() > TAIL - 8, "{}", tail.len());
    }

    #[test]
    fn what_is_no_text_does_not_make_the_end_longer() {
        let stderr = Stderr::default();
        futures::executor::block_on(stderr.read(1, vec![0xff; 20_000].as_slice()));
        let tail = stderr.tail();
        assert!(tail.len() <= TAIL && tail.len() > TAIL - 8, "{}", tail.len());
    }
}
