//! Whether two approximations of one value agree within the bounds of the rule that made them.

use crate::effects::Rule;

/// Whether two elements of a vector, little-endian and equally long, agree under `rule`.
pub(super) fn elements_agree(rule: Rule, expected: &[u8], actual: &[u8]) -> bool {
    if expected == actual {
        return true;
    }
    let Some((a, b, smallest)) = decode(expected, actual) else {
        return false;
    };
    match rule {
        Rule::DotProductNan => a.is_nan() && b.is_nan(),
        _ => relative_bound(rule).is_some_and(|bound| reciprocals_agree(a, b, smallest, bound)),
    }
}

/// Largest difference of two implementations relative to the value: twice the manual's bound for one.
fn relative_bound(rule: Rule) -> Option<f64> {
    match rule {
        Rule::Reciprocal11 => Some(2.0 * 1.5 / 4096.0),
        Rule::Reciprocal14 => Some(2.0 / 16384.0),
        Rule::Reciprocal28 => Some(2.0 / 8_388_608.0),
        Rule::ReciprocalHalf => Some(2.0 * (1.0 / 2048.0 + 1.0 / 16384.0)),
        _ => None,
    }
}

fn reciprocals_agree(a: f64, b: f64, smallest: f64, bound: f64) -> bool {
    if !a.is_finite() || !b.is_finite() || a.is_sign_negative() != b.is_sign_negative() {
        return false;
    }
    // Results at the edge of the normal range may be flushed to zero (SDM volume 2, RCPPS).
    let tiny = |value: f64| value.abs() <= smallest * (1.0 + bound);
    (a - b).abs() <= bound * a.abs().max(b.abs()) || tiny(a) && tiny(b)
}

/// Both values, and the smallest normal number of their format.
fn decode(expected: &[u8], actual: &[u8]) -> Option<(f64, f64, f64)> {
    match expected.len() {
        2 => {
            let half = |bytes: &[u8]| Some(half_to_f64(u16::from_le_bytes(bytes.try_into().ok()?)));
            Some((half(expected)?, half(actual)?, 2f64.powi(-14)))
        }
        4 => {
            let single = |bytes: &[u8]| Some(f64::from(f32::from_le_bytes(bytes.try_into().ok()?)));
            Some((single(expected)?, single(actual)?, f64::from(f32::MIN_POSITIVE)))
        }
        8 => {
            let double = |bytes: &[u8]| Some(f64::from_le_bytes(bytes.try_into().ok()?));
            Some((double(expected)?, double(actual)?, f64::MIN_POSITIVE))
        }
        _ => None,
    }
}

fn half_to_f64(half: u16) -> f64 {
    let sign = if half >> 15 != 0 { -1.0 } else { 1.0 };
    let fraction = f64::from(half & 0x3ff) / 1024.0;
    sign * match (half >> 10) & 0x1f {
        0 => fraction * 2f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1.0 + fraction) * 2f64.powi(i32::from(exponent) - 15),
    }
}

/// Bits of an x87 result that two implementations of F2XM1, FYL2X, FYL2XP1 or FPATAN must share.
/// The manual promises 63; emulators compute in double precision (53) and lose a few on the way.
const TRANSCENDENTAL_BITS: u8 = 49;

/// Absolute bound for trigonometric results of small arguments: near a multiple of pi the relative error of
/// different reductions has no bound, the absolute one has.
const TRIGONOMETRIC_BOUND: f64 = 1.0 / (1u64 << 40) as f64;

/// Whether two 80-bit registers agree under `rule`.
pub(super) fn registers_agree(rule: Rule, expected: &[u8; 10], actual: &[u8; 10]) -> bool {
    if expected == actual {
        return true;
    }
    match rule {
        Rule::X87Transcendental => significands_agree(expected, actual, TRANSCENDENTAL_BITS),
        Rule::X87Trigonometric => {
            let (a, b) = (Extended::of(expected), Extended::of(actual));
            if a.exponent == 0x7fff || b.exponent == 0x7fff {
                return false;
            }
            let (a, b) = (a.to_f64(), b.to_f64());
            (a - b).abs() <= TRIGONOMETRIC_BOUND * (a * a).max(1.0)
        }
        Rule::X87LargeArgument => {
            Extended::of(expected).exponent != 0x7fff && Extended::of(actual).exponent != 0x7fff
        }
        _ => false,
    }
}

