//! Ghost backlogs: tasks that the server still counts and that no worker will ever get, because they expired or were cancelled where
//! nobody reads them. They count for nothing, and one pod keeps asking for them, since only a poll shows that a task is no ghost.
//!
//! A queue's backlog is one when for five minutes none was added, none was dispatched, slots for it were free, and the age of the oldest
//! grew as the clock did. What is not known is none of these: a missing answer begins the five minutes anew. A verdict rests on the very
//! tasks that it was found for (their number, and since when the oldest waits), so it outlives a gap and a restart, and ends with the first
//! dispatch, arrival or fall.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::memory::Memory;
use crate::num::{elapsed, finite, seconds};
use crate::queues::{self, Queues, STILL};
use crate::workers::Workers;
use crate::{QueueSample, QueueStats, Sample, SlotKind};

/// Time for which nothing must happen [s].
const STUCK: f64 = 300.0;
/// The age is of the server's last reading, and the server reads every 5 s: what is less than two readings off is the same age [s].
const READINGS: f64 = 10.0;
/// Most verdicts that are kept: they are persisted.
pub(crate) const GHOSTS: usize = 8;

/// A ghost backlog: its queue (see [`queues::key`]), its tasks, and since when the oldest of them waits [Unix s].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ghost(pub(crate) u32, pub(crate) u64, pub(crate) i64);

/// A backlog beside free slots that nobody takes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stuck {
    /// Its queue.
    pub(crate) queue: u32,
    /// The first answer that said so, and the last one.
    pub(crate) since: Timestamp,
    pub(crate) at: Timestamp,
    /// Its tasks, and since when the oldest waits [Unix s], by the first answer.
    pub(crate) backlog: u64,
    pub(crate) oldest: f64,
}

/// Brings the verdicts up to `now`, and takes ghosts out of what waits. After the arrivals were counted: neither a backlog that becomes a
/// ghost nor one that is none any more has arrived or left.
pub(crate) fn advance(
    memory: &mut Memory,
    sample: &Sample,
    queues: &mut Queues,
    workers: &Workers,
    interval: SignedDuration,
    now: Timestamp,
) {
    let mut stuck = Vec::new();
    let mut ghosts = Vec::new();
    let mut others = [0.0; 4];
    let mut found: Option<(&QueueSample, u64, usize)> = None;
    for queue in &sample.queues {
        let key = queues::key(queue);
        let verdict = memory.ghosts.iter().find(|ghost| ghost.0 == key).copied();
        let Some(stats) = queues::answer(queue, interval, now) else {
            // Whether it is still there is to be seen when there is an answer.
            ghosts.extend(verdict);
            continue;
        };
        let k = SlotKind::from(queue.task_type).index();
        let free = workers.room[k] > workers.used[k];
        let before = memory.transient.stuck.iter().find(|stuck| stuck.queue == key);
        let next = watch(before, queue, stats, interval).filter(|_| free);
        let verdict = verdict.filter(|ghost| same(stats, queue.at, ghost.1, ghost.2 as f64));
        let verdict = verdict.or_else(|| {
            let ended = next.filter(|stuck| elapsed(stuck.at, stuck.since) >= STUCK)?;
            Some(Ghost(key, ended.backlog, ended.oldest as i64))
        });
        stuck.extend(next.filter(|_| verdict.is_none()));
        let Some(verdict) = verdict.filter(|_| ghosts.len() < GHOSTS) else {
            if stats.backlog > 0 {
                others[k] = f64::max(others[k], finite(stats.backlog_age_seconds));
            }
            continue;
        };
        queues.backlog[k] = (queues.backlog[k] - finite(stats.backlog as f64)).max(0.0);
        let (first, tasks, more) = found.unwrap_or((queue, 0, 0));
        found = Some((first, tasks.saturating_add(stats.backlog), more + 1));
        ghosts.push(verdict);
    }
    // Bounded like the sample: an entry per queue. A queue that is polled no more takes its verdict along.
    memory.transient.stuck = stuck;
    ghosts.truncate(GHOSTS);
    memory.ghosts = ghosts;
    if let Some((queue, tasks, queues_found)) = found {
        queues.age = others;
        queues.ghosts = Some(words(queue, tasks, queues_found));
    }
}

