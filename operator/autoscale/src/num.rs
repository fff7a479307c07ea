//! Small total arithmetic: no NaN gets in, nothing overflows, time differences are plain seconds.

use jiff::{SignedDuration, Timestamp};

/// One value per slot kind, in the order of `SlotKind::ALL`.
pub(crate) type PerKind = [f64; 4];

/// Largest value any input is taken for: far above every real fleet, far below where f64 loses whole numbers.
const LARGEST: f64 = 1e12;

/// A non-negative, finite number: NaN and negatives count as zero.
pub(crate) fn finite(x: f64) -> f64 {
    if x > 0.0 { x.min(LARGEST) } else { 0.0 }
}

/// `a / b`, or zero where that says nothing.
pub(crate) fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { finite(a / b) } else { 0.0 }
}

/// Seconds of a duration.
pub(crate) fn seconds(duration: SignedDuration) -> f64 {
    duration.as_secs_f64()
}

/// Seconds from `then` to `now`; negative if the clock went back.
pub(crate) fn elapsed(now: Timestamp, then: Timestamp) -> f64 {
    now.duration_since(then).as_secs_f64()
}

/// The next whole number, saturating.
pub(crate) fn ceil(x: f64) -> u32 {
    libm::ceil(finite(x)) as u32
}

/// Pods for a real number of pods: a tenth of a pod is not worth one more.
pub(crate) fn whole_pods(raw: f64) -> u32 {
    ceil(raw - 0.1)
}

/// Rounds to four significant digits: what is persisted must not change with every sample.
pub(crate) fn rounded(x: f64) -> f64 {
    if !x.is_finite() || libm::fabs(x) <= 1e-12 {
        return 0.0;
    }
    let scale = libm::pow(10.0, 3.0 - libm::floor(libm::log10(libm::fabs(x))));
    libm::round(x * scale) / scale
}

/// The element of a list below which a share `q` of the elements lies (nearest rank). The list is left in another order.
pub(crate) fn quantile(list: &mut [f64], q: f64) -> Option<f64> {
    let rank = libm::ceil(q * list.len() as f64) as usize;
    let place = rank.clamp(1, list.len().max(1)) - 1;
    (place < list.len()).then(|| *list.select_nth_unstable_by(place, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_becomes_zero_and_huge_becomes_finite() {
        for x in [f64::NAN, -1.0, f64::NEG_INFINITY] {
            assert!(finite(x).abs() < f64::EPSILON);
        }
        assert!(finite(f64::INFINITY).is_finite());
        assert_eq!(ceil(f64::INFINITY), u32::MAX);
        assert!(ratio(1.0, 0.0).abs() < f64::EPSILON);
    }

    #[test]
    fn rounding_keeps_four_digits() {
        assert!((rounded(123_456.0) - 123_500.0).abs() < 1e-9);
        assert!((rounded(0.001_234_56) - 0.001_235).abs() < 1e-12);
        assert!(rounded(f64::NAN).abs() < f64::EPSILON);
    }

    #[test]
    fn a_quantile_is_the_nearest_rank() {
        let list = || [4.0, 2.0, 1.0, 3.0];
        assert_eq!(quantile(&mut list(), 0.5), Some(2.0));
        assert_eq!(quantile(&mut list(), 0.9), Some(4.0));
        assert_eq!(quantile(&mut list(), 0.0), Some(1.0));
        assert_eq!(quantile(&mut [], 0.5), None);
    }
}
