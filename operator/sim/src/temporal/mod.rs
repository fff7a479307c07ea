//! The Temporal server: one `TaskQueue` per queue of the fleet. Tasks wait here, and what the server tells about them is told
//! here with its lags: a cache of 5 s, rates over 30 s, and silence after a queue was unloaded.

mod limit;
mod tracker;

use std::collections::VecDeque;

use crate::clock::At;
use crate::scaler::Queue;
use limit::RateLimit;
use tracker::Tracker;

/// The server caches the statistics of a queue this long [s].
const CACHE: f64 = 5.0;
/// A queue without polls, tasks and questions is unloaded after this time [s].
const UNLOAD: f64 = 300.0;

/// A task that waits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Waiting {
    /// Index of the task among those of the run.
    pub(crate) task: u32,
    /// When this attempt was scheduled.
    pub(crate) scheduled: At,
}

/// What came of the wish to hand out a task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Match {
    /// This one.
    Task(Waiting),
    /// Nothing waits.
    Empty,
    /// The queue's rate limit allows the next one at this moment.
    Limited(At),
}

/// One queue of one type.
#[derive(Clone, Debug)]
pub(crate) struct TaskQueue {
    /// First in, first out, each; together only roughly so.
    partitions: Vec<VecDeque<Waiting>>,
    turn: usize,
    backlog: u64,
    added: Tracker,
    dispatched: Tracker,
    limit: Option<RateLimit>,
    /// Last poll, task or question.
    alive: At,
    cache: Option<(At, Queue)>,
    /// Answers of the past, for those who see them late.
    history: VecDeque<(At, Queue)>,
}

impl TaskQueue {
    /// An empty queue. `rate_limit` in tasks per second.
    pub(crate) fn new(partitions: usize, rate_limit: Option<f64>) -> Self {
        Self {
            partitions: vec![VecDeque::new(); partitions.max(1)],
            turn: 0,
            backlog: 0,
            added: Tracker::new(At::START),
            dispatched: Tracker::new(At::START),
            limit: rate_limit.map(RateLimit::new),
            alive: At::START,
            cache: None,
            history: VecDeque::new(),
        }
    }

    /// Tasks that wait, as they truly are.
    pub(crate) fn backlog(&self) -> u64 {
        self.backlog
    }

    /// Age of the oldest waiting task, as it truly is [s].
    pub(crate) fn age(&self, now: At) -> f64 {
        let heads = self.partitions.iter().filter_map(VecDeque::front);
        heads.map(|waiting| now.since(waiting.scheduled)).fold(0.0, f64::max)
    }

    /// All tasks that wait.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Waiting> {
        self.partitions.iter().flatten()
    }

    /// A task arrives; `polled` says that workers poll the queue.
    pub(crate) fn add(&mut self, waiting: Waiting, partition: usize, polled: bool, now: At) {
        self.wake(now, polled);
        let count = self.partitions.len();
        if let Some(queue) = self.partitions.get_mut(partition % count) {
            queue.push_back(waiting);
            self.backlog += 1;
            self.added.count(now);
        }
    }

    /// A poll asks for a task; partitions take turns.
    pub(crate) fn take(&mut self, now: At) -> Match {
        if self.backlog == 0 {
            return Match::Empty;
        }
        if let Some(limit) = &mut self.limit
            && let Err(later) = limit.take(now)
        {
            return Match::Limited(later);
        }
        let count = self.partitions.len();
        for _ in 0..count {
            self.turn = (self.turn + 1) % count;
            if let Some(waiting) = self.partitions.get_mut(self.turn).and_then(VecDeque::pop_front) {
                self.backlog -= 1;
                self.dispatched.count(now);
                return Match::Task(waiting);
            }
        }
        Match::Empty
    }

    /// Somebody polls (`polled`), adds or asks. Returns whether the queue had been unloaded.
    fn wake(&mut self, now: At, polled: bool) -> bool {
        let unloaded = !polled && now.since(self.alive) > UNLOAD;
        if unloaded {
            self.added = Tracker::new(now);
            self.dispatched = Tracker::new(now);
            self.cache = None;
        }
        self.alive = now;
        unloaded
    }

    /// What the server answers; `polled` says that workers poll the queue. `late` is the age that the network and caches on the
    /// way add [s].
    pub(crate) fn describe(&mut self, now: At, polled: bool, late: f64) -> Queue {
        let fresh = self.answer(now, polled);
        if late <= 0.0 {
            return fresh;
        }
        let made = now.after(-fresh.stale_seconds);
        if self.history.back().is_none_or(|(at, _)| *at < made) {
            self.history.push_back((made, fresh));
        }
        while self.history.get(1).is_some_and(|(at, _)| now.since(*at) >= late) {
            self.history.pop_front();
        }
        match self.history.front() {
            Some((at, old)) => Queue {
                stale_seconds: now.since(*at).max(late),
                ..*old
            },
            None => fresh,
        }
    }

    fn answer(&mut self, now: At, polled: bool) -> Queue {
        let unloaded = self.wake(now, polled);
        if let Some((at, cached)) = self.cache
            && now.since(at) < CACHE
        {
            return Queue {
                stale_seconds: now.since(at),
                ..cached
            };
        }
        let answer = if unloaded {
            // Nothing is in memory yet: the question loads it, the next answer knows.
            Queue {
                backlog: 0,
                age_seconds: 0.0,
                add_rate: 0.0,
                dispatch_rate: 0.0,
                rate_limited: false,
                stale_seconds: 0.0,
            }
        } else {
            Queue {
                backlog: self.backlog,
                age_seconds: self.age(now),
                add_rate: self.added.rate(now),
                dispatch_rate: self.dispatched.rate(now),
                rate_limited: self.backlog > 0 && self.limit.as_ref().is_some_and(|limit| limit.exhausted(now)),
                stale_seconds: 0.0,
            }
        };
        self.cache = Some((now, answer));
        answer
    }
}

#[cfg(test)]
mod tests;
