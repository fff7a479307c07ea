//! Arrivals: how many tasks per second come in, how that changes, and how bursty it is.
//!
//! Tasks are conserved: what arrived is the growth of the backlog plus the tasks that workers started. That counts eager and
//! sticky tasks, which the server's own rates miss. Where too few pods report, the server's rate serves, scaled by what was
//! learned while they did.

use jiff::Timestamp;

use crate::memory::{ArrivalBaseline, Arrivals, Memory};
use crate::num::{PerKind, elapsed, finite, ratio};
use crate::queues::Queues;
use crate::workers::Workers;

/// Share of Ready pods that must report for tasks to be counted by the workers.
const COUNTED: f64 = 0.95;
/// Longest and shortest time over which a rate is averaged [s].
const LONGEST: f64 = 120.0;
const SHORTEST: f64 = 15.0;
/// Tasks that a rate rests on, where they come within that time: known to some 2 %.
const COUNT: f64 = 3000.0;
/// Time in which a change of the rate is looked for [s].
const LOOK: f64 = 10.0;
/// Most samples that are kept.
const SAMPLES: usize = 64;
/// Length of a bin for burstiness [s], and the number of bins.
const BIN: i64 = 20;
const BINS: i64 = 30;
/// A trend needs two halves of at least this length [s], and never more than doubles the rate.
const HALF: f64 = 20.0;
/// A rate that rests on few tasks is known this well [share], for what hangs on it.
const MOST_NOISE: f64 = 0.5;

/// Arrivals per slot kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    /// λ [tasks/s], with the trend carried to the horizon.
    pub(crate) arrivals: PerKind,
    /// λ of now, without a trend [tasks/s].
    pub(crate) level: PerKind,
    /// What chance alone makes of λ: two standard deviations (share of it), at most a half.
    pub(crate) noise: PerKind,
    /// Burstiness, 1 (Poisson) to 4.
    pub(crate) burstiness: PerKind,
}

/// Counts what arrived since the last call and estimates. `horizon` is the pod start time [s].
pub(crate) fn advance(memory: &mut Memory, queues: &Queues, workers: &Workers, horizon: f64, now: Timestamp) -> Rates {
    if queues.gap.is_none() {
        count(memory, queues, workers, now);
    }
    let mut rates = Rates {
        arrivals: [0.0; 4],
        level: [0.0; 4],
        noise: [MOST_NOISE; 4],
        burstiness: [1.0; 4],
    };
    for k in 0..4 {
        let from_server = finite(queues.added[k] * memory.kinds[k].ratio);
        let (counted, tasks) = rate(memory, k, now);
        let level = counted.unwrap_or(from_server);
        rates.level[k] = level;
        rates.noise[k] = (2.0 / libm::sqrt(tasks.max(1.0))).min(MOST_NOISE);
        rates.arrivals[k] = trend(memory, k, horizon, now).unwrap_or(level).max(level);
        rates.burstiness[k] = burstiness(memory, k);
    }
    if !memory.transient.arrivals.is_empty() {
        memory.transient.rate = Some(rates.level);
    }
    rates
}

/// Adds one entry to the ring, once all queues have new statistics.
fn count(memory: &mut Memory, queues: &Queues, workers: &Workers, now: Timestamp) {
    let flow = memory.transient.flow;
    let fresh = ArrivalBaseline {
        when: now,
        oldest: queues.oldest,
        backlog: queues.backlog,
        flow,
        owed: [0.0; 4],
    };
    let Some(base) = memory.transient.arrivals_from else {
        memory.transient.arrivals_from = Some(fresh);
        return;
    };
    let seconds = elapsed(now, base.when);
    if seconds < 1.0 || queues.oldest <= base.oldest {
        return;
    }
    let by_workers = workers.coverage() >= COUNTED;
    let mut next = fresh;
    let mut tasks = [0.0; 4];
    for k in 0..4 {
        let by_server = queues.added[k] * seconds;
        if by_workers {
            let balance = queues.backlog[k] - base.backlog[k] + flow[k] - base.flow[k] + base.owed[k];
            tasks[k] = finite(balance);
            // Backlog and counters are not of the same instant: what one sample has too much, the next has too little.
            // No longer than one sample, or tasks that expired would hide those that arrive.
            next.owed[k] = if base.owed[k] < 0.0 { 0.0 } else { balance.min(0.0) };
            if by_server >= 1.0 && workers.ready > 0 && queues.present[k] {
                let step = if tasks[k] > by_server * memory.kinds[k].ratio {
                    1.02
                } else {
                    1.0 / 1.02
                };
                memory.kinds[k].ratio = (memory.kinds[k].ratio * step).clamp(0.2, 10.0);
            }
        } else {
            tasks[k] = finite(by_server * memory.kinds[k].ratio);
        }
    }
    memory.transient.arrivals_from = Some(next);
    let ring = &mut memory.transient.arrivals;
    ring.push_back(Arrivals {
        at: now,
        seconds,
        tasks,
    });
    while ring.len() > SAMPLES
        || ring
            .front()
            .is_some_and(|first| elapsed(now, first.at) > LONGEST + LOOK)
    {
        ring.pop_front();
    }
    fill_bins(memory, now, seconds, tasks);
    for k in 0..4 {
        note_change(memory, k, now);
    }
}