/// Nothing of this backlog has moved: it is `backlog` tasks of which the oldest waits since `oldest` [Unix s].
fn same(stats: &QueueStats, at: Timestamp, backlog: u64, oldest: f64) -> bool {
    let still = finite(stats.add_rate) < STILL && finite(stats.dispatch_rate) < STILL;
    still && !stats.rate_limited && stats.backlog == backlog && waits_since(stats, at) <= oldest + READINGS
}

/// Since when the oldest task waits [Unix s].
fn waits_since(stats: &QueueStats, at: Timestamp) -> f64 {
    at.as_second() as f64 - finite(stats.backlog_age_seconds)
}

/// The watch over a backlog after one more answer; `None` if something moves. A gap between two answers begins it anew.
fn watch(before: Option<&Stuck>, queue: &QueueSample, stats: &QueueStats, interval: SignedDuration) -> Option<Stuck> {
    let begun = Stuck {
        queue: queues::key(queue),
        since: queue.at,
        at: queue.at,
        backlog: stats.backlog,
        oldest: waits_since(stats, queue.at),
    };
    if stats.backlog == 0 || !same(stats, queue.at, begun.backlog, begun.oldest) {
        return None;
    }
    let unbroken = |before: &&Stuck| (0.0..=2.0 * seconds(interval)).contains(&elapsed(queue.at, before.at));
    let goes_on = |before: &&Stuck| same(stats, queue.at, before.backlog, before.oldest);
    Some(before.filter(unbroken).filter(goes_on).map_or(begun, |before| Stuck {
        at: queue.at,
        ..*before
    }))
}

