//! The standard normal distribution.

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::erf::erfc;

/// The probability that |Z| is at least |`z`|; in 0..=1.
#[must_use]
pub fn two_sided_p(z: f64) -> f64 {
    if z.is_nan() {
        1.0
    } else {
        erfc(z.abs() / std::f64::consts::SQRT_2).clamp(0.0, 1.0)
    }
}

/// The value that Z exceeds with probability `tail` (0 < tail < 1).
#[must_use]
pub fn upper_quantile(tail: f64) -> Option<f64> {
    (tail > 0.0 && tail < 1.0).then(|| Normal::standard().inverse_cdf(1.0 - tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_agree() {
        assert!((two_sided_p(1.959_963_985) - 0.05).abs() < 1e-9);
        assert!((upper_quantile(0.025).unwrap() - 1.959_963_985).abs() < 1e-6);
        assert_eq!(two_sided_p(f64::NAN), 1.0);
        assert_eq!(upper_quantile(0.0), None);
    }
}
