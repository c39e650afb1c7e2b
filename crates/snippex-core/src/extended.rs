//! Numbers of 80 bits, as x87 registers hold them (SDM vol. 1, section 4.2.2).

/// Of infinities and NaNs.
const SPECIAL: u16 = 0x7fff;
const BIAS: i32 = 16383;
/// Bits of the significand behind the point.
const FRACTION: i32 = 63;

/// An 80-bit number taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extended {
    /// The sign.
    pub negative: bool,
    /// With its bias of 16383, 0..=0x7fff.
    pub exponent: u16,
    /// With its integer bit, which is the highest.
    pub significand: u64,
}

impl Extended {
    /// The number in a register, lowest byte first.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 10]) -> Self {
        let top = u16::from_le_bytes([bytes[8], bytes[9]]);
        Self {
            negative: top >> 15 != 0,
            exponent: top & SPECIAL,
            significand: u64::from_le_bytes(std::array::from_fn(|index| bytes[index])),
        }
    }

    /// Whether it is neither an infinity nor a NaN.
    #[must_use]
    pub fn is_finite(self) -> bool {
        self.exponent != SPECIAL
    }

    /// The value, rounded; a NaN of what is not finite.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        if !self.is_finite() {
            return f64::NAN;
        }
        let magnitude = self.significand as f64 * 2f64.powi(i32::from(self.exponent) - BIAS - FRACTION);
        if self.negative { -magnitude } else { magnitude }
    }
}

#[cfg(test)]
mod tests {
    use super::Extended;

    #[test]
    fn a_register_is_the_number_that_it_holds() {
        let minus_three = [0, 0, 0, 0, 0, 0, 0, 0xc0, 0x00, 0xc0];
        let number = Extended::from_bytes(&minus_three);
        let parts = (number.negative, number.exponent, number.significand);
        assert_eq!(parts, (true, 0x4000, 3 << 62));
        assert!(number.is_finite());
        assert_eq!(number.to_f64().to_bits(), (-3f64).to_bits());
        let infinity = Extended::from_bytes(&[0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x7f]);
        assert!(!infinity.is_finite() && infinity.to_f64().is_nan());
    }
}
