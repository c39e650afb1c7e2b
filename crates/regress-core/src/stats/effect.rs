//! Effect sizes: how far two samples are apart, whatever the unit and however many values there are.

use super::{
    mann_whitney::pairs_won,
    moments::{mean, variance},
};

/// Cliff's delta in -1..=1: the share of pairs in which `after` is larger minus the share in which it is smaller.
#[must_use]
pub fn cliffs_delta(before: &[f64], after: &[f64]) -> Option<f64> {
    let pairs = (before.len() * after.len()) as f64;
    let wins = pairs_won(before, after)?;
    Some((2.0 * wins / pairs - 1.0).clamp(-1.0, 1.0))
}

/// The difference of means (after minus before) in pooled standard deviations, as MongoDB's triage uses it; above
/// 0.57 in size a change point is worth a person's time. Infinite if neither sample varies and the means differ.
#[must_use]
pub fn normalised_difference(before: &[f64], after: &[f64]) -> Option<f64> {
    let difference = mean(after)? - mean(before)?;
    let (m, n) = (before.len() as f64, after.len() as f64);
    let squares = (m - 1.0) * variance(before)? + (n - 1.0) * variance(after)?;
    let pooled = (squares / (m + n - 2.0)).sqrt();
    Some(match (pooled == 0.0, difference == 0.0) {
        (true, true) => 0.0,
        (true, false) => f64::INFINITY.copysign(difference),
        (false, _) => difference / pooled,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delta_counts_pairs() {
        assert_eq!(cliffs_delta(&[1.0, 2.0], &[3.0, 4.0]), Some(1.0));
        assert_eq!(cliffs_delta(&[1.0, 4.0], &[1.0, 4.0]), Some(0.0));
        assert_eq!(cliffs_delta(&[3.0], &[1.0, 2.0]), Some(-1.0));
        assert_eq!(cliffs_delta(&[], &[1.0]), None);
    }

    #[test]
    fn difference_is_in_standard_deviations() {
        let d = normalised_difference(&[1.0, 2.0, 3.0], &[3.0, 4.0, 5.0]).unwrap();
        assert!((d - 2.0).abs() < 1e-12);
        assert_eq!(
            normalised_difference(&[2.0, 2.0], &[1.0, 1.0]),
            Some(f64::NEG_INFINITY)
        );
    }
}
