//! Percentiles of measured values. Pure.

/// The value below which a share `q` (0..=1) of `values` lies, by the nearest rank; `None` without values.
/// Values that are no number are left out.
pub fn quantile(values: impl IntoIterator<Item = f64>, q: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let rank = (q.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1).min(last)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(values.clone(), 0.99), Some(99.0));
        assert_eq!(quantile(values.clone(), 0.5), Some(50.0));
        assert_eq!(quantile(values.clone(), 1.0), Some(100.0));
        assert_eq!(quantile(values, 0.0), Some(1.0));
        assert_eq!(quantile([f64::NAN], 0.5), None);
        assert_eq!(quantile([], 0.5), None);
    }
}
