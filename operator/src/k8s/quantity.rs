//! Kubernetes quantities as numbers: `250m` CPU is 0.25 cores, `64Mi` is 67108864 bytes.

/// The value of a quantity in its base unit (cores, bytes), or `None` if it is none. Never NaN, infinite or negative: a
/// resource cannot be less than nothing.
pub fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        "Pi" => 1_125_899_906_842_624.0,
        "Ei" => 1_152_921_504_606_846_976.0,
        exponent => ten_to(exponent)?,
    };
    let value = number.parse::<f64>().ok()? * factor;
    (value.is_finite() && value >= 0.0).then_some(value)
}

/// `e3`, `E-2`: the decimal exponent form.
fn ten_to(exponent: &str) -> Option<f64> {
    let digits = exponent.strip_prefix(['e', 'E'])?;
    let power: i32 = digits.parse().ok()?;
    (-18..=18).contains(&power).then(|| 10f64.powi(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_kubernetes_writes() {
        for (text, value) in [
            ("0", 0.0),
            ("2", 2.0),
            ("1.5", 1.5),
            ("250m", 0.25),
            ("123456789n", 0.123_456_789),
            ("37u", 0.000_037),
            ("64Mi", 67_108_864.0),
            ("1Gi", 1_073_741_824.0),
            ("128974848", 128_974_848.0),
            ("129M", 129e6),
            ("1e3", 1000.0),
            ("2E3", 2000.0),
            ("1E", 1e18),
        ] {
            let parsed = parse(text).unwrap();
            assert!((parsed - value).abs() <= value * 1e-12, "{text}: {parsed}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in ["", "m", "1x", "-1", "1e999", "nan", "inf", "1e", "1.2.3", "1 Gi"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
