//! Documented deviations of floating-point arithmetic, told by what differs: the sign of a NaN, a number that is too small
//! where MXCSR says what becomes of those, an integer that a number does not fit.

use std::iter;

use super::class::Class;
use super::denormals;
use super::difference::{Difference, Field, Noted, Value};
use super::tolerance::{Deviates, Deviation, Tolerance};
use crate::case::Case;
use crate::effects::BlockEffects;

/// Takes from `differences` those that a deviation has in itself, and notes them. When some were, or denormal numbers may
/// be behind them all, what is left may follow from that: then it says which deviation it is.
pub(super) fn explain<'t>(
    effects: &BlockEffects,
    completed: usize,
    case: &Case,
    differences: &mut Vec<Difference>,
    tolerance: &'t Tolerance,
    noted: &mut Noted,
) -> Option<&'t Deviation> {
    let find = |deviates| {
        let mut deviations = tolerance.deviations.iter();
        deviations.find(move |deviation| deviation.deviates == deviates)
    };
    let signs = find(Deviates::NanSign);
    let integers = find(Deviates::IntegerIndefinite);
    let switches = find(Deviates::DenormalControls);
    if differences.is_empty() || (signs.is_none() && integers.is_none() && switches.is_none()) {
        return None;
    }
    let culprit = Class::of_state(effects, completed, differences).culprit?;
    if !effects.is_floating_point(culprit.instruction) {
        return None;
    }
    if let Some(deviation) =
        switches.filter(|_| denormals::may_be_behind(case, culprit.instruction, differences))
    {
        return Some(deviation);
    }
    let converts = culprit.form.contains("cvt");
    let mut found = None;
    differences.retain(|difference| {
        let deviation = signs
            .filter(|_| same_but_for(difference, is_nan_of_other_sign))
            .or_else(|| {
                integers.filter(|_| converts && same_but_for(difference, is_integer_that_does_not_fit))
            });
        if let Some(deviation) = deviation {
            noted.note_deviation(deviation);
            found = Some(deviation);
        }
        deviation.is_none()
    });
    found.filter(|_| !differences.is_empty())
}

/// Whether `alike` holds for every element of `difference` that differs: for elements of eight bytes, or else of four.
fn same_but_for(difference: &Difference, alike: fn(&[u8], &[u8]) -> bool) -> bool {
    match (difference.field, &difference.expected, &difference.actual) {
        (Field::Gpr { .. }, Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
            alike(&a, &b) || a[4..] == b[4..] && alike(&a[..4], &b[..4])
        }
        (Field::Vector { .. }, Value::Bytes(a), Value::Bytes(b)) => {
            let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
            iter::zip(a, b).all(|(a, b)| {
                let halves = || iter::zip(a.chunks_exact(4), b.chunks_exact(4));
                a == b || alike(a, b) || halves().all(|(a, b)| a == b || alike(a, b))
            })
        }
        // Of memory only the bytes that differ are there: the highest ones of numbers.
        (Field::Memory { address }, Value::Bytes(a), Value::Bytes(b)) => {
            address % 4 == 3 && a.len() == 1 && alike(&[0, 0, 0xff, a[0]], &[0, 0, 0xff, b[0]])
        }
        _ => false,
    }
}

/// Both are not a number, and all but the sign is the same.
fn is_nan_of_other_sign(expected: &[u8], actual: &[u8]) -> bool {
    let (Some((a, lower)), Some((b, lower_too))) = (expected.split_last(), actual.split_last()) else {
        return false;
    };
    let nan = match expected.try_into() {
        Ok(bytes) => f64::from_le_bytes(bytes).is_nan(),
        Err(_) => expected
            .try_into()
            .is_ok_and(|bytes| f32::from_le_bytes(bytes).is_nan()),
    };
    nan && a ^ b == 0x80 && lower == lower_too
}

/// The integer that x86 gives for what fits none, where ARM gives the nearest one, or 0 for what is not a number.
fn is_integer_that_does_not_fit(expected: &[u8], actual: &[u8]) -> bool {
    let is = |bytes: &[u8], top: u8, rest: u8| {
        let split = bytes.split_last();
        split.is_some_and(|(last, lower)| *last == top && lower.iter().all(|byte| *byte == rest))
    };
    is(expected, 0x80, 0) && (is(actual, 0x7f, 0xff) || is(actual, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(expected: &[f32; 4], actual: &[f32; 4]) -> Difference {
        let bytes =
            |lanes: &[f32; 4]| Value::Bytes(lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect());
        Difference {
            field: Field::Vector {
                register: 0,
                first: 0,
                last: 15,
            },
            name: "xmm0".into(),
            expected: bytes(expected),
            actual: bytes(actual),
            differing: Value::None,
        }
    }

    #[test]
    fn a_nan_of_the_other_sign_is_told_from_another_nan_and_another_number() {
        let signed = |sign: u32, payload: u32| f32::from_bits(sign << 31 | 0x7fc0_0000 | payload);
        let alike = |a: f32, b: f32| {
            same_but_for(
                &vector(&[1.0, a, 2.0, 3.0], &[1.0, b, 2.0, 3.0]),
                is_nan_of_other_sign,
            )
        };
        assert!(alike(signed(1, 0), signed(0, 0)) && alike(signed(0, 5), signed(1, 5)));
        assert!(
            !alike(signed(1, 0), signed(0, 1)) && !alike(1.0, -1.0) && !alike(f32::INFINITY, -f32::INFINITY)
        );
        let wrong_too = vector(&[1.0, signed(1, 0), 2.0, 3.0], &[1.5, signed(0, 0), 2.0, 3.0]);
        assert!(!same_but_for(&wrong_too, is_nan_of_other_sign));
    }

    #[test]
    fn an_integer_that_does_not_fit_is_the_nearest_one_or_zero() {
        let alike = |a: u64, b: u64| {
            let difference = Difference {
                field: Field::Gpr { register: 0 },
                name: "rax".into(),
                expected: Value::Number(a),
                actual: Value::Number(b),
                differing: Value::Number(a ^ b),
            };
            same_but_for(&difference, is_integer_that_does_not_fit)
        };
        assert!(alike(1 << 31, 0x7fff_ffff) && alike(1 << 31, 0) && alike(1 << 63, i64::MAX as u64));
        assert!(!alike(1 << 31, 1) && !alike(7, 0));
    }
}
