//! Whether two approximations of one value agree within the bounds of the rule that made them.

use crate::effects::{ErrorBound, Rule};
use crate::extended::Extended;

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

/// The error of reducing an argument of 2^0 by an approximation of pi of 66 bits, as two to this power: that of pi itself is
/// 2^-67.7 (SDM vol. 1, section 8.3.8), halved for the multiples of pi/2 that are taken away, and as much again for how the
/// reduced argument is rounded.
const REDUCTION: i32 = -67;

/// Whether two 80-bit registers agree within `bound`.
pub(super) fn registers_agree(bound: ErrorBound, expected: &[u8; 10], actual: &[u8; 10]) -> bool {
    if expected == actual {
        return true;
    }
    let (a, b) = (Extended::from_bytes(expected), Extended::from_bytes(actual));
    if !(a.is_finite() && b.is_finite()) {
        return false;
    }
    lie_within(&a, &b, bound.ulps)
        || bound
            .reduced
            .is_some_and(|exponent| reductions_agree(&a, &b, exponent, bound.ulps))
}

/// Whether two numbers of one sign are at most so many units in the last place of the larger one apart.
fn lie_within(a: &Extended, b: &Extended, ulps: u8) -> bool {
    let (small, large) = if a.exponent < b.exponent { (a, b) } else { (b, a) };
    // A denormal number has the unit of the smallest normal ones.
    let shift = large.exponent.max(1) - small.exponent.max(1);
    if a.negative != b.negative || shift > 2 {
        return false;
    }
    let apart = (u128::from(large.significand) << shift).abs_diff(small.significand.into());
    apart <= u128::from(ulps) << shift
}

/// Whether results of an argument of that exponent agree, given that each was reduced by an approximation of pi of its own: near
/// a zero of the function that error is all there is of a result.
fn reductions_agree(a: &Extended, b: &Extended, exponent: i16, ulps: u8) -> bool {
    let error = 2f64.powi(i32::from(exponent) + 1 + REDUCTION);
    let (small, large) = if a.exponent < b.exponent { (a, b) } else { (b, a) };
    // Units in the last place of the larger one, with 63 bits more: the difference has to be exact.
    let wide = |number: &Extended| u128::from(number.significand) << 63;
    let shift = u32::from(large.exponent.max(1) - small.exponent.max(1));
    let (large_part, small_part) = (wide(large), wide(small).checked_shr(shift).unwrap_or(0));
    let apart = match a.negative == b.negative {
        true => large_part.abs_diff(small_part),
        false => large_part + small_part,
    };
    let unit = 2f64.powi(i32::from(large.exponent.max(1)) - 16383 - 63);
    let apart = apart as f64 * 2f64.powi(-63) * unit;
    // The tangent is as much steeper.
    let size = large.to_f64();
    apart <= error * (size * size).max(1.0) + f64::from(ulps) * unit
}

/// Whether two 80-bit numbers agree in their first `bits` significant bits, give or take one unit there.
pub(super) fn significands_agree(expected: &[u8; 10], actual: &[u8; 10], bits: u8) -> bool {
    let (a, b) = (Extended::from_bytes(expected), Extended::from_bytes(actual));
    if a.negative != b.negative || !(a.is_finite() && b.is_finite()) {
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
        let bound = |ulps, reduced| ErrorBound {
            rule: Rule::X87Trigonometric,
            ulps,
            reduced,
        };
        assert!(registers_agree(bound(2, None), &above, &below));
        let half = [0, 0, 0, 0, 0, 0, 0, 0x80, 0xfe, 0x3f];
        assert!(!registers_agree(bound(3, Some(0)), &above, &half));
        let after = |ulps| {
            let mut bytes = above;
            bytes[0] = ulps;
            bytes
        };
        assert!(registers_agree(bound(2, None), &above, &after(2)));
        assert!(!registers_agree(bound(2, None), &above, &after(3)));
        assert!(registers_agree(bound(3, None), &above, &after(3)));
        // Where pi decides, the difference of two approximations of it counts.
        assert!(!registers_agree(bound(2, Some(0)), &above, &after(33)));
        assert!(registers_agree(bound(2, Some(9)), &above, &after(33)));
        assert!(!registers_agree(bound(2, Some(9)), &above, &half));
    }

    #[test]
    fn a_result_near_a_zero_may_be_all_error_of_the_reduction() {
        let number = |exponent: u16, significand: u64| {
            let mut bytes = [0; 10];
            bytes[..8].copy_from_slice(&significand.to_le_bytes());
            bytes[8..].copy_from_slice(&exponent.to_le_bytes());
            bytes
        };
        let bound = ErrorBound {
            rule: Rule::X87Trigonometric,
            ulps: 2,
            reduced: Some(1),
        };
        // The sine of the number next to pi: what hardware gives, and the exact value.
        let (hardware, exact) = (
            number(0x3fc0 - 1, 0xc000_0000_0000_0000),
            number(0x3fc0 - 1, 0xd000_0000_0000_0000),
        );
        assert!(registers_agree(bound, &hardware, &exact));
        let double = number(0x3fff - 40, 0xd000_0000_0000_0000);
        assert!(!registers_agree(bound, &hardware, &double));
        // The smallest numbers have one unit, and infinities agree with nothing else.
        let denormal = number(0, 0x7fff_ffff_ffff_ffff);
        let normal = number(1, 1 << 63);
        assert!(lie_within(
            &Extended::from_bytes(&denormal),
            &Extended::from_bytes(&normal),
            1
        ));
        assert!(!registers_agree(bound, &number(0x7fff, 1 << 63), &normal));
    }

    #[test]
    fn halves_decode() {
        assert_eq!(half_to_f64(0x3c00).to_bits(), 1f64.to_bits());
        assert_eq!(half_to_f64(0xc000).to_bits(), (-2f64).to_bits());
        assert!(half_to_f64(0x7e00).is_nan());
    }
}
