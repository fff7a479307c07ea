//! Numbers as people read them: three digits and a unit.

/// An objective, as `p99 5s`.
pub(crate) fn goal(percentile: f64, seconds: f64) -> String {
    format!("p{percentile} {}s", number(seconds))
}

/// A share, as `79%`.
pub(crate) fn percent(share: f64) -> String {
    format!("{}%", whole(100.0 * share))
}

/// Cores as Kubernetes writes small ones; a tenth of a millicore still shows.
pub(crate) fn millis(cores: f64) -> String {
    let millicores = 1000.0 * cores;
    if millicores > 0.0 && millicores < 9.95 {
        format!("{}m", number(millicores))
    } else {
        format!("{}m", whole(millicores))
    }
}

/// Memory in mebibytes, as Kubernetes writes it.
pub(crate) fn mebi(mib: f64) -> String {
    format!("{}Mi", number(mib))
}

/// Seconds, in milliseconds if they are few.
pub(crate) fn time(seconds: f64) -> String {
    if seconds < 0.1 {
        format!("{} ms", number(1000.0 * seconds))
    } else {
        format!("{} s", number(seconds))
    }
}

/// Two decimals, as for pods.
pub(crate) fn fixed(x: f64) -> String {
    format!("{x:.2}")
}

/// No decimals. Whole numbers, most of all that are shown, are written as such: as fractions they take ten times as long.
fn whole(x: f64) -> String {
    if (0.0..1e15).contains(&x) && x.to_bits() == libm::floor(x).to_bits() {
        (x as u64).to_string()
    } else {
        format!("{x:.0}")
    }
}

/// Three significant digits, without trailing zeros.
pub(crate) fn number(x: f64) -> String {
    // Adding zero turns -0 into 0.
    let x = x + 0.0;
    let digits = if x >= 99.95 {
        0
    } else if x >= 9.995 {
        1
    } else {
        2
    };
    if digits == 0 || x.to_bits() == libm::round(x).to_bits() {
        return whole(x);
    }
    let mut text = format!("{x:.digits$}");
    if text.contains('.') {
        let kept = text.trim_end_matches('0').trim_end_matches('.').len();
        text.truncate(kept);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let all = [0.0, 0.046, 2.1, 2.38, 22.7, 51.6, 99.96, 108.4, 12_345.6].map(number);
        assert_eq!(all, ["0", "0.05", "2.1", "2.38", "22.7", "51.6", "100", "108", "12346"]);
        assert_eq!([0.022, 0.0005, 0.5, 2.0].map(millis), ["22m", "0.5m", "500m", "2000m"]);
        assert_eq!([0.004, 2.1].map(time), ["4 ms", "2.1 s"]);
        assert_eq!(goal(99.0, 5.0), "p99 5s");
    }
}
