//! Work that waits for something behind the workers: more pods take more tasks and finish no more of them. It shows in the
//! completions after a scale-out of full workers, and only there.

use jiff::Timestamp;

use crate::Limited;
use crate::memory::{Attempt, Memory};
use crate::num::{elapsed, ratio};
use crate::queues::Queues;
use crate::workers::{PodStart, Workers};

/// Slots from which workers are full.
const FULL: f64 = 0.95;
/// Time for the smoothed rate of completions to show what new pods do [s].
const SETTLE: f64 = 120.0;
/// Share of the expected gain below which a scale-out did not help.
const HELPED: f64 = 0.2;
/// Scale-outs in a row that did not help.
const FAILURES: u32 = 2;
/// Shortest time without a further attempt [s].
const PAUSE: f64 = 300.0;

/// A kind whose slots are full while its tasks wait.
fn saturated(queues: &Queues, workers: &Workers) -> Option<usize> {
    (0..4).find(|k| queues.backlog[*k] > 0.0 && workers.room[*k] > 0.0 && workers.used[*k] >= FULL * workers.room[*k])
}

/// Judges the last scale-out. The reason why another would not help, if the last ones did not.
pub(crate) fn diagnose(
    memory: &mut Memory,
    queues: &Queues,
    workers: &Workers,
    start: PodStart,
    now: Timestamp,
) -> Option<(Limited, String)> {
    let pause = PAUSE.max(4.0 * start.slow) as i64;
    if let Some(attempt) = memory.transient.attempt {
        let settled = elapsed(now, attempt.at).min((now.as_second() - memory.newest_start) as f64);
        let Some(kind) = saturated(queues, workers) else {
            // Something helped.
            memory.transient.attempt = None;
            memory.transient.failed_attempts = 0;
            return None;
        };
        if settled >= SETTLE && workers.starting.is_empty() {
            memory.transient.attempt = None;
            let more = ratio(f64::from(workers.ready), f64::from(attempt.ready)) - 1.0;
            let expected = attempt.rate * more;
            let gained = memory.transient.completion_rate[kind] - attempt.rate;
            // Without a new pod nothing was tried.
            if more > 0.0 && kind == attempt.kind {
                if gained < HELPED * expected {
                    memory.transient.failed_attempts += 1;
                } else {
                    memory.transient.failed_attempts = 0;
                }
                if memory.transient.failed_attempts >= FAILURES {
                    memory.no_attempt_before = now.as_second().saturating_add(pause);
                }
            }
        }
    }
    // Never longer than from now on, whatever the clock was when it was found.
    memory.no_attempt_before = memory.no_attempt_before.min(now.as_second().saturating_add(pause));
    let left = memory.no_attempt_before - now.as_second();
    (0 < left).then(|| {
        let text = format!(
            "the last scale-outs of full pods raised completions by less than {:.0} % of their share: something behind the \
             workers is full, next attempt in {left} s",
            100.0 * HELPED
        );
        (Limited::DownstreamBound, text)
    })
}

/// After failures an attempt adds half of what is asked for.
pub(crate) fn careful(memory: &Memory) -> bool {
    memory.transient.failed_attempts >= FAILURES
}

/// Remembers a scale-out of full workers, to be judged.
pub(crate) fn note(memory: &mut Memory, queues: &Queues, workers: &Workers, now: Timestamp) {
    if memory.transient.attempt.is_some() || workers.ready == 0 {
        return;
    }
    memory.transient.attempt = saturated(queues, workers).map(|kind| Attempt {
        at: now,
        kind,
        ready: workers.ready,
        rate: memory.transient.completion_rate[kind],
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: PodStart = PodStart {
        median: 20.0,
        slow: 30.0,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).expect("in range")
    }

    fn full(ready: u32) -> Workers {
        let slots = f64::from(ready) * 10.0;
        Workers {
            ready,
            reporting: ready,
            used: [0.0, slots, 0.0, 0.0],
            room: [0.0, slots, 0.0, 0.0],
            ..Workers::default()
        }
    }

    fn waiting(tasks: f64) -> Queues {
        Queues {
            backlog: [0.0, tasks, 0.0, 0.0],
            ..Queues::default()
        }
    }

    /// Scale-outs from 4 by 4 pods each 200 s; `rate` is what so many pods complete per second.
    fn after(scale_outs: i64, rate: impl Fn(u32) -> f64) -> (Memory, Option<(Limited, String)>) {
        let mut memory = Memory::default();
        let mut ready = 4;
        let mut verdict = None;
        for second in 0..=200 * scale_outs {
            memory.transient.completion_rate[1] = rate(ready);
            verdict = diagnose(&mut memory, &waiting(100.0), &full(ready), START, at(second));
            if second % 200 == 0 && verdict.is_none() && second < 200 * scale_outs {
                note(&mut memory, &waiting(100.0), &full(ready), at(second));
                ready += 4;
                memory.newest_start = at(second).as_second() + 20;
            }
        }
        (memory, verdict)
    }

    #[test]
    fn two_scale_outs_that_do_not_help_end_the_attempts_for_a_while() {
        let (mut memory, verdict) = after(2, |_| 40.0);
        assert_eq!(verdict.map(|(reason, _)| reason), Some(Limited::DownstreamBound));
        assert!(careful(&memory));
        let later = diagnose(&mut memory, &waiting(100.0), &full(12), START, at(400 + 301));
        assert_eq!(later, None, "then another attempt, a careful one");
        assert!(careful(&memory));
    }

    #[test]
    fn a_clock_that_was_ahead_lengthens_no_pause() {
        let (mut memory, _) = after(2, |_| 40.0);
        let back = |second: i64| at(second - 3 * 3600);
        memory.rewind(back(400));
        for (second, bound) in [(400, true), (699, true), (700, false)] {
            let verdict = diagnose(&mut memory, &waiting(100.0), &full(12), START, back(second));
            assert_eq!(verdict.is_some(), bound, "{second}");
        }
    }

    #[test]
    fn one_that_does_not_help_is_chance() {
        assert_eq!(after(1, |_| 40.0).1, None);
    }

    #[test]
    fn scale_outs_that_help_go_on() {
        let (memory, verdict) = after(5, |pods| 10.0 * f64::from(pods));
        assert_eq!(verdict, None);
        assert!(!careful(&memory));
    }

    #[test]
    fn a_pile_that_is_gone_forgets_the_failures() {
        let (mut memory, _) = after(2, |_| 40.0);
        note(&mut memory, &waiting(100.0), &full(12), at(800));
        assert_eq!(diagnose(&mut memory, &waiting(0.0), &full(12), START, at(801)), None);
        assert!(!careful(&memory));
    }
}