/// The line for people.
fn words(queue: &QueueSample, tasks: u64, queues: usize) -> String {
    let others = if queues > 1 {
        format!(" and {} more queues", queues - 1)
    } else {
        String::new()
    };
    format!(
        "{tasks} tasks of queue {}/{}{others} count for nothing: none was added or dispatched for {:.0} min beside free slots, as if they had \
         expired; one pod keeps asking for them",
        queue.queue,
        queue.task_type,
        STUCK / 60.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Seen, TaskType};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).expect("in range")
    }

    /// 40 tasks that wait since the beginning, as the server says at `second`.
    fn stats(second: i64) -> QueueStats {
        QueueStats {
            backlog: 40,
            backlog_age_seconds: second as f64,
            ..QueueStats::default()
        }
    }

    fn sample(second: i64, queues: &[(&str, Option<QueueStats>)]) -> Sample {
        let queues = queues.iter().map(|(name, stats)| QueueSample {
            queue: (*name).to_owned(),
            task_type: TaskType::Activity,
            stats: stats.map_or_else(|| Seen::unknown("away"), Seen::Known),
            at: at(second),
        });
        Sample {
            replicas: 2,
            queues: queues.collect(),
            pods: Vec::new(),
            rolling: false,
            default_slots: std::collections::BTreeMap::new(),
        }
    }

    /// One answer; `used` of 8 slots are taken.
    fn look(memory: &mut Memory, second: i64, used: f64, queues: &[(&str, Option<QueueStats>)]) -> Queues {
        let interval = SignedDuration::from_secs(15);
        let sample = sample(second, queues);
        let workers = Workers {
            ready: 2,
            reporting: 2,
            used: [0.0, used, 0.0, 0.0],
            room: [0.0, 8.0, 0.0, 0.0],
            ..Workers::default()
        };
        let mut queues = queues::observe(&sample, interval, at(second));
        advance(memory, &sample, &mut queues, &workers, interval, at(second));
        queues
    }

    /// A memory after five minutes in which nothing moved, but for what `change` makes of the answer at second 150.
    fn after(change: impl Fn(&mut QueueStats)) -> bool {
        let mut memory = Memory::default();
        for second in (0..=300).step_by(15) {
            let mut stats = stats(second);
            if second == 150 {
                change(&mut stats);
            }
            look(&mut memory, second, 3.0, &[("q", Some(stats))]);
        }
        !memory.ghosts.is_empty()
    }

    #[test]
    fn five_minutes_without_a_move_make_a_ghost_and_any_move_prevents_it() {
        assert!(after(|_| {}));
        assert!(
            after(|stats| stats.backlog_age_seconds -= 5.0),
            "the server's cache is 5 s old"
        );
        assert!(after(|stats| stats.add_rate = 1e-4), "a mean that fades out");
        assert!(!after(|stats| stats.add_rate = 0.1));
        assert!(!after(|stats| stats.dispatch_rate = 0.1));
        assert!(!after(|stats| stats.backlog = 39));
        assert!(!after(|stats| stats.backlog = 41));
        assert!(!after(|stats| stats.rate_limited = true));
        assert!(
            !after(|stats| stats.backlog_age_seconds = 30.0),
            "the oldest is another"
        );
        assert!(!after(|stats| stats.backlog_age_seconds = f64::NAN));
    }

    #[test]
    fn slots_must_be_free_to_begin_with_and_not_to_go_on() {
        let mut memory = Memory::default();
        for second in (0..=600).step_by(15) {
            look(&mut memory, second, 8.0, &[("q", Some(stats(second)))]);
        }
        assert!(memory.ghosts.is_empty());
        for second in (615..=915).step_by(15) {
            look(&mut memory, second, 7.0, &[("q", Some(stats(second)))]);
        }
        assert_eq!(memory.ghosts.len(), 1);
        look(&mut memory, 930, 8.0, &[("q", Some(stats(930)))]);
        assert_eq!(memory.ghosts.len(), 1);
        assert!(memory.transient.stuck.is_empty());
    }

    #[test]
    fn a_gap_begins_the_five_minutes_anew_and_ends_no_verdict() {
        let mut memory = Memory::default();
        for second in (0..=285).step_by(15) {
            look(&mut memory, second, 0.0, &[("q", Some(stats(second)))]);
        }
        look(&mut memory, 290, 0.0, &[("q", None)]);
        look(&mut memory, 300, 0.0, &[("q", Some(stats(300)))]);
        assert!(memory.ghosts.is_empty());
        // Nobody asked for more than two intervals.
        look(&mut memory, 340, 0.0, &[("q", Some(stats(340)))]);
        for second in (355..=625).step_by(15) {
            look(&mut memory, second, 0.0, &[("q", Some(stats(second)))]);
            assert!(memory.ghosts.is_empty());
        }
        look(&mut memory, 640, 0.0, &[("q", Some(stats(640)))]);
        assert_eq!(memory.ghosts.len(), 1);
        let blind = look(&mut memory, 655, 0.0, &[("q", None)]);
        assert_eq!((memory.ghosts.len(), blind.ghosts), (1, None));
        let json = serde_json::to_string(&memory).expect("serialises");
        let mut memory: Memory = serde_json::from_str(&json).expect("reads back");
        let back = look(&mut memory, 2000, 0.0, &[("q", Some(stats(2000)))]);
        assert!(back.ghosts.is_some());
    }

    #[test]
    fn ghosts_are_left_out_of_what_waits_and_others_are_not() {
        let mut memory = Memory::default();
        let mut last = Queues::default();
        for second in (0..=300).step_by(15) {
            let busy = QueueStats {
                backlog: 7,
                backlog_age_seconds: 2.0,
                add_rate: 1.0,
                dispatch_rate: 1.0,
                rate_limited: false,
            };
            last = look(
                &mut memory,
                second,
                3.0,
                &[("q", Some(stats(second))), ("r", Some(busy))],
            );
        }
        assert_eq!((last.waiting(), last.oldest_task()), (7.0, 2.0));
        assert!(
            last.ghosts
                .is_some_and(|words| words.starts_with("40 tasks of queue q/Activity count"))
        );
        let gone = look(&mut memory, 315, 3.0, &[("r", None)]);
        assert_eq!(
            (memory.ghosts.len(), gone.ghosts),
            (0, None),
            "the queue is polled no more"
        );
    }

    #[test]
    fn more_verdicts_than_are_kept_count_as_demand() {
        let names: Vec<String> = (0..12).map(|number| format!("q{number}")).collect();
        let mut memory = Memory::default();
        let mut last = Queues::default();
        for second in (0..=600).step_by(15) {
            let queues: Vec<_> = names.iter().map(|name| (name.as_str(), Some(stats(second)))).collect();
            last = look(&mut memory, second, 3.0, &queues);
        }
        assert_eq!((memory.ghosts.len(), last.waiting()), (GHOSTS, 160.0));
        assert!(
            last.ghosts
                .is_some_and(|words| words.contains("320 tasks of queue q0/Activity and 7 more queues"))
        );
    }
}
