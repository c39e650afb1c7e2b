//! A straight trend that outliers do not bend: Theil and Sen's slope with Mann and Kendall's test.

use super::{normal, quantile};

/// A line through a series whose points are one step apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// The median of the slopes of all pairs, in the series' unit per step.
    pub slope: f64,
    /// The line's value at the first point.
    pub intercept: f64,
    /// Mann and Kendall's two-sided p value, with tie correction: small if the series rises or falls.
    pub p: f64,
}

impl Trend {
    /// The line's value at the given step.
    #[must_use]
    pub fn value_at(&self, step: usize) -> f64 {
        self.intercept + self.slope * step as f64
    }
}

/// Fits and tests. `None` with fewer than three values or one that is not finite. Time and memory grow with n^2.
///
/// Sources: P. K. Sen, JASA 63 (1968); M. G. Kendall, "Rank correlation methods" (1975). The test takes the points
/// for independent: a level shift is significant too, so look for change points first.
#[must_use]
pub fn theil_sen(values: &[f64]) -> Option<Trend> {
    let sorted = quantile::sorted_finite_values(values).filter(|sorted| sorted.len() >= 3)?;
    let n = values.len();
    let mut slopes = Vec::with_capacity(n * (n - 1) / 2);
    let mut score = 0.0;
    for (i, &early) in values.iter().enumerate() {
        for (gap, &late) in values[i + 1..].iter().enumerate() {
            let rise = late - early;
            score += if rise > 0.0 {
                1.0
            } else if rise < 0.0 {
                -1.0
            } else {
                0.0
            };
            slopes.push(rise / (gap + 1) as f64);
        }
    }
    let slope = quantile::select_median(&mut slopes);
    let mut levels: Vec<f64> = values
        .iter()
        .enumerate()
        .map(|(i, value)| value - slope * i as f64)
        .collect();
    Some(Trend {
        slope,
        intercept: quantile::select_median(&mut levels),
        p: mann_kendall_p(score, &sorted),
    })
    .filter(|trend| trend.slope.is_finite() && trend.intercept.is_finite())
}

fn mann_kendall_p(score: f64, sorted: &[f64]) -> f64 {
    let weight = |count: f64| count * (count - 1.0) * (2.0 * count + 5.0);
    let ties: f64 = sorted
        .chunk_by(|a, b| a == b)
        .map(|group| weight(group.len() as f64))
        .sum();
    let variance = (weight(sorted.len() as f64) - ties) / 18.0;
    if variance <= 0.0 {
        return 1.0;
    }
    normal::two_sided_p((score.abs() - 1.0).max(0.0) / variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_does_not_bend_the_line() {
        let mut values: Vec<f64> = (0..20).map(|i| 100.0 + 2.0 * f64::from(i)).collect();
        values[10] = 1000.0;
        let trend = theil_sen(&values).unwrap();
        assert!(
            (trend.slope - 2.0).abs() < 1e-9 && (trend.value_at(5) - 110.0).abs() < 1e-9,
            "{trend:?}"
        );
        assert!(trend.p < 1e-6);
    }

    #[test]
    fn a_constant_has_no_trend() {
        let trend = theil_sen(&[5.0; 10]).unwrap();
        assert_eq!((trend.slope, trend.p), (0.0, 1.0));
        assert_eq!(theil_sen(&[1.0, 2.0]), None);
        assert_eq!(theil_sen(&[1.0, f64::NAN, 2.0]), None);
        assert_eq!(theil_sen(&[f64::MAX, -f64::MAX, f64::MAX, -f64::MAX]), None);
    }
}
