//! A backlog that falls without being worked off: the server unloaded the queue, or moved a partition to a host that does not know yet
//! what waits. It may be true and it may be an artefact, so no scale-in rests on it until two more answers say the same.
//!
//! Nothing else is to be asked for that: the `DescribeTaskQueue` with `report_stats` that every answer comes from loads a queue that was
//! unloaded and keeps it alive, so the first answer after an unload may read 0 and the next one knows.

use jiff::{SignedDuration, Timestamp};

use crate::memory::Memory;
use crate::num::{elapsed, finite};
use crate::queues::{self, Queues};
use crate::workers::Workers;
use crate::{QueueSample, QueueStats, Sample, SlotKind};

/// Share of a backlog that remains where a fall is a sudden one.
const REMAINS: f64 = 0.5;
/// Share of a fall that dispatches have to account for: rates are means, and counters are of another instant than the backlog.
const MATCHED: f64 = 0.5;
/// The server's rates are means over so long [s].
const MEAN: f64 = 30.0;
/// Share of Ready pods that must report for their counters to tell what was dispatched.
const COUNTED: f64 = 0.95;
/// Further answers that confirm a fall.
const ANSWERS: u32 = 2;

/// What the last answer said of a queue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Level {
    /// The queue (see [`queues::key`]), and when the server said so.
    pub(crate) queue: u32,
    pub(crate) at: Timestamp,
    /// Waiting tasks.
    pub(crate) backlog: u64,
    /// Tasks of its kind that workers had started by then.
    pub(crate) started: f64,
    /// A fall that is not confirmed yet.
    pub(crate) doubt: Option<Doubt>,
}

/// A fall that is not confirmed yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Doubt {
    /// Waiting tasks before.
    pub(crate) from: u64,
    /// Answers since then that said the same.
    pub(crate) answers: u32,
}

/// Compares the answers with those before, and says which fall is in doubt. Forgotten at a restart, which begins the window of scale-in
/// anew anyway.
pub(crate) fn advance(
    memory: &mut Memory,
    sample: &Sample,
    queues: &mut Queues,
    workers: &Workers,
    interval: SignedDuration,
    now: Timestamp,
) {
    // Bounded like the sample: an entry per queue.
    let mut levels = Vec::with_capacity(sample.queues.len());
    for queue in &sample.queues {
        let key = queues::key(queue);
        let before = memory.transient.levels.iter().find(|level| level.queue == key).copied();
        let k = SlotKind::from(queue.task_type).index();
        let Some(stats) = queues::answer(queue, interval, now) else {
            // No answer confirms nothing.
            levels.extend(before);
            continue;
        };
        let level = match before {
            Some(before) if queue.at <= before.at => before,
            before => {
                let started = memory.transient.flow[k];
                let doubt = before.and_then(|before| {
                    let counted = if workers.coverage() >= COUNTED {
                        started - before.started
                    } else {
                        0.0
                    };
                    before.doubt(stats, elapsed(queue.at, before.at), counted)
                });
                Level {
                    queue: key,
                    at: queue.at,
                    backlog: stats.backlog,
                    started,
                    doubt,
                }
            }
        };
        if let (Some(doubt), None) = (level.doubt, &queues.fall) {
            queues.fall = Some(words(queue, doubt, level.backlog));
        }
        levels.push(level);
    }
    memory.transient.levels = levels;
}

impl Level {
    /// What is in doubt after the next answer, `seconds` later, in which workers started `started` tasks, as far as that is known.
    fn doubt(&self, stats: &QueueStats, seconds: f64, started: f64) -> Option<Doubt> {
        let remains = |of: u64| stats.backlog as f64 >= REMAINS * of as f64;
        let fall = finite(self.backlog.saturating_sub(stats.backlog) as f64);
        // Of the rates, tasks that were added meanwhile are not taken off: they may have come before the fall. A queue that was unloaded
        // begins its rates anew, so those of before do not hide that. Of a longer time the rates know the end only.
        let by_server = finite(stats.dispatch_rate) * seconds.max(MEAN);
        let by_workers = if seconds > MEAN { finite(started) } else { 0.0 };
        if !remains(self.backlog) && by_server.max(by_workers) < MATCHED * fall {
            let from = self.doubt.map_or(self.backlog, |doubt| doubt.from.max(self.backlog));
            return Some(Doubt { from, answers: 0 });
        }
        let Doubt { from, answers } = self.doubt?;
        (!remains(from) && answers + 1 < ANSWERS).then_some(Doubt {
            from,
            answers: answers + 1,
        })
    }
}

/// The line for people.
fn words(queue: &QueueSample, doubt: Doubt, backlog: u64) -> String {
    format!(
        "the backlog of queue {}/{} fell from {} to {backlog} without so many dispatches (answers still to confirm it: {})",
        queue.queue,
        queue.task_type,
        doubt.from,
        ANSWERS - doubt.answers
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(backlog: u64, doubt: Option<Doubt>) -> Level {
        Level {
            queue: 1,
            at: Timestamp::UNIX_EPOCH,
            backlog,
            started: 0.0,
            doubt,
        }
    }

    fn stats(backlog: u64, dispatch_rate: f64) -> QueueStats {
        QueueStats {
            backlog,
            dispatch_rate,
            ..QueueStats::default()
        }
    }

    /// Whether a fall from 1000 within so many seconds is in doubt.
    fn doubted(to: u64, dispatch: f64, seconds: f64, started: f64) -> bool {
        level(1000, None)
            .doubt(&stats(to, dispatch), seconds, started)
            .is_some()
    }

    #[test]
    fn more_than_half_without_a_matching_dispatch_is_in_doubt() {
        assert!(doubted(0, 0.0, 5.0, 0.0));
        assert!(doubted(499, 0.0, 5.0, 0.0));
        assert!(!doubted(500, 0.0, 5.0, 0.0));
        assert!(!doubted(2000, 0.0, 5.0, 0.0));
        assert!(!doubted(0, 17.0, 5.0, 0.0), "17/s over 30 s");
        assert!(doubted(0, 16.0, 5.0, 0.0));
        assert!(!doubted(0, 5.0, 100.0, 0.0), "5/s over 100 s");
        assert!(doubted(0, 0.0, 30.0, 1000.0), "the rates know better");
        assert!(!doubted(0, 0.0, 31.0, 500.0), "the workers started them");
        assert!(doubted(0, 0.0, 31.0, 499.0));
        assert!(doubted(0, f64::NAN, 5.0, 0.0));
        assert_eq!(level(1, None).doubt(&stats(0, 1.0 / 30.0), 15.0, 0.0), None);
    }

    #[test]
    fn two_more_answers_confirm_and_a_recovery_ends_it() {
        let first = level(1000, None).doubt(&stats(0, 0.0), 5.0, 0.0);
        let from = 1000;
        assert_eq!(first, Some(Doubt { from, answers: 0 }));
        let second = level(0, first).doubt(&stats(0, 0.0), 5.0, 0.0);
        assert_eq!(second, Some(Doubt { from, answers: 1 }));
        assert_eq!(level(0, second).doubt(&stats(0, 0.0), 5.0, 0.0), None);
        assert_eq!(level(0, first).doubt(&stats(500, 0.0), 5.0, 0.0), None, "it is back");
        let deeper = level(400, second).doubt(&stats(100, 0.0), 5.0, 0.0);
        assert_eq!(deeper, Some(Doubt { from, answers: 0 }), "another fall begins anew");
    }
}
