//! Running tasks and service times of images without a report: a book is kept from what the server alone says. Dispatched tasks are
//! entered, ended ones are taken off at the learned service time; when tasks wait, all slots are busy, and the book is put right. What
//! it says of service times rests on what ended between two such moments.

use crate::memory::{Book, Memory};
use crate::num::{elapsed, finite};
use crate::queues::Queues;
use crate::workers::Workers;
use crate::{PodPhase, Policy, Sample};
use jiff::Timestamp;

/// The server's rates are means over so long [s].
const MEAN: f64 = 30.0;
/// A task that waits longer does so because no slot is free [s].
const WAITS: f64 = 1.0;
/// Steps in which the service time is sought that explains a difference.
const GUESSES: u32 = 12;
/// Most ended tasks that the service time is remembered from.
const TASKS: f64 = 50.0;

/// Brings the books up to `now`; `slots` are those of a pod per kind.
pub(crate) fn advance(
    policy: &Policy,
    memory: &mut Memory,
    sample: &Sample,
    queues: &Queues,
    workers: &Workers,
    slots: &[f64; 4],
    now: Timestamp,
) {
    if memory.reports || workers.ready == 0 || queues.gap.is_some() {
        return;
    }
    let seconds = memory.transient.last.map_or(0.0, |last| elapsed(now, last));
    let settled = settled(sample, now);
    for (k, slots) in slots.iter().enumerate() {
        if !queues.present[k] {
            continue;
        }
        let service = service(policy, memory, k);
        let room = slots * f64::from(workers.ready);
        let full = queues.backlog[k] > 0.0 && queues.age[k] > WAITS && !queues.limited[k];
        // What nobody saw is taken for busy.
        let book = memory.transient.books[k].get_or_insert(Book {
            running: room,
            unseen: room,
            ..Book::default()
        });
        book.live(queues.dispatched[k], service, seconds.clamp(0.0, 600.0));
        // Full slots show how many tasks run; and never do more of them run than there are slots.
        let surplus = (book.running - room).clamp(0.0, book.unseen);
        book.running -= surplus;
        book.unseen -= surplus;
        if (full && settled) || book.running > room {
            book.correct(room);
            let outside = &mut memory.kinds[k].outside;
            outside.busy = finite(outside.busy + book.busy);
            outside.ended = finite(outside.ended + book.ended);
            let keep = TASKS / outside.ended.max(TASKS);
            outside.busy *= keep;
            outside.ended *= keep;
            *book = Book {
                running: room,
                standing: room,
                ..Book::default()
            };
        }
    }
}

/// No pod became Ready so lately that its slots may be free while older tasks wait.
fn settled(sample: &Sample, now: Timestamp) -> bool {
    sample
        .pods
        .iter()
        .filter(|pod| pod.phase == PodPhase::Ready)
        .all(|pod| pod.ready.is_some_and(|ready| elapsed(now, ready) >= MEAN))
}

/// Mean service time by the book [s]; the prior weighs as much as one task.
pub(crate) fn service(policy: &Policy, memory: &Memory, k: usize) -> f64 {
    let outside = memory.kinds[k].outside;
    let prior = finite(policy.prior.service_seconds).clamp(1e-3, 86_400.0);
    ((prior + finite(outside.busy)) / (1.0 + finite(outside.ended))).clamp(1e-3, 30.0 * 86_400.0)
}

impl Book {
    /// Lets `seconds` pass: tasks come at a rate and take `service` seconds in the mean.
    fn live(&mut self, rate: f64, service: f64, seconds: f64) {
        let left = libm::exp(-seconds / service);
        let before = self.running - self.unseen;
        self.unseen *= left;
        let after = before * left + rate * service * (1.0 - left);
        self.running = self.unseen + after;
        // How long tasks run that nobody saw begin, or whether there were any, tells nothing of service times.
        let ended = (before + rate * seconds - after).max(0.0);
        self.ended += ended;
        self.busy += ended * service;
        self.seconds += seconds;
        self.most += (self.standing + rate * seconds / 2.0) * seconds;
        self.standing += rate * seconds;
    }

    /// So many tasks run as there is `room` for: what the book says beside that has ended more, or less, since it was right.
    fn correct(&mut self, room: f64) {
        // Of those that nobody saw as few are taken to have been there as can be.
        let more = room - (self.running - self.unseen);
        self.running = room;
        self.unseen = 0.0;
        self.ended = (self.ended - more).max(0.0);
        // A burst that has just been dispatched has not run for long, whatever else is unknown.
        self.busy = (self.busy + more * self.gap_seconds(more)).clamp(0.0, self.most);
    }

