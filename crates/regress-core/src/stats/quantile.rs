//! Order statistics: quantiles, median, median absolute deviation, Tukey's fences.

/// A sorted copy, or `None` if `values` is empty or holds a value that is not finite.
pub(crate) fn sorted_finite_values(values: &[f64]) -> Option<Vec<f64>> {
    if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let mut copy = values.to_vec();
    copy.sort_unstable_by(f64::total_cmp);
    Some(copy)
}

/// The quantile of values already sorted, by linear interpolation between order statistics (Hyndman and Fan's
/// type 7, as R and NumPy have it). `sorted` must not be empty.
pub(crate) fn quantile_of_sorted(sorted: &[f64], q: f64) -> f64 {
    let place = q.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let share = place - below as f64;
    // Not `a + share * (b - a)`: the difference of two finite values may overflow.
    sorted[below] * (1.0 - share) + sorted[above] * share
}

/// The `q` quantile, `q` clamped to 0..=1 (type 7). `None` without values or with one that is not finite.
#[must_use]
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    Some(quantile_of_sorted(&sorted_finite_values(values)?, q))
}

/// The middle value, or the mean of the two middle ones. `None` without values or with one that is not finite.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    Some(select_median(&mut values.to_vec()))
}

/// The median by selection, in linear time; `values` must not be empty and are left in some other order.
pub(crate) fn select_median(values: &mut [f64]) -> f64 {
    let half = values.len() / 2;
    let odd = !values.len().is_multiple_of(2);
    let (lower, &mut upper, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    if odd {
        upper
    } else {
        lower
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max)
            .midpoint(upper)
    }
}

/// The median distance from the median, unscaled (times 1.4826 it estimates a normal's standard deviation).
#[must_use]
pub fn median_absolute_deviation(values: &[f64]) -> Option<f64> {
    let centre = median(values)?;
    let distances: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
    median(&distances)
}

/// The range outside which Tukey calls a value an outlier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fences {
    /// First quartile minus `reach` interquartile ranges.
    pub low: f64,
    /// Third quartile plus `reach` interquartile ranges.
    pub high: f64,
}

impl Fences {
    /// Whether `value` lies outside.
    #[must_use]
    pub fn excludes(&self, value: f64) -> bool {
        value < self.low || value > self.high
    }
}

/// Tukey's fences, `reach` interquartile ranges outside the quartiles (1.5: outlier, 3: far out).
#[must_use]
pub fn iqr_fences(values: &[f64], reach: f64) -> Option<Fences> {
    let sorted = sorted_finite_values(values)?;
    let (first, third) = (
        quantile_of_sorted(&sorted, 0.25),
        quantile_of_sorted(&sorted, 0.75),
    );
    let reach = reach * (third - first);
    Some(Fences {
        low: first - reach,
        high: third + reach,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_numpy() {
        let values = [7.0, 1.0, 3.0, 10.0];
        assert_eq!(median(&values), Some(5.0));
        assert_eq!(quantile(&values, 0.25), Some(2.5));
        assert!((quantile(&values, 0.9).unwrap() - 9.1).abs() < 1e-12);
        assert_eq!(quantile(&values, 2.0), Some(10.0));
    }

    #[test]
    fn one_far_value_is_outside_the_fences() {
        let values = [10.0, 11.0, 12.0, 11.0, 10.0, 40.0];
        let fences = iqr_fences(&values, 1.5).unwrap();
        let outside: Vec<f64> = values
            .into_iter()
            .filter(|value| fences.excludes(*value))
            .collect();
        assert_eq!(outside, [40.0]);
        assert_eq!(median_absolute_deviation(&values), Some(1.0));
    }

    #[test]
    fn what_has_no_order_has_no_median() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[1.0, f64::NAN]), None);
        assert_eq!(median(&[1.0, f64::INFINITY]), None);
        assert_eq!(median(&[f64::MAX, f64::MAX]), Some(f64::MAX));
    }
}
