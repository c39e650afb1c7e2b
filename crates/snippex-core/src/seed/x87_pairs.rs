//! x87 states in which ST(0) is of one class of encoding and every other register of one, for each pair of classes under each
//! precision and each rounding.

use super::values;
use crate::random::Random;
use crate::state::X87State;

/// What an encoding of 80 bits stands for (Intel SDM volume 1, sections 4.8.3 and 8.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum X87Class {
    /// Plus or minus zero.
    Zero,
    /// Below the normal numbers, with the exponent of zero.
    Denormal,
    /// The exponent of a denormal with the integer bit of a normal number.
    PseudoDenormal,
    /// A normal number of a magnitude that ordinary computations have: within a factor of two to the power of 64 of one.
    Ordinary,
    /// Any other normal number.
    Extreme,
    /// Plus or minus infinity.
    Infinity,
    /// A NaN that raises nothing.
    QuietNan,
    /// A NaN that raises the invalid-operation exception.
    SignallingNan,
    /// A number without the integer bit: unsupported since the 387.
    Unnormal,
    /// An infinity without the integer bit: unsupported.
    PseudoInfinity,
    /// A NaN without the integer bit: unsupported.
    PseudoNan,
}

const BIAS: u16 = 16383;
const INTEGER: u64 = 1 << 63;
const QUIET: u64 = 1 << 62;
/// Highest and lowest exponents of ordinary numbers.
const ORDINARY: std::ops::RangeInclusive<u16> = BIAS - 64..=BIAS + 64;

impl X87Class {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Zero,
        Self::Denormal,
        Self::PseudoDenormal,
        Self::Ordinary,
        Self::Extreme,
        Self::Infinity,
        Self::QuietNan,
        Self::SignallingNan,
        Self::Unnormal,
        Self::PseudoInfinity,
        Self::PseudoNan,
    ];

    /// The class of an encoding.
    #[must_use]
    pub fn of_encoding(bytes: [u8; 10]) -> Self {
        let exponent = u16::from_le_bytes([bytes[8], bytes[9]]) & 0x7fff;
        let significand = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
        let (integer, fraction) = (significand & INTEGER != 0, significand & !INTEGER);
        match (exponent, integer, fraction) {
            (0, false, 0) => Self::Zero,
            (0, false, _) => Self::Denormal,
            (0, true, _) => Self::PseudoDenormal,
            (0x7fff, true, 0) => Self::Infinity,
            (0x7fff, true, _) if fraction & QUIET != 0 => Self::QuietNan,
            (0x7fff, true, _) => Self::SignallingNan,
            (0x7fff, false, 0) => Self::PseudoInfinity,
            (0x7fff, false, _) => Self::PseudoNan,
            (_, false, _) => Self::Unnormal,
            _ if ORDINARY.contains(&exponent) => Self::Ordinary,
            _ => Self::Extreme,
        }
    }

    /// An encoding of this class.
    fn choose_encoding(self, random: &mut Random) -> [u8; 10] {
        let fraction = random.next_u64() & !INTEGER;
        // Few bits make results exact.
        let short = fraction & !(u64::MAX >> random.next_below(64).max(1));
        let ordinary = BIAS - 64 + random.next_below(129) as u16;
        let extreme = match random.next_below(4) {
            0 => 1 + random.next_below(64) as u16,
            1 => 0x7ffe - random.next_below(64) as u16,
            2 => 1 + random.next_below(u64::from(BIAS) - 65) as u16,
            _ => BIAS + 65 + random.next_below(u64::from(BIAS) - 65) as u16,
        };
        let numbered = if random.next_below(2) == 0 {
            short
        } else {
            fraction
        };
        let (exponent, significand) = match self {
            Self::Zero => (0, 0),
            Self::Denormal => (0, fraction.max(1)),
            Self::PseudoDenormal => (0, INTEGER | numbered),
            Self::Ordinary => (ordinary, INTEGER | numbered),
            Self::Extreme => (extreme, INTEGER | numbered),
            Self::Infinity => (0x7fff, INTEGER),
            Self::QuietNan => (0x7fff, INTEGER | QUIET | fraction),
            Self::SignallingNan => (0x7fff, INTEGER | (fraction & !QUIET).max(1)),
            Self::Unnormal => (1 + random.next_below(0x7ffe) as u16, fraction),
            Self::PseudoInfinity => (0x7fff, 0),
            Self::PseudoNan => (0x7fff, fraction.max(1)),
        };
        let sign = (random.next_below(2) as u16) << 15;
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&significand.to_le_bytes());
        bytes[8..].copy_from_slice(&(sign | exponent).to_le_bytes());
        bytes
    }
}

