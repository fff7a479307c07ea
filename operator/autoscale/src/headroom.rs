//! Headroom, learned: how far demand went beyond what was forecast for it one slow pod start before. A profile chooses how
//! many of these surprises are to be met by pods that run already.

use jiff::{SignedDuration, Timestamp};

use crate::memory::Memory;
use crate::num::{elapsed, finite, quantile, rounded};
use crate::policy::Profile;
use crate::scale_in;
use crate::workers::PodStart;

/// How long a surprise counts [s].
const LEARN: f64 = 3600.0;
/// Least time between two forecasts that are kept [s]: an hour of them stays small.
const PACE: f64 = 10.0;
/// Surprises from which their quantile is taken.
const ENOUGH: usize = 30;

/// The quantile that a profile covers, and the most it adds.
fn goal(profile: Profile) -> Option<(f64, f64)> {
    match profile {
        Profile::Cost => None,
        Profile::Balanced => Some((0.90, 0.25)),
        Profile::Latency => Some((0.98, 0.50)),
    }
}

/// Pods that two sides of a surprise are measured in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pods {
    /// What the model asks for, without headroom.
    pub(crate) asked: f64,
    /// What demand would keep busy altogether.
    pub(crate) full: f64,
    /// Share that was added to what the window of scale-in holds.
    pub(crate) headroom: f64,
}

/// Compares what demand needs at least now with the size that was forecast for now, and keeps what is asked for as the forecast
/// for the time when a pod asked for now would work. `noise` is what chance alone may add (share).
///
/// What the targets leave free, and what the window of scale-in keeps anyway, has met demand without headroom.
pub(crate) fn learn(memory: &mut Memory, pods: Pods, noise: f64, start: PodStart, now: Timestamp) {
    compare(memory, finite(pods.full) * (1.0 - noise.clamp(0.0, 1.0)), now);
    let kept = scale_in::demand_of_window(memory).unwrap_or(0.0) / (1.0 + finite(pods.headroom));
    forecast(memory, finite(pods.asked).max(kept), start, now);
}

fn compare(memory: &mut Memory, demand: f64, now: Timestamp) {
    let transient = &mut memory.transient;
    while let Some((due, forecast)) = transient.forecasts.front().copied() {
        if due > now {
            break;
        }
        transient.forecasts.pop_front();
        // A forecast for a time that nobody looked at says nothing.
        if elapsed(now, due) <= 2.0 * PACE {
            // One pod more on both sides: what fits into a whole pod is no surprise.
            transient
                .surprises
                .push_back((now, (demand + 1.0) / (forecast + 1.0) - 1.0));
        }
    }
    while transient
        .surprises
        .front()
        .is_some_and(|(at, _)| elapsed(now, *at) > LEARN)
    {
        transient.surprises.pop_front();
    }
}

/// The share that is added to demand, ≥ 0. What a restart finds serves until there are surprises enough.
pub(crate) fn share(profile: Profile, memory: &mut Memory) -> f64 {
    let Some((covered, most)) = goal(profile) else {
        return 0.0;
    };
    if memory.transient.surprises.len() >= ENOUGH {
        let surprises = memory.transient.surprises.iter();
        let mut surprises: Vec<f64> = surprises.map(|(_, surprise)| *surprise).collect();
        memory.headroom = rounded(quantile(&mut surprises, covered).unwrap_or(0.0).max(0.0));
    }
    memory.headroom.clamp(0.0, most)
}

fn forecast(memory: &mut Memory, demand: f64, start: PodStart, now: Timestamp) {
    let ahead = SignedDuration::try_from_secs_f64(start.slow).unwrap_or_default();
    let Ok(due) = now.checked_add(ahead) else { return };
    let forecasts = &mut memory.transient.forecasts;
    let pace = forecasts.back().map_or(PACE, |(last, _)| elapsed(due, *last));
    if pace >= PACE {
        forecasts.push_back((due, demand));
    } else if pace < -PACE {
        // Pods start faster than was thought, or the clock went back: the old ones would block the new.
        forecasts.clear();
    }
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

    const START: PodStart = PodStart {
        median: 20.0,
        slow: 30.0,
    };

    /// An hour in which every `period`-th minute needs `peak` pods and the rest 9; nothing is foreseen.
    fn hour(period: i64, peak: f64) -> Memory {
        let mut memory = Memory::default();
        for second in (0..3600).step_by(10) {
            let load = if (second / 60) % period == 0 { peak } else { 9.0 };
            compare(&mut memory, load, at(second));
            forecast(&mut memory, 9.0, START, at(second));
        }
        memory
    }

    #[test]
    fn a_load_that_is_foreseen_asks_for_no_headroom() {
        assert!(close(share(Profile::Balanced, &mut hour(2, 9.0)), 0.0));
        assert!(close(share(Profile::Latency, &mut hour(2, 9.0)), 0.0));
    }

    #[test]
    fn a_profile_covers_the_surprises_it_names_and_no_rarer_ones() {
        // One minute in five: within the most frequent 10 %, at 20 % above.
        assert!(close(share(Profile::Balanced, &mut hour(5, 11.0)), 0.2));
        // One minute in twenty: for Latency alone.
        assert!(close(share(Profile::Balanced, &mut hour(20, 11.0)), 0.0));
        assert!(close(share(Profile::Latency, &mut hour(20, 11.0)), 0.2));
        assert!(close(share(Profile::Cost, &mut hour(5, 11.0)), 0.0));
    }

    #[test]
    fn headroom_is_bounded() {
        assert!(close(share(Profile::Balanced, &mut hour(2, 1e9)), 0.25));
        assert!(close(share(Profile::Latency, &mut hour(2, f64::NAN)), 0.0));
        assert!(close(share(Profile::Latency, &mut hour(2, 1e300)), 0.5));
    }

    #[test]
    fn a_restart_keeps_what_was_learned() {
        let mut memory = hour(5, 11.0);
        share(Profile::Balanced, &mut memory);
        let json = serde_json::to_string(&memory).expect("serialises");
        let mut back: Memory = serde_json::from_str(&json).expect("reads back");
        assert!(close(share(Profile::Balanced, &mut back), 0.2));
    }

    #[test]
    fn a_clock_that_jumps_back_does_not_stop_the_learning() {
        let mut memory = hour(5, 11.0);
        for second in (-7200..-5000).step_by(10) {
            compare(&mut memory, 18.0, at(second));
            forecast(&mut memory, 9.0, START, at(second));
        }
        assert!(share(Profile::Latency, &mut memory) > 0.4);
    }

    /// An hour in which every fifth minute keeps `peak` pods busy and the rest 8; the target asks for 10.
    fn learned(peak: f64, window: f64) -> f64 {
        let mut memory = Memory::default();
        for second in (0..3600).step_by(10) {
            let full = if (second / 60) % 5 == 0 { peak } else { 8.0 };
            scale_in::remember(&mut memory, 300.0, window, at(second));
            let pods = Pods {
                asked: 10.0,
                full,
                headroom: 0.0,
            };
            learn(&mut memory, pods, 0.0, START, at(second));
        }
        share(Profile::Balanced, &mut memory)
    }

    #[test]
    fn what_the_target_leaves_free_is_no_surprise() {
        assert!(close(learned(10.0, 0.0), 0.0));
        assert!(close(learned(12.2, 0.0), 0.2));
    }

    #[test]
    fn what_the_window_keeps_is_no_surprise() {
        assert!(close(learned(12.2, 12.2), 0.0));
    }
}
