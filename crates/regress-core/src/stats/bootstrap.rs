//! The bootstrap interval of the ratio of two medians: how much slower, and how sure.
//!
//! Small samples use the exact law of the resampled median; larger ones are resampled with a fixed seed. Either way the
//! same values give the same interval everywhere.

use super::{interval::Interval, median_law::MedianLaw, quantile, rng::Rng};

/// Samples of at most this many values need no drawing.
const EXACT_LIMIT: usize = 40;
const RESAMPLES: usize = 2_000;
const SEED: u64 = 0x005e_ed0f_7e57;

/// The percentile interval of median(after) / median(before) at `confidence`.
///
/// `None` if a sample is empty, or holds a value that is not finite or not above zero: a ratio of such means nothing.
/// Source: B. Efron, Annals of Statistics 7 (1979).
#[must_use]
pub fn ratio_of_medians(before: &[f64], after: &[f64], confidence: f64) -> Option<Interval> {
    let before = quantile::sorted_finite_values(before).filter(|sorted| sorted[0] > 0.0)?;
    let after = quantile::sorted_finite_values(after).filter(|sorted| sorted[0] > 0.0)?;
    if confidence.is_nan() {
        return None;
    }
    let tail = ((1.0 - confidence) / 2.0).clamp(0.0, 0.5);
    Some(if before.len().max(after.len()) <= EXACT_LIMIT {
        exact(&before, &after, tail)
    } else {
        drawn(&before, &after, tail)
    })
}

/// The probability that the ratio of resampled medians, after over before, exceeds `ratio`; in 0..=1.
///
/// `None` as for [`ratio_of_medians`].
#[must_use]
pub fn probability_above(before: &[f64], after: &[f64], ratio: f64) -> Option<f64> {
    let before = quantile::sorted_finite_values(before).filter(|sorted| sorted[0] > 0.0)?;
    let after = quantile::sorted_finite_values(after).filter(|sorted| sorted[0] > 0.0)?;
    if ratio.is_nan() {
        return None;
    }
    let at_most = if before.len().max(after.len()) <= EXACT_LIMIT {
        let (law_before, law_after) = (MedianLaw::of_sorted(&before), MedianLaw::of_sorted(&after));
        law_before
            .atoms()
            .map(|(value, probability)| probability * law_after.at_most(value * ratio))
            .sum()
    } else {
        drawn_ratios(&before, &after).partition_point(|&drawn| drawn <= ratio) as f64 / RESAMPLES as f64
    };
    Some((1.0_f64 - at_most).clamp(0.0, 1.0))
}

fn exact(before: &[f64], after: &[f64], tail: f64) -> Interval {
    let (law_before, law_after) = (MedianLaw::of_sorted(before), MedianLaw::of_sorted(after));
    let at_most = |ratio: f64| -> f64 {
        law_before
            .atoms()
            .map(|(value, probability)| probability * law_after.at_most(value * ratio))
            .sum()
    };
    let least = after[0] / before[before.len() - 1];
    let most = after[after.len() - 1] / before[0];
    let low = first_reaching(&at_most, tail, least, most);
    let high = first_reaching(&at_most, 1.0 - tail, low, most);
    Interval { low, high }
}

/// The smallest ratio whose probability reaches `share`, by bisection of `low`..=`high` down to 1e-12 of it.
fn first_reaching(at_most: &impl Fn(f64) -> f64, share: f64, mut low: f64, mut high: f64) -> f64 {
    // Rounding may leave the whole law at slightly less than 1.
    let share = share.min(1.0 - 1e-9);
    if at_most(low) >= share {
        return low;
    }
    while high - low > 1e-12 * high {
        let middle = low.midpoint(high);
        if middle <= low || middle >= high {
            break;
        }
        if at_most(middle) >= share {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

fn drawn(before: &[f64], after: &[f64], tail: f64) -> Interval {
    let ratios = drawn_ratios(before, after);
    Interval {
        low: quantile::quantile_of_sorted(&ratios, tail),
        high: quantile::quantile_of_sorted(&ratios, 1.0 - tail),
    }
}

/// Ratios of resampled medians, ascending.
fn drawn_ratios(before: &[f64], after: &[f64]) -> Vec<f64> {
    let mut rng = Rng::new(SEED);
    let mut indices = Vec::new();
    let mut ratios: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let denominator = drawn_median(before, &mut indices, &mut rng);
            drawn_median(after, &mut indices, &mut rng) / denominator
        })
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    ratios
}

fn drawn_median(sorted: &[f64], indices: &mut Vec<usize>, rng: &mut Rng) -> f64 {
    indices.clear();
    indices.extend(sorted.iter().map(|_| rng.next_below(sorted.len())));
    let half = indices.len() / 2;
    let (lower, &mut upper, _) = indices.select_nth_unstable(half);
    if sorted.len() % 2 == 1 {
        return sorted[upper];
    }
    // An even number of draws has at least one below the middle.
    let lower = lower.iter().copied().max().unwrap_or(upper);
    sorted[lower].midpoint(sorted[upper])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawing_and_the_exact_law_agree() {
        let before: Vec<f64> = (0..21).map(|i| 100.0 + f64::from(i * i % 13)).collect();
        let after: Vec<f64> = (0..20).map(|i| 110.0 + f64::from(i * i % 11)).collect();
        let (a, b) = (
            quantile::sorted_finite_values(&before).unwrap(),
            quantile::sorted_finite_values(&after).unwrap(),
        );
        let (exact, drawn) = (exact(&a, &b, 0.025), drawn(&a, &b, 0.025));
        assert!(
            (exact.low - drawn.low).abs() < 0.01 && (exact.high - drawn.high).abs() < 0.01,
            "{exact:?} {drawn:?}"
        );
        assert!(exact.low > 1.0 && exact.high < 1.2);
    }

    #[test]
    fn equal_constants_have_the_ratio_one() {
        let interval = ratio_of_medians(&[2.0; 5], &[2.0; 5], 0.95).unwrap();
        assert!((interval.low - 1.0).abs() < 1e-9 && (interval.high - 1.0).abs() < 1e-9);
    }

    #[test]
    fn probabilities_agree_with_the_interval() {
        let before: Vec<f64> = (0..9).map(|i| 100.0 + f64::from(i * i % 13)).collect();
        let after: Vec<f64> = (0..9).map(|i| 110.0 + f64::from(i * i % 11)).collect();
        let interval = ratio_of_medians(&before, &after, 0.95).unwrap();
        let above = |ratio| probability_above(&before, &after, ratio).unwrap();
        assert!(above(interval.low * 0.999) >= 0.975 - 1e-9 && above(interval.high) <= 0.025 + 1e-9);
        let (many_before, many_after) = (before.repeat(6), after.repeat(6));
        assert!(probability_above(&many_before, &many_after, 1.0).unwrap() > 0.99);
        assert_eq!(probability_above(&[0.0], &[1.0], 1.0), None);
    }

    #[test]
    fn what_has_no_ratio_has_no_interval() {
        assert_eq!(ratio_of_medians(&[0.0, 1.0], &[1.0], 0.95), None);
        assert_eq!(ratio_of_medians(&[1.0], &[-1.0], 0.95), None);
        assert_eq!(ratio_of_medians(&[1.0], &[f64::NAN], 0.95), None);
        assert_eq!(ratio_of_medians(&[1.0], &[1.0], f64::NAN), None);
        assert!(ratio_of_medians(&[f64::MIN_POSITIVE], &[f64::MAX], 0.95).is_some());
    }
}
