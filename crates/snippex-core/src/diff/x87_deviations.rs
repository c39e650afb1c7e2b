//! Documented deviations of emulators that keep x87 registers as doubles, told by the instruction that wrote what differs
//! first, by what the registers held at the start, and by the status word that the reference ends with.

use iced_x86::Mnemonic;

use super::class::Class;
use super::difference::{Difference, Field, Value};
use super::tolerance::{Deviates, Deviation, Tolerance};
use crate::case::Case;
use crate::decode::block_decoder;
use crate::effects::BlockEffects;
use crate::state::{MachineState, X87State};

/// x87 status word: a push to a full stack, or a pop of an empty one (Intel SDM volume 1, section 8.1.3.3).
const STACK_FAULT: u16 = 1 << 6;
/// x87 control word: how many bits of a significand arithmetic gives; none of these for single precision.
const PRECISION: u16 = 3 << 8;
/// The largest difference that two roundings of a result make in what is stored of it: a double has 11 bits fewer than an
/// 80-bit register.
const ROUNDING: u128 = 1 << 12;

/// The deviation behind `differences` that an x87 instruction wrote.
pub(super) fn explain<'t>(
    effects: &BlockEffects,
    completed: usize,
    case: &Case,
    end: &MachineState,
    differences: &[Difference],
    tolerance: &'t Tolerance,
) -> Option<&'t Deviation> {
    let mut deviations = tolerance.deviations.iter();
    let deviation = deviations.find(|deviation| deviation.deviates == Deviates::X87Doubles)?;
    if differences.is_empty() {
        return None;
    }
    let culprit = Class::of_state(effects, completed, differences)
        .culprit?
        .instruction;
    if !effects.is_x87(culprit) {
        return None;
    }
    let stores_number = || {
        let instruction = block_decoder(&case.block).into_iter().nth(culprit);
        instruction.is_some_and(|found| matches!(found.mnemonic(), Mnemonic::Fst | Mnemonic::Fstp))
    };
    let explained = end.x87.status & STACK_FAULT != 0
        || !holds_doubles(&case.state.x87)
        || stores_number() && differences.iter().all(is_rounding);
    explained.then_some(deviation)
}

/// Whether doubles can stand for all registers that are not empty, and arithmetic is as precise as theirs.
fn holds_doubles(x87: &X87State) -> bool {
    let full = |index: &usize| x87.tags & (1 << ((usize::from(x87.top()) + index) & 7)) != 0;
    x87.control & PRECISION != 0 && (0..8).filter(full).all(|index| fits_double(&x87.st[index]))
}

/// Whether a double has this value, as x87 instructions make it of doubles.
fn fits_double(register: &[u8; 10]) -> bool {
    const BIAS: u16 = 16383;
    const INTEGER_BIT: u64 = 1 << 63;
    let significand = u64::from_le_bytes(std::array::from_fn(|index| register[index]));
    let exponent = u16::from_le_bytes([register[8], register[9]]) & 0x7fff;
    let normal = (BIAS - 1022..=BIAS + 1023).contains(&exponent) || exponent == 0x7fff;
    match significand {
        0 => exponent == 0,
        _ => normal && significand & INTEGER_BIT != 0 && significand & 0x7ff == 0,
    }
}

/// Whether bytes of memory differ by no more than two roundings of one number do.
fn is_rounding(difference: &Difference) -> bool {
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u128::from(*byte))
    };
    match (difference.field, &difference.expected, &difference.actual) {
        (Field::Memory { .. }, Value::Bytes(a), Value::Bytes(b)) => {
            a.len() <= 10 && number(a).abs_diff(number(b)) <= ROUNDING
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(exponent: u16, significand: u64) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&significand.to_le_bytes());
        bytes[8..].copy_from_slice(&exponent.to_le_bytes());
        bytes
    }

    #[test]
    fn what_fits_a_double_is_told_from_what_does_not() {
        let one = 1 << 63;
        let fitting = [
            (0x3fff, one),
            (0xbfff, one | 0x800),
            (0, 0),
            (0x8000, 0),
            (0x7fff, one),
            (0x43fe, one),
        ];
        for (exponent, significand) in fitting {
            assert!(
                fits_double(&register(exponent, significand)),
                "{exponent:#x} {significand:#x}"
            );
        }
        // Too precise, too large, too small, without its integer bit, a denormal number.
        let others = [
            (0x3fff, one | 1),
            (0x43ff, one),
            (0x3c00, one),
            (0x3fff, 0x800),
            (0, one),
        ];
        for (exponent, significand) in others {
            assert!(
                !fits_double(&register(exponent, significand)),
                "{exponent:#x} {significand:#x}"
            );
        }
    }

    #[test]
    fn empty_registers_do_not_count_and_single_precision_does() {
        let mut x87 = X87State::INITIAL;
        x87.control = 0x37f;
        x87.status = 3 << 11;
        x87.st = [register(0x3fff, 1 << 63 | 1); 8];
        x87.tags = 0;
        assert!(holds_doubles(&x87));
        // Register 4 is ST(1) where TOP is 3.
        x87.tags = 1 << 4;
        assert!(!holds_doubles(&x87));
        x87.st[1] = register(0x3fff, 1 << 63);
        assert!(holds_doubles(&x87));
        x87.control = 0x07f;
        assert!(!holds_doubles(&x87));
    }

    #[test]
    fn the_last_bits_of_a_stored_number_are_its_rounding() {
        let memory = |expected: &[u8], actual: &[u8]| Difference {
            field: Field::Memory { address: 0x1000 },
            name: "[0x1000]".into(),
            expected: Value::Bytes(expected.to_vec()),
            actual: Value::Bytes(actual.to_vec()),
            differing: Value::None,
        };
        assert!(is_rounding(&memory(&[0x10], &[0x11])) && is_rounding(&memory(&[0xff, 0x03], &[0, 0x04])));
        assert!(
            !is_rounding(&memory(&[0, 0x40], &[0, 0x80])),
            "more than an 80-bit register has on top"
        );
    }
}
