//! Running tasks and service times of images without a report: a book is kept from what the server alone says. Dispatched tasks are
//! entered, ended ones are taken off at the learned service time; when tasks wait, all slots are busy, and the book is put right.

use crate::memory::{Book, Memory};
use crate::num::{elapsed, finite, ratio};
use crate::queues::Queues;
use crate::workers::Workers;
use crate::{PodPhase, Policy, Sample};
use jiff::Timestamp;

/// The server's rates are means over so long [s].
const MEAN: f64 = 30.0;
/// A task that waits longer does so because no slot is free [s].
const WAITS: f64 = 1.0;
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
            ..Book::default()
        });
        book.live(queues.dispatched[k], service, seconds.clamp(0.0, 600.0));
        // Full slots show how many tasks run; and never do more of them run than there are slots.
        if (full && settled) || book.running > room {
            book.correct(room - book.running);
            let outside = &mut memory.kinds[k].outside;
            outside.busy = finite(outside.busy + book.busy);
            outside.ended = finite(outside.ended + book.ended);
            let keep = ratio(TASKS, outside.ended).min(1.0);
            outside.busy *= keep;
            outside.ended *= keep;
            (book.busy, book.ended, book.seconds) = (0.0, 0.0, 0.0);
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
        let before = self.running;
        self.running = before * left + rate * service * (1.0 - left);
        let ended = (before + rate * seconds - self.running).max(0.0);
        self.ended += ended;
        self.busy += ended * service;
        self.seconds += seconds;
    }

    /// `more` tasks run than the book says: so many less have ended, evenly over the time since it was right.
    fn correct(&mut self, more: f64) {
        self.running += more;
        self.ended = (self.ended - more).max(0.0);
        self.busy = (self.busy + more * self.seconds / 2.0).max(0.0);
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

    #[test]
    fn full_slots_show_that_less_has_ended_than_the_book_says() {
        let mut book = Book {
            running: 40.0,
            ..Book::default()
        };
        // Nothing is dispatched for ten minutes, and all 40 slots are still busy: not one task has ended.
        for _ in 0..40 {
            book.live(0.0, 60.0, 15.0);
        }
        assert!(book.running < 1.0);
        book.correct(40.0 - book.running);
        assert!(close(book.running, 40.0));
        assert!(close(book.ended, 0.0));
        assert!(book.busy > 40.0 * 300.0);
    }
}