/// Tasks and seconds of the newest samples that together last at least `span` seconds.
fn newest(memory: &Memory, k: usize, span: f64) -> (f64, f64) {
    let mut sum = (0.0, 0.0);
    for sample in memory.transient.arrivals.iter().rev() {
        if sum.1 >= span {
            break;
        }
        sum = (sum.0 + sample.tasks[k], sum.1 + sample.seconds);
    }
    sum
}

/// Notes that the rate is not what it was: beyond three deviations of a Poisson count.
fn note_change(memory: &mut Memory, k: usize, now: Timestamp) {
    let Some(rate) = memory.transient.rate.map(|rate| rate[k]) else {
        return;
    };
    let (tasks, seconds) = newest(memory, k, LOOK);
    let expected = rate * seconds;
    let deviation = libm::sqrt(expected);
    if tasks > expected + 3.0 * deviation + 2.0 || tasks < expected - 3.5 * deviation - 2.0 {
        let back = jiff::SignedDuration::try_from_secs_f64(seconds).unwrap_or_default();
        memory.transient.changed[k] = now.checked_sub(back).ok();
    }
}

/// How far back the rate of a kind may look [s].
fn span(memory: &Memory, k: usize, now: Timestamp) -> f64 {
    let rate = memory.transient.rate.map_or(0.0, |rate| rate[k]);
    let wanted = if rate > 0.0 {
        (COUNT / rate).clamp(SHORTEST, LONGEST)
    } else {
        LONGEST
    };
    let since_change = memory.transient.changed[k].map_or(LONGEST, |at| elapsed(now, at).max(LOOK));
    wanted.min(since_change)
}

/// Mean rate over the window, `None` until 10 s were counted; and the tasks it rests on.
fn rate(memory: &Memory, k: usize, now: Timestamp) -> (Option<f64>, f64) {
    let (tasks, seconds) = newest(memory, k, span(memory, k, now));
    ((seconds >= LOOK).then(|| ratio(tasks, seconds)), tasks)
}

/// The rate at the horizon, if the newer half of the window is beyond chance above the older one.
fn trend(memory: &Memory, k: usize, horizon: f64, now: Timestamp) -> Option<f64> {
    // The samples in which the rate changed hold some of both: for a trend they are left out.
    let since_change = memory.transient.changed[k].map_or(LONGEST, |at| elapsed(now, at) - 2.0 * LOOK);
    let half = span(memory, k, now).min(since_change) / 2.0;
    if half < HALF {
        return None;
    }
    let (newer, half) = newest(memory, k, half);
    let (both, whole) = newest(memory, k, 2.0 * half);
    let (older, before) = (both - newer, whole - half);
    if before < 0.8 * half {
        return None;
    }
    let older = ratio(older, before) * half;
    if newer - older <= 3.0 * libm::sqrt(newer + older) {
        return None;
    }
    let level = newer / half;
    let slope = (newer - older) / (half * half);
    Some((level + slope * (half / 2.0 + horizon)).min(2.0 * level))
}

fn fill_bins(memory: &mut Memory, now: Timestamp, seconds: f64, tasks: PerKind) {
    let bins = &mut memory.transient.bins;
    let end = now.as_millisecond() as f64 / 1000.0;
    let last = now.as_second().div_euclid(BIN);
    let first = (libm::floor(end - seconds) as i64).div_euclid(BIN).max(last - BINS);
    for bin in first..=last {
        let from = (end - seconds).max((bin * BIN) as f64);
        let to = end.min(((bin + 1) * BIN) as f64);
        let share = if seconds > 0.0 {
            ((to - from) / seconds).clamp(0.0, 1.0)
        } else {
            0.0
        };
        if bins.back().is_none_or(|(newest, _)| *newest < bin) {
            bins.push_back((bin, [0.0; 4]));
        }
        if let Some((_, counts)) = bins.iter_mut().rev().find(|(at, _)| *at == bin) {
            for (count, more) in counts.iter_mut().zip(tasks) {
                *count += more * share;
            }
        }
    }
    bins.retain(|(bin, _)| *bin >= last - BINS && *bin <= last);
}

/// Index of dispersion by successive differences: blind to a trend.
fn burstiness(memory: &Memory, k: usize) -> f64 {
    // The newest bin is not full yet, the oldest may have begun in the middle.
    let full = memory.transient.bins.len().saturating_sub(1);
    let bins = || memory.transient.bins.iter().take(full).skip(1);
    let mut squares = 0.0;
    let mut pairs = 0.0;
    for ((a, before), (b, after)) in bins().zip(bins().skip(1)) {
        if *b == a + 1 {
            let difference = after[k] - before[k];
            squares += difference * difference;
            pairs += 1.0;
        }
    }
    let mean = ratio(bins().map(|(_, counts)| counts[k]).sum(), bins().count() as f64);
    if pairs < 5.0 {
        1.0
    } else {
        ratio(squares, 2.0 * pairs * mean).clamp(1.0, 4.0)
    }
}
