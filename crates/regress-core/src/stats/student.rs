//! Student's t distribution, by the regularised incomplete beta function.

use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::function::beta::checked_beta_reg;

/// The probability that |T| is at least |`t`| with `degrees` of freedom; in 0..=1.
#[must_use]
pub fn two_sided_p(t: f64, degrees: f64) -> Option<f64> {
    if t.is_nan() || degrees.is_nan() || degrees <= 0.0 {
        return None;
    }
    if t.is_infinite() {
        return Some(0.0);
    }
    let x = degrees / (degrees + t * t);
    checked_beta_reg(degrees / 2.0, 0.5, x.clamp(0.0, 1.0))
        .ok()
        .map(|p| p.clamp(0.0, 1.0))
}

/// The value that T exceeds with probability `tail` (0 < tail < 1).
#[must_use]
pub fn upper_quantile(tail: f64, degrees: f64) -> Option<f64> {
    if !(tail > 0.0 && tail < 1.0) {
        return None;
    }
    Some(StudentsT::new(0.0, 1.0, degrees).ok()?.inverse_cdf(1.0 - tail)).filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_agree() {
        assert!((two_sided_p(2.776_445_105, 4.0).unwrap() - 0.05).abs() < 1e-9);
        assert!((two_sided_p(-12.706_204_736, 1.0).unwrap() - 0.05).abs() < 1e-9);
        assert!((upper_quantile(0.025, 4.0).unwrap() - 2.776_445_105).abs() < 1e-6);
        assert_eq!(two_sided_p(0.0, 3.0), Some(1.0));
        assert_eq!(two_sided_p(f64::INFINITY, 3.0), Some(0.0));
        assert_eq!(two_sided_p(f64::NAN, 3.0), None);
    }
}
