//! 80-bit numbers of the x87 unit as people read them (Intel SDM volume 1, section 4.2.2 and table 8-3).

use std::fmt;

/// What an 80-bit pattern stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtendedClass {
    /// Zero.
    Zero,
    /// Exponent 0, integer bit clear.
    Denormal,
    /// Exponent 0, integer bit set.
    PseudoDenormal,
    /// A number with its integer bit set.
    Normal,
    /// Infinity.
    Infinity,
    /// A NaN that raises nothing.
    QuietNan,
    /// The NaN that an invalid operation answers with.
    Indefinite,
    /// A NaN that raises the invalid-operation exception.
    SignallingNan,
    /// Integer bit clear where it has to be set: no processor since the 80387 takes it.
    Unsupported,
}

/// An 80-bit number in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extended {
    /// Whether the sign bit is set.
    pub negative: bool,
    /// As stored, with its bias of 16383.
    pub biased_exponent: u16,
    /// All 64 bits, the integer bit on top.
    pub significand: u64,
}

impl Extended {
    /// The number in `bytes`, lowest first.
    #[must_use]
    pub fn new(bytes: [u8; 10]) -> Self {
        let [s0, s1, s2, s3, s4, s5, s6, s7, low, high] = bytes;
        let top = u16::from_le_bytes([low, high]);
        Self {
            negative: top >> 15 != 0,
            biased_exponent: top & 0x7fff,
            significand: u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
        }
    }

    /// What it stands for.
    #[must_use]
    pub fn class(self) -> ExtendedClass {
        let integer = self.significand >> 63 != 0;
        let fraction = self.significand & (u64::MAX >> 1);
        match (self.biased_exponent, integer, fraction) {
            (0, false, 0) => ExtendedClass::Zero,
            (0, false, _) => ExtendedClass::Denormal,
            (0, true, _) => ExtendedClass::PseudoDenormal,
            (_, false, _) => ExtendedClass::Unsupported,
            (0x7fff, true, 0) => ExtendedClass::Infinity,
            (0x7fff, true, 0x4000_0000_0000_0000) if self.negative => ExtendedClass::Indefinite,
            (0x7fff, true, fraction) if fraction >> 62 != 0 => ExtendedClass::QuietNan,
            (0x7fff, true, _) => ExtendedClass::SignallingNan,
            _ => ExtendedClass::Normal,
        }
    }

    /// How many representable numbers lie between it and `other`, plus one; `None` unless both are numbers of one sign.
    #[must_use]
    pub fn distance_to(self, other: Self) -> Option<u128> {
        let finite = |number: Self| {
            matches!(
                number.class(),
                ExtendedClass::Zero
                    | ExtendedClass::Denormal
                    | ExtendedClass::PseudoDenormal
                    | ExtendedClass::Normal
            )
        };
        if !finite(self) || !finite(other) || self.negative != other.negative {
            return None;
        }
        Some(self.rank().abs_diff(other.rank()))
    }

    /// Its place among the numbers of its sign, from zero up.
    fn rank(self) -> u128 {
        let exponent = u128::from(self.biased_exponent.max(1) - 1);
        (exponent << 63) + u128::from(self.significand)
    }

    /// Decimal digits, about as exact as a double.
    fn decimal(self) -> String {
        let sign = if self.negative { "-" } else { "" };
        let exponent = i32::from(self.biased_exponent.max(1)) - 16383 - 63;
        let value = self.significand as f64 * f64::from(exponent).exp2();
        if value.is_normal() {
            return format!("{sign}{value:e}");
        }
        // Beyond a double: by its logarithm.
        let log = (self.significand as f64).log10() + f64::from(exponent) * std::f64::consts::LOG10_2;
        let power = log.floor();
        format!("{sign}{:.9}e{power}", 10_f64.powf(log - power))
    }
}

impl fmt::Display for Extended {
    /// `-1.5e0 (sign 1, exponent 0, significand c000000000000000)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "+" };
        match self.class() {
            ExtendedClass::Zero => write!(f, "{sign}0")?,
            ExtendedClass::Denormal => write!(f, "{} denormal", self.decimal())?,
            ExtendedClass::PseudoDenormal => write!(f, "{} pseudo-denormal", self.decimal())?,
            ExtendedClass::Normal => f.write_str(&self.decimal())?,
            ExtendedClass::Infinity => write!(f, "{sign}infinity")?,
            ExtendedClass::QuietNan => f.write_str("quiet NaN")?,
            ExtendedClass::Indefinite => f.write_str("indefinite (quiet NaN)")?,
            ExtendedClass::SignallingNan => f.write_str("signalling NaN")?,
            ExtendedClass::Unsupported => f.write_str("unsupported encoding")?,
        }
        write!(
            f,
            " (sign {}, exponent {}, significand {:016x})",
            u8::from(self.negative),
            i32::from(self.biased_exponent) - 16383,
            self.significand
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extended(top: u16, significand: u64) -> Extended {
        Extended {
            negative: top >> 15 != 0,
            biased_exponent: top & 0x7fff,
            significand,
        }
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        let one = extended(0x3fff, 1 << 63);
        assert_eq!(
            one.to_string(),
            "1e0 (sign 0, exponent 0, significand 8000000000000000)"
        );
        assert!(
            extended(0xc000, 0xc90f_daa2_2168_c235)
                .to_string()
                .starts_with("-3.14159265")
        );
        assert!(extended(0x7ffe, u64::MAX).to_string().starts_with("1.18973149"));
        assert!(
            extended(0, 1).to_string().starts_with("3.64519953"),
            "{}",
            extended(0, 1)
        );
    }

    #[test]
    fn each_kind_of_pattern_is_told_apart() {
        use ExtendedClass as C;
        for (top, significand, class) in [
            (0x8000, 0, C::Zero),
            (0, 1, C::Denormal),
            (0, 1 << 63, C::PseudoDenormal),
            (0x7fff, 1 << 63, C::Infinity),
            (0x7fff, 3 << 62, C::QuietNan),
            (0xffff, 3 << 62, C::Indefinite),
            (0x7fff, (1 << 63) | 1, C::SignallingNan),
            (0x7fff, 1, C::Unsupported),
            (0x3fff, 1, C::Unsupported),
            (0x3fff, 1 << 63, C::Normal),
        ] {
            assert_eq!(
                extended(top, significand).class(),
                class,
                "{top:x} {significand:x}"
            );
        }
    }

    #[test]
    fn neighbours_are_one_apart() {
        let (below, above) = (extended(0x3ffe, u64::MAX), extended(0x3fff, 1 << 63));
        assert_eq!(below.distance_to(above), Some(1));
        assert_eq!(
            extended(0, u64::MAX >> 1).distance_to(extended(1, 1 << 63)),
            Some(1)
        );
        assert_eq!(extended(0x8000, 0).distance_to(above), None);
        assert_eq!(extended(0x7fff, 1 << 63).distance_to(above), None);
    }
}
