//! Jitter: numbers that differ from process to process and from object to object, and are the same for the same seed. Not for
//! secrets. And bytes as text.

use sha2::{Digest, Sha256};

/// A sequence of numbers in `[0, 1)` (`SplitMix64`).
#[derive(Clone, Debug)]
pub struct Jitter(u64);

impl Jitter {
    /// The sequence of a number.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The sequence of a text: an identity, a UID.
    pub fn seeded_by(text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        Self(
            digest
                .iter()
                .take(8)
                .fold(0, |seed, byte| (seed << 8) | u64::from(*byte)),
        )
    }

    /// The next number, in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        // 53 bits fit a double exactly.
        (bits >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Bytes as lower-case hexadecimal digits, two for each.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_two_digits_each() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }

    #[test]
    fn a_seed_fixes_the_sequence_and_the_numbers_fill_the_interval() {
        let (mut a, mut b) = (Jitter::seeded_by("a"), Jitter::seeded_by("a"));
        let numbers: Vec<f64> = (0..1000).map(|_| a.unit()).collect();
        assert!(
            numbers
                .iter()
                .all(|number| (0.0..1.0).contains(number) && (number - b.unit()).abs() < f64::EPSILON)
        );
        let mean = numbers.iter().sum::<f64>() / 1000.0;
        assert!((mean - 0.5).abs() < 0.05, "{mean}");
        assert!((Jitter::seeded_by("b").unit() - numbers[0]).abs() > f64::EPSILON);
    }
}
