//! Whether an x87 result is the right number but for the error of computing with fewer bits.

use snippex_core::extended::Extended;

/// The error of computing with 23 bits.
const COARSE: f64 = 1.0 / (1 << 23) as f64;

/// Whether two numbers differ by little of their size.
pub(super) fn is_relatively_near(expected: Extended, actual: Extended) -> bool {
    let (a, b) = (expected.significand as f64, actual.significand as f64);
    let distance = i32::from(expected.exponent) - i32::from(actual.exponent);
    let comparable = expected.is_finite()
        && actual.is_finite()
        && expected.negative == actual.negative
        && distance.abs() <= 1;
    let a = a * 2f64.powi(distance);
    comparable && (a - b).abs() <= COARSE * a.max(b)
}

/// Whether two results of a periodic function differ by what a little of its argument makes.
pub(super) fn is_near(expected: Extended, actual: Extended, argument: f64) -> bool {
    let (a, b) = (expected.to_f64(), actual.to_f64());
    // Near a pole a tangent is as much steeper.
    (a - b).abs() <= COARSE * argument.max(1.0) * (a * a).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(top: u16, significand: u64) -> Extended {
        Extended {
            negative: top >> 15 != 0,
            exponent: top & 0x7fff,
            significand,
        }
    }

    #[test]
    fn a_number_cut_to_a_double_is_near_and_one_twice_as_large_is_not() {
        let number = register(0x3ffe, 0xd76a_a478_4867_7021);
        assert!(is_relatively_near(
            number,
            register(0x3ffe, 0xd76a_a478_4867_7000)
        ));
        assert!(!is_relatively_near(
            number,
            register(0x3fff, 0xd76a_a478_4867_7021)
        ));
        assert!(!is_relatively_near(
            number,
            register(0xbffe, 0xd76a_a478_4867_7021)
        ));
        // Across a power of two, and where a double is zero.
        assert!(is_relatively_near(
            register(0x3fff, 1 << 63),
            register(0x3ffe, u64::MAX)
        ));
        assert!(!is_relatively_near(register(14, 1 << 63), register(15, 1 << 63)));
        let infinity = register(0x7fff, 1 << 63);
        assert!(!is_relatively_near(infinity, infinity));
    }

    #[test]
    fn a_sine_near_a_zero_is_all_error_of_its_argument() {
        let (exact, of_double) = (
            register(0xbfbe, 0xece6_75d1_fc8f_8cbb),
            register(0x3fca, 0x8d31_3198_a2e0_3800),
        );
        assert!(!is_relatively_near(exact, of_double));
        assert!(is_near(exact, of_double, 3.0));
        assert!(!is_near(exact, register(0x3fff, 1 << 63), 3.0));
    }
}