/// Precision control of single, double and extended precision; the fourth value is reserved.
const PRECISIONS: [u16; 3] = [0, 2, 3];
const ROUNDINGS: usize = 4;
const CLASSES: usize = X87Class::ALL.len();

/// Two classes under a precision and a rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct X87Pair {
    /// Of ST(0).
    pub first: X87Class,
    /// Of the other register.
    pub second: X87Class,
    /// Precision control, 0, 2 or 3.
    pub precision: u16,
    /// Rounding control.
    pub rounding: u16,
}

impl X87Pair {
    /// How many there are.
    pub const COUNT: usize = CLASSES * CLASSES * PRECISIONS.len() * ROUNDINGS;

    /// What an instruction meets that works on ST(0) and ST(`other`); `None` when one of them is empty, or the precision
    /// reserved.
    #[must_use]
    pub fn of_state(state: &X87State, other: usize) -> Option<Self> {
        let is_full = |index: usize| state.tags >> ((usize::from(state.top()) + index) & 7) & 1 != 0;
        let precision = state.control >> 8 & 3;
        let is_one = is_full(0) && is_full(other) && PRECISIONS.contains(&precision);
        is_one.then(|| Self {
            first: X87Class::of_encoding(state.st[0]),
            second: X87Class::of_encoding(state.st[other]),
            precision,
            rounding: state.control >> 10 & 3,
        })
    }

    /// The pair with a number below [`X87Pair::COUNT`].
    fn from_number(number: usize) -> Self {
        let (classes, control) = (number % (CLASSES * CLASSES), number / (CLASSES * CLASSES));
        Self {
            first: X87Class::ALL[classes / CLASSES],
            second: X87Class::ALL[classes % CLASSES],
            precision: PRECISIONS[control % PRECISIONS.len()],
            rounding: (control / PRECISIONS.len()) as u16,
        }
    }

    /// A state that shows it whichever register is the other one. All registers are full and all exceptions masked.
    fn to_state(self, random: &mut Random) -> X87State {
        let mut st = std::array::from_fn(|_| self.second.choose_encoding(random));
        st[0] = self.first.choose_encoding(random);
        let ordinary = self.first == X87Class::Ordinary && self.second == X87Class::Ordinary;
        if ordinary && random.next_below(2) == 0 {
            st[0] = values::multiple_of(st[1], random);
        }
        let top = random.next_below(8) as u16;
        X87State {
            control: 0x7f | self.precision << 8 | self.rounding << 10,
            status: top << 11 | random.next_u64() as u16 & 0x4700,
            tags: 0xff,
            st,
        }
    }
}

/// The state of the pair with a number below [`X87Pair::COUNT`].
pub(super) fn pair_state(number: usize, random: &mut Random) -> X87State {
    X87Pair::from_number(number).to_state(random)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn encodings_are_of_the_class_that_was_asked_for() {
        let mut random = Random::new(7);
        for class in X87Class::ALL {
            for _ in 0..1000 {
                let bytes = class.choose_encoding(&mut random);
                assert_eq!(X87Class::of_encoding(bytes), class, "{bytes:02x?}");
            }
        }
    }

    #[test]
    fn numbers_stand_for_all_pairs() {
        let mut random = Random::new(7);
        let mut seen = BTreeSet::new();
        for number in 0..X87Pair::COUNT {
            let state = pair_state(number, &mut random);
            for other in 1..8 {
                assert_eq!(
                    X87Pair::of_state(&state, other).unwrap().second,
                    X87Pair::from_number(number).second
                );
            }
            seen.insert(X87Pair::of_state(&state, 1).unwrap());
        }
        // A multiple of an ordinary number may be extreme.
        assert!(seen.len() >= X87Pair::COUNT - 12, "{}", seen.len());
    }
}
