//! Says in the log when a thread of the worker stands still, and in whose code.
//!
//! Runs on the keeper, so that it speaks while all other threads are stuck. It only speaks: whether the process is fit to live is for
//! `/livez` to answer, and for the kubelet to act upon.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    executing::Run,
    pod::Pod,
    pulse::{BEAT, Beat},
};

/// Watches all pulses for ever.
pub(crate) async fn watch(pod: Arc<Pod>) {
    let mut stalls = Stalls::default();
    loop {
        tokio::time::sleep(BEAT).await;
        for change in stalls.look(pod.pulses.all(Instant::now()), pod.watchdog.tell_after) {
            change.log();
        }
    }
}

/// The threads that stand still and were told of, with the time for which they did.
#[derive(Debug, Default)]
struct Stalls(BTreeMap<String, Duration>);

/// Something to tell.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Stands {
        thread: String,
        age: Duration,
        run: Option<Run>,
    },
    Moves {
        thread: String,
        stood: Duration,
    },
}

impl Stalls {
    /// What is new, once per stall.
    fn look(&mut self, beats: Vec<Beat>, tell_after: Duration) -> Vec<Change> {
        self.0
            .retain(|thread, _| beats.iter().any(|beat| beat.thread == *thread));
        let mut changes = Vec::new();
        for Beat { thread, age, run } in beats {
            let known = self.0.get_mut(&thread);
            match (known, age >= tell_after) {
                (Some(stood), true) => *stood = age,
                (None, true) => {
                    self.0.insert(thread.clone(), age);
                    changes.push(Change::Stands { thread, age, run });
                }
                (Some(stood), false) => {
                    let stood = *stood;
                    self.0.remove(&thread);
                    changes.push(Change::Moves { thread, stood });
                }
                (None, false) => {}
            }
        }
        changes
    }
}

impl Change {
    fn log(self) {
        match self {
            Self::Stands {
                thread,
                age,
                run: Some(Run { workflow_type, run_id }),
            } => tracing::warn!(
                thread,
                seconds = age.as_secs_f64(),
                workflow_type = &*workflow_type,
                run_id = &*run_id,
                "a worker thread stands still in workflow code, and with it all workflows of its queue"
            ),
            Self::Stands { thread, age, run: None } => tracing::warn!(
                thread,
                seconds = age.as_secs_f64(),
                "a worker thread stands still, not in workflow code: does an async activity block, or is there no CPU?"
            ),
            Self::Moves { thread, stood } => {
                tracing::warn!(thread, seconds = stood.as_secs_f64(), "the worker thread moves again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TELL: Duration = Duration::from_secs(2);

    fn beat(thread: &str, ms: u64) -> Beat {
        Beat {
            thread: thread.to_owned(),
            age: Duration::from_millis(ms),
            run: None,
        }
    }

    #[test]
    fn a_stall_is_told_once_with_its_run_and_once_more_when_it_is_over() {
        let mut stalls = Stalls::default();
        let run = Some(Run {
            workflow_type: "Orders".into(),
            run_id: "r-1".into(),
        });
        let stuck = |ms| {
            let run = run.clone();
            vec![Beat { run, ..beat("w", ms) }, beat("a", 100)]
        };
        assert_eq!(stalls.look(stuck(1_999), TELL), []);
        assert_eq!(
            stalls.look(stuck(2_000), TELL),
            [Change::Stands {
                thread: "w".into(),
                age: TELL,
                run: run.clone()
            }]
        );
        assert_eq!(stalls.look(stuck(7_000), TELL), []);
        let moves = [Change::Moves {
            thread: "w".into(),
            stood: Duration::from_secs(7),
        }];
        assert_eq!(stalls.look(vec![beat("w", 10), beat("a", 10)], TELL), moves);
        assert_eq!(stalls.look(vec![beat("w", 10), beat("a", 10)], TELL), []);
    }

    #[test]
    fn a_thread_that_ended_is_forgotten() {
        let mut stalls = Stalls::default();
        assert_eq!(stalls.look(vec![beat("w", 3_000)], TELL).len(), 1);
        assert_eq!(stalls.look(Vec::new(), TELL), []);
        assert_eq!(stalls.look(vec![beat("w", 0)], TELL), []);
    }
}
