//! Histories that repeat: runners that are slower at noon, nightly jobs beside a backup.

use crate::stats::{Decomposition, decompose_seasonal};

/// The strongest pattern among `periods`, if there is one.
///
/// A period counts if its phases differ with p < 0.01 after Bonferroni's correction for the periods tried.
/// [`Decomposition::seasonally_adjusted`] is the history to look at instead.
#[must_use]
pub fn detect_season(history: &[f64], periods: &[usize]) -> Option<(usize, Decomposition)> {
    let level = 0.01 / periods.len().max(1) as f64;
    let found = periods
        .iter()
        .filter_map(|&period| Some((period, decompose_seasonal(history, period)?)));
    found
        .filter(|(_, parts)| parts.p < level)
        .min_by(|a, b| a.1.p.total_cmp(&b.1.p))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::rng::Rng;

    #[test]
    fn the_period_is_found_among_others() {
        let mut rng = Rng::new(3);
        let noise: Vec<f64> = (0..84).map(|_| 100.0 + rng.next_normal()).collect();
        assert!(detect_season(&noise, &[7, 24]).is_none());
        let weekly: Vec<f64> = noise
            .iter()
            .enumerate()
            .map(|(i, v)| v + if i % 7 > 4 { 9.0 } else { 0.0 })
            .collect();
        let (period, parts) = detect_season(&weekly, &[5, 7, 24]).unwrap();
        assert_eq!(period, 7);
        assert!(
            parts
                .seasonally_adjusted()
                .iter()
                .all(|value| (value - 100.0).abs() < 6.0)
        );
    }
}
