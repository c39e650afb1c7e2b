//! Mean, standard deviation, and the t interval of a mean.

use super::{interval::Interval, student};

/// The arithmetic mean. `None` without values or with one that is not finite.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let count = values.len() as f64;
    let sum: f64 = values.iter().sum();
    // A sum that overflows still has a finite mean.
    Some(if sum.is_finite() {
        sum / count
    } else {
        values.iter().map(|value| value / count).sum()
    })
}

/// The sample variance (divisor n - 1). `None` with fewer than two values or one that is not finite.
#[must_use]
pub fn variance(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let centre = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    Some(squares / (values.len() - 1) as f64).filter(|variance| variance.is_finite())
}

/// The sample standard deviation (divisor n - 1). `None` with fewer than two values or one that is not finite.
#[must_use]
pub fn std_dev(values: &[f64]) -> Option<f64> {
    variance(values).map(f64::sqrt)
}

/// Student's t interval of the mean at `confidence` (0.95 is usual). `None` with fewer than two values.
#[must_use]
pub fn mean_interval(values: &[f64], confidence: f64) -> Option<Interval> {
    let (centre, spread) = (mean(values)?, std_dev(values)?);
    let count = values.len() as f64;
    let reach = student::upper_quantile((1.0 - confidence) / 2.0, count - 1.0)? * spread / count.sqrt();
    Some(Interval {
        low: centre - reach,
        high: centre + reach,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_of_a_small_sample_is_the_textbook_one() {
        let values = [4.0, 5.0, 6.0, 7.0, 8.0];
        assert_eq!(mean(&values), Some(6.0));
        assert!((std_dev(&values).unwrap() - 2.5_f64.sqrt()).abs() < 1e-12);
        // t(0.975, 4) = 2.776445
        let interval = mean_interval(&values, 0.95).unwrap();
        assert!((interval.high - (6.0 + 2.776_445_105 * 2.5_f64.sqrt() / 5.0_f64.sqrt())).abs() < 1e-6);
        assert!(interval.contains(6.0) && (interval.width() - 2.0 * (interval.high - 6.0)).abs() < 1e-9);
    }

    #[test]
    fn no_panic_on_hostile_values() {
        assert_eq!(mean(&[f64::MAX, f64::MAX]), Some(f64::MAX));
        assert_eq!(std_dev(&[1.0]), None);
        assert_eq!(std_dev(&[f64::NAN, 1.0]), None);
        assert_eq!(std_dev(&[f64::MAX, -f64::MAX]), None);
        assert_eq!(mean_interval(&[1.0, 2.0], 1.0), None);
    }
}