    /// How much further than usual the running tasks may be from what is expected (≥ 1). Usually they spread like a Poisson count, by
    /// `U`; chance spreads the ends that nobody sees by up to `U / 2` more, the longer the book was not put right.
    pub(crate) fn spread(&self, service: f64) -> f64 {
        libm::sqrt(1.0 + 0.5 * (1.0 - libm::exp(-2.0 * self.seconds / service)))
    }

    /// For how long a task that is missing in the book has been so, in the mean [s]. A wrong service time drives book and truth
    /// apart only for about as long as a task takes: what was missed before that has ended since. Both are unknown together.
    fn gap_seconds(&self, more: f64) -> f64 {
        let explained_by = |gap: f64| (self.busy + more * gap).max(0.0) / self.ended.max(1e-3);
        let evenly = self.seconds / 2.0;
        let mut gap = evenly;
        for _ in 0..GUESSES {
            let spans = (self.seconds / explained_by(gap).max(1e-3)).clamp(1e-3, 1e3);
            let next = self.seconds * (1.0 / (1.0 - libm::exp(-spans)) - 1.0 / spans);
            gap = f64::midpoint(gap, next);
        }
        // Where tasks take less than the rates' own mean, a rate that changes looks like another service time.
        if explained_by(gap) < MEAN { evenly } else { gap }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 0.01 * b.abs().max(1.0)
    }

    #[test]
    fn a_steady_flow_keeps_rate_times_service_time_busy() {
        for service in [0.1, 5.0, 600.0] {
            let mut book = Book {
                running: 100.0,
                ..Book::default()
            };
            for _ in 0..1000 {
                book.live(2.0, service, 15.0);
            }
            assert!(close(book.running, 2.0 * service), "{} tasks", book.running);
            assert!(close(book.busy / book.ended, service));
        }
    }

    /// A book that was right `minutes` ago, with 40 running tasks, and 1.5 tasks/s since then.
    fn lived(minutes: u32, rate: f64, service: f64) -> Book {
        let mut book = Book {
            running: 40.0,
            standing: 40.0,
            ..Book::default()
        };
        for _ in 0..4 * minutes {
            book.live(rate, service, 15.0);
        }
        book
    }

    #[test]
    fn full_slots_show_that_less_has_ended_than_the_book_says() {
        // Nothing is dispatched for ten minutes, and all 40 slots are still busy: not one task has ended.
        let mut book = lived(10, 0.0, 60.0);
        assert!(book.running < 1.0);
        book.correct(40.0);
        assert!(close(book.running, 40.0));
        assert!(close(book.ended, 0.0));
        assert!(book.busy > 40.0 * 300.0);
    }

    #[test]
    fn a_wrong_service_time_is_put_right_at_once() {
        for minutes in [2, 10, 60] {
            // 90 of 1.5/s run: a task takes a minute, whatever was thought.
            let mut book = lived(minutes, 1.5, 5.0);
            book.correct(90.0);
            let service = book.busy / book.ended;
            assert!((40.0..=75.0).contains(&service), "{service} s after {minutes} minutes");
        }
    }

    #[test]
    fn tasks_that_nobody_saw_begin_teach_nothing() {
        let mut book = Book {
            running: 8.0,
            unseen: 8.0,
            ..Book::default()
        };
        for _ in 0..160 {
            book.live(0.002, 5.0, 15.0);
        }
        assert!(close(book.ended, 4.8), "{} of those that came", book.ended);
        book.correct(4.0);
        assert!(close(book.ended, 0.8), "{}", book.ended);
    }

    #[test]
    fn a_burst_after_a_pause_is_not_taken_for_tasks_that_ran_all_the_time() {
        let mut book = lived(30, 0.0, 5.0);
        (book.standing, book.most) = (0.0, 0.0);
        book.live(0.3, 5.0, 15.0);
        book.correct(10.0);
        assert!(book.busy <= 0.3 * 15.0 * 15.0, "{} slot-seconds", book.busy);
    }

    #[test]
    fn a_book_is_less_sure_the_longer_it_was_not_put_right() {
        let spread = |seconds| {
            Book {
                seconds,
                ..Book::default()
            }
            .spread(60.0)
        };
        assert!(close(spread(0.0), 1.0) && close(spread(6000.0), 1.225));
        assert!(spread(15.0) < spread(60.0));
    }
}
