//! Load: the course of a rate over time, and the tasks that are drawn from it before a run begins.

mod shape;
mod streams;
mod trace;

pub use shape::Shape;
pub use streams::{Arrival, Streams};
pub use trace::{Trace, TraceError};

/// A rate over time [tasks/s]: straight lines between knots, a jump where two knots share their time. Beyond the last knot
/// the rate stays; before the first it is that of the first.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    knots: Vec<(f64, f64)>,
}

impl Curve {
    /// A curve through `knots` of (seconds, tasks per second), sorted by time here. Negative rates count as 0.
    pub fn new(mut knots: Vec<(f64, f64)>) -> Self {
        knots.retain(|(at, rate)| at.is_finite() && rate.is_finite());
        knots.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (_, rate) in &mut knots {
            *rate = rate.max(0.0);
        }
        Self { knots }
    }

    /// The rate at a time; right after the jump, if there is one.
    pub fn at(&self, time: f64) -> f64 {
        let after = self.knots.partition_point(|(at, _)| *at <= time);
        match (
            after.checked_sub(1).and_then(|i| self.knots.get(i)),
            self.knots.get(after),
        ) {
            (Some(a), Some(b)) => between(*a, *b, time),
            (Some((_, rate)), None) | (None, Some((_, rate))) => *rate,
            (None, None) => 0.0,
        }
    }

    /// The time of the last knot [s]; 0 without one.
    pub(crate) fn end(&self) -> f64 {
        self.knots.last().map_or(0.0, |(at, _)| *at)
    }

    /// The lines of the curve from 0 to `end`: (start, end, rate at the start, rate at the end).
    pub(crate) fn lines(&self, end: f64) -> Vec<(f64, f64, f64, f64)> {
        let mut times: Vec<f64> = self.knots.iter().map(|(at, _)| *at).collect();
        times.retain(|at| *at > 0.0 && *at < end);
        times.push(end);
        times.dedup();
        let mut lines = Vec::with_capacity(times.len());
        let mut from = 0.0;
        for to in times {
            if to > from {
                lines.push((from, to, self.at(from), self.before(to)));
                from = to;
            }
        }
        lines
    }

    /// The rate just before a time.
    fn before(&self, time: f64) -> f64 {
        let after = self.knots.partition_point(|(at, _)| *at < time);
        match (
            after.checked_sub(1).and_then(|i| self.knots.get(i)),
            self.knots.get(after),
        ) {
            (Some(a), Some(b)) => between(*a, *b, time),
            (Some((_, rate)), None) | (None, Some((_, rate))) => *rate,
            (None, None) => 0.0,
        }
    }
}

fn between((from, low): (f64, f64), (to, high): (f64, f64), time: f64) -> f64 {
    if to <= from {
        return high;
    }
    low + (high - low) * ((time - from) / (to - from)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_straight_between_knots_and_jumps_where_they_meet() {
        let curve = Curve::new(vec![(0.0, 1.0), (10.0, 1.0), (10.0, 5.0), (20.0, 15.0)]);
        let rates = [0.0, 9.9, 10.0, 15.0, 30.0].map(|at| curve.at(at));
        for (rate, expected) in rates.iter().zip([1.0, 1.0, 5.0, 10.0, 15.0]) {
            assert!((rate - expected).abs() < 1e-9, "{rates:?}");
        }
        assert_eq!(
            curve.lines(30.0),
            [(0.0, 10.0, 1.0, 1.0), (10.0, 20.0, 5.0, 15.0), (20.0, 30.0, 15.0, 15.0)]
        );
    }
}