/// Whether two 80-bit numbers agree in their first `bits` significant bits, give or take one unit there.
pub(super) fn significands_agree(expected: &[u8; 10], actual: &[u8; 10], bits: u8) -> bool {
    let (a, b) = (Extended::of(expected), Extended::of(actual));
    if a.negative != b.negative || a.exponent == 0x7fff || b.exponent == 0x7fff {
        return false;
    }
    let low = a.exponent.min(b.exponent);
    if a.exponent.abs_diff(b.exponent) > 1 {
        return false;
    }
    let scaled = |x: &Extended| u128::from(x.significand) << (x.exponent - low);
    let (a, b) = (scaled(&a), scaled(&b));
    a.abs_diff(b) <= a.max(b) >> bits
}

/// An 80-bit number taken apart.
struct Extended {
    negative: bool,
    exponent: u16,
    significand: u64,
}

impl Extended {
    fn of(bytes: &[u8; 10]) -> Self {
        let mut significand = [0; 8];
        significand.copy_from_slice(&bytes[..8]);
        let top = u16::from_le_bytes([bytes[8], bytes[9]]);
        Self {
            negative: top >> 15 != 0,
            exponent: top & 0x7fff,
            significand: u64::from_le_bytes(significand),
        }
    }

    /// The value, rounded; finite numbers only.
    fn to_f64(&self) -> f64 {
        let magnitude = self.significand as f64 * 2f64.powi(i32::from(self.exponent) - 16383 - 63);
        if self.negative { -magnitude } else { magnitude }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reciprocals_agree_within_twice_the_bound_only() {
        let near = |factor: f32| {
            elements_agree(
                Rule::Reciprocal11,
                &0.5f32.to_le_bytes(),
                &(0.5 * factor).to_le_bytes(),
            )
        };
        assert!(near(1.0 + 1.0 / 4096.0));
        assert!(!near(1.0 + 1.0 / 512.0));
        assert!(!near(-1.0));
        assert!(!elements_agree(
            Rule::Reciprocal11,
            &f32::NAN.to_le_bytes(),
            &1f32.to_le_bytes()
        ));
    }

    #[test]
    fn a_dot_product_may_give_another_nan_but_no_number() {
        let nan = f32::from_bits(0x7fc0_0001).to_le_bytes();
        assert!(elements_agree(
            Rule::DotProductNan,
            &nan,
            &f32::from_bits(0xffc0_0000).to_le_bytes()
        ));
        assert!(!elements_agree(Rule::DotProductNan, &nan, &1f32.to_le_bytes()));
        assert!(!elements_agree(
            Rule::DotProductNan,
            &2f32.to_le_bytes(),
            &1f32.to_le_bytes()
        ));
    }

    #[test]
    fn extended_numbers_agree_across_a_power_of_two() {
        let above = [0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f];
        let below = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0x3f];
        assert!(registers_agree(Rule::X87Transcendental, &above, &below));
        let half = [0, 0, 0, 0, 0, 0, 0, 0x80, 0xfe, 0x3f];
        assert!(!registers_agree(Rule::X87Transcendental, &above, &half));
        assert!(!registers_agree(Rule::X87Trigonometric, &above, &half));
        assert!(registers_agree(Rule::X87LargeArgument, &above, &half));
    }

    #[test]
    fn halves_decode() {
        assert_eq!(half_to_f64(0x3c00).to_bits(), 1f64.to_bits());
        assert_eq!(half_to_f64(0xc000).to_bits(), (-2f64).to_bits());
        assert!(half_to_f64(0x7e00).is_nan());
    }
}
