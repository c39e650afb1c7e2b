//! This commit against that one: two samples of process runs.
//!
//! Magnitude and significance are kept apart. Magnitude is the ratio of medians with its bootstrap interval. Significance
//! is two tests that fail in different ways: exact Mann-Whitney, which no shape of noise fools but whose p value at 5
//! against 5 is never below 0.008, so that it cannot be corrected for hundreds of benchmarks; and Welch's t on
//! logarithms, whose p value can, but which one outlier undoes. A change has to pass the rank test, and its `p`, the
//! smaller of the two with Bonferroni's factor for having looked twice, is what [`super::judge_pairs`] corrects.

use crate::measurement::Direction;
use crate::stats::{
    Interval, cliffs_delta, mann_whitney, median, normalised_difference, ratio_of_medians, welch_t_test,
};

/// Fewer process runs a side cannot reach p < 0.05 in the rank test.
pub const MIN_RUNS: usize = 4;

/// How two samples differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TwoSample {
    /// Median of the first sample, in its unit.
    pub before: f64,
    /// Median of the second sample, in its unit.
    pub after: f64,
    /// How much slower, as a ratio of costs: 1.05 is 5 % slower, whichever way the unit points. `None` if a value is not
    /// above zero.
    pub cost_ratio: Option<f64>,
    /// The 95 % bootstrap interval of `cost_ratio`.
    pub interval: Option<Interval>,
    /// Mann and Whitney's p value.
    pub rank_p: f64,
    /// Twice the smaller of `rank_p` and Welch's p value (of logarithms where all values are above zero), at most 1: a
    /// valid p value for either test finding something (Bonferroni). `None` with fewer than two values a side.
    pub p: Option<f64>,
    /// Cliff's delta, positive when the second sample costs more.
    pub delta: f64,
    /// The difference of means in pooled standard deviations, positive when the second sample costs more.
    pub normalised_difference: Option<f64>,
}

/// Compares two samples of process runs. `None` if one is empty or holds a value that is not finite.
#[must_use]
pub fn compare_samples(before: &[f64], after: &[f64], direction: Direction) -> Option<TwoSample> {
    let (middle_before, middle_after) = (median(before)?, median(after)?);
    let positive = before.iter().chain(after).all(|value| *value > 0.0);
    let logarithms = |values: &[f64]| -> Vec<f64> { values.iter().map(|value| value.ln()).collect() };
    let t_test = if positive {
        welch_t_test(&logarithms(before), &logarithms(after))
    } else {
        welch_t_test(before, after)
    };
    let (worse, interval) = match direction {
        Direction::SmallerIsBetter => (1.0, ratio_of_medians(before, after, 0.95)),
        Direction::BiggerIsBetter => (-1.0, ratio_of_medians(after, before, 0.95)),
    };
    let rank_p = mann_whitney(before, after)?.p;
    Some(TwoSample {
        before: middle_before,
        after: middle_after,
        cost_ratio: positive.then(|| direction.cost_ratio(middle_before, middle_after)),
        interval,
        rank_p,
        p: t_test.map(|test| (2.0 * test.p.min(rank_p)).min(1.0)),
        delta: worse * cliffs_delta(before, after)?,
        normalised_difference: normalised_difference(before, after).map(|difference| worse * difference),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slower_rate_costs_more() {
        let (before, after) = ([100.0, 101.0, 99.0, 100.0, 102.0], [80.0, 81.0, 79.0, 80.0, 82.0]);
        let rate = compare_samples(&before, &after, Direction::BiggerIsBetter).unwrap();
        assert!((rate.cost_ratio.unwrap() - 1.25).abs() < 1e-12);
        assert!(
            rate.interval.unwrap().low > 1.2
                && rate.delta == 1.0
                && rate.rank_p < 0.01
                && rate.p.unwrap() < 1e-6
        );
        let time = compare_samples(&before, &after, Direction::SmallerIsBetter).unwrap();
        assert!(time.cost_ratio.unwrap() < 1.0 && time.delta == -1.0);
    }

    #[test]
    fn one_outlier_does_not_hide_a_change() {
        let before = [100.0, 101.0, 99.0, 100.5, 99.5, 100.2, 99.8, 101.5];
        let after = [108.0, 109.0, 107.0, 108.5, 107.5, 108.2, 107.8, 250.0];
        let change = compare_samples(&before, &after, Direction::SmallerIsBetter).unwrap();
        assert!(change.p.unwrap() < 0.001, "{change:?}");
    }

    #[test]
    fn zero_has_no_ratio() {
        let result = compare_samples(
            &[0.0, 0.0, 0.0, 0.0],
            &[3.0, 3.0, 3.0, 3.0],
            Direction::SmallerIsBetter,
        )
        .unwrap();
        assert_eq!((result.cost_ratio, result.interval), (None, None));
        assert!(result.rank_p < 0.05 && result.p == Some(0.0));
        assert_eq!(compare_samples(&[], &[1.0], Direction::SmallerIsBetter), None);
    }
}
