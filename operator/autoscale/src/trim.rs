//! Trim: the only feedback. Where the objective is missed although the size is what the model asks for, and nothing else
//! explains it, the model is wrong by some factor; it is found in small steps and forgotten slowly.

use jiff::Timestamp;

use crate::memory::Memory;

/// One step up, the most, and how much is forgotten per sample.
const STEP: f64 = 1.1;
const MOST: f64 = 1.5;
const FORGET: f64 = 0.99;
/// Samples in a row that must miss the objective.
const PATIENCE: u32 = 3;
/// After a change of size for so long the measured latencies are those of the old one [s].
const SETTLED: i64 = 60;

/// What there is to judge by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    /// 99th percentile of the last minute [s], and the objective.
    pub(crate) p99: Option<f64>,
    pub(crate) objective: Option<f64>,
    /// Tasks wait for slots: not for pollers, a rate limit or pods that are starting.
    pub(crate) capacity_bound: bool,
}

/// The factor on demand, 1 to 1.5, after one more sample.
pub(crate) fn advance(memory: &mut Memory, judged: Judged, now: Timestamp) -> f64 {
    let since_change = now.as_second() - memory.last_change.max(memory.newest_start);
    let missed = judged
        .p99
        .zip(judged.objective)
        .is_some_and(|(p99, objective)| p99 > objective);
    let before = memory.trim.clamp(1.0, MOST);
    if missed && judged.capacity_bound && since_change >= SETTLED {
        memory.transient.late_samples += 1;
    } else {
        memory.transient.late_samples = 0;
    }
    let after = if memory.transient.late_samples >= PATIENCE {
        memory.transient.late_samples = 0;
        (before * STEP).min(MOST)
    } else if memory.transient.late_samples > 0 {
        before
    } else {
        1.0 + (before - 1.0) * FORGET
    };
    // Below half a percent it is over; a fleet that is well writes nothing.
    memory.trim = if after < 1.005 { 1.0 } else { after };
    memory.trim
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-3
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).expect("in range")
    }

    const LATE: Judged = Judged {
        p99: Some(9.0),
        objective: Some(5.0),
        capacity_bound: true,
    };

    fn after(samples: i64, judged: Judged, memory: &mut Memory) -> f64 {
        (0..samples)
            .map(|n| advance(memory, judged, at(5 * n)))
            .last()
            .unwrap_or(1.0)
    }

    #[test]
    fn it_grows_in_steps_while_the_objective_is_missed_and_is_bounded() {
        let mut memory = Memory::default();
        assert!(close(after(2, LATE, &mut memory), 1.0));
        assert!(close(after(1, LATE, &mut memory), 1.1));
        assert!(close(after(100, LATE, &mut memory), 1.5));
    }

    #[test]
    fn it_falls_back_slowly_and_ends() {
        let mut memory = Memory::default();
        after(100, LATE, &mut memory);
        let well = Judged { p99: Some(1.0), ..LATE };
        assert!(after(10, well, &mut memory) > 1.4);
        assert!(close(after(1000, well, &mut memory), 1.0));
    }

    #[test]
    fn it_judges_only_a_size_that_has_had_its_minute() {
        let mut memory = Memory {
            newest_start: at(0).as_second(),
            ..Memory::default()
        };
        assert!(close(after(12, LATE, &mut memory), 1.0));
        assert!(after(20, LATE, &mut memory) > 1.0);
    }

    #[test]
    fn what_more_slots_would_not_mend_is_not_its_business() {
        let mut memory = Memory::default();
        let elsewhere = Judged {
            capacity_bound: false,
            ..LATE
        };
        assert!(close(after(100, elsewhere, &mut memory), 1.0));
        let no_objective = Judged {
            objective: None,
            ..LATE
        };
        assert!(close(after(100, no_objective, &mut memory), 1.0));
    }
}
