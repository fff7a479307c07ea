//! What the server says about the queues, summed per slot kind, and from what age on it counts as unknown.

use jiff::{SignedDuration, Timestamp};

use crate::baselines::hash;
use crate::num::{PerKind, elapsed, finite, seconds};
use crate::{QueueSample, QueueStats, Sample, SlotKind};

/// Rates below this are rounding errors of a decaying mean [tasks/s].
pub(crate) const STILL: f64 = 1e-3;

/// The queues of this moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queues {
    /// First reason why a queue is unknown; `None` if all are known.
    pub(crate) gap: Option<String>,
    /// All are known and at most two intervals old.
    pub(crate) recent: bool,
    /// Time of the oldest answer.
    pub(crate) oldest: Timestamp,
    /// Waiting tasks, of the known queues.
    pub(crate) backlog: PerKind,
    /// Age of the oldest waiting task [s].
    pub(crate) age: PerKind,
    /// Tasks added per second.
    pub(crate) added: PerKind,
    /// Tasks dispatched per second.
    pub(crate) dispatched: PerKind,
    /// A rate limit holds tasks of this kind back.
    pub(crate) limited: [bool; 4],
    /// Kinds that have a queue.
    pub(crate) present: [bool; 4],
    /// Tasks that count for nothing, in words (see `ghost`): they are out of `backlog` and `age`.
    pub(crate) ghosts: Option<String>,
    /// A backlog that fell and is not to be believed yet, in words (see `fall`).
    pub(crate) fall: Option<String>,
}

/// What the server says about a queue, if it is known and recent enough to count.
pub(crate) fn answer(queue: &QueueSample, interval: SignedDuration, now: Timestamp) -> Option<&QueueStats> {
    let recent = elapsed(now, queue.at) <= 3.0 * seconds(interval);
    queue.stats.known().filter(|_| recent)
}

/// A number for a queue, the same in every process.
pub(crate) fn key(queue: &QueueSample) -> u32 {
    let name = hash(&queue.queue);
    let folded = (name ^ (name >> 32)) as u32;
    folded.wrapping_add(SlotKind::from(queue.task_type).index() as u32)
}

impl Queues {
    /// Waiting tasks of all kinds.
    pub(crate) fn waiting(&self) -> f64 {
        self.backlog.iter().sum()
    }

    /// No task waits and none arrives, as far as is known.
    pub(crate) fn still(&self) -> bool {
        self.waiting() <= 0.0 && self.added.iter().sum::<f64>() < STILL
    }

    /// Age of the oldest waiting task of all kinds [s].
    pub(crate) fn oldest_task(&self) -> f64 {
        self.age.iter().copied().fold(0.0, f64::max)
    }
}

/// Reads the queues of the sample; `interval` is the time between samples.
pub(crate) fn observe(sample: &Sample, interval: SignedDuration, now: Timestamp) -> Queues {
    let mut queues = Queues {
        gap: sample.queues.is_empty().then(|| "no queue was sampled".to_owned()),
        recent: true,
        oldest: now,
        backlog: [0.0; 4],
        age: [0.0; 4],
        added: [0.0; 4],
        dispatched: [0.0; 4],
        limited: [false; 4],
        present: [false; 4],
        ghosts: None,
        fall: None,
    };
    for queue in &sample.queues {
        let k = SlotKind::from(queue.task_type).index();
        queues.present[k] = true;
        let age = elapsed(now, queue.at);
        let Some(stats) = answer(queue, interval, now) else {
            if queues.gap.is_none() {
                let reason = queue
                    .stats
                    .reason()
                    .map_or_else(|| format!("its statistics are {age:.0} s old"), str::to_owned);
                queues.gap = Some(format!("queue {}/{}: {reason}", queue.queue, queue.task_type));
            }
            continue;
        };
        queues.recent &= age <= 2.0 * seconds(interval);
        queues.oldest = queues.oldest.min(queue.at);
        queues.backlog[k] += finite(stats.backlog as f64);
        if stats.backlog > 0 {
            queues.age[k] = queues.age[k].max(finite(stats.backlog_age_seconds));
        }
        queues.added[k] += finite(stats.add_rate);
        queues.dispatched[k] += finite(stats.dispatch_rate);
        queues.limited[k] |= stats.rate_limited && stats.backlog > 0;
    }
    queues.recent &= queues.gap.is_none();
    queues
}
