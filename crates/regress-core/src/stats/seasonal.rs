//! Seasonal decomposition: a series as trend, a repeating pattern, and the rest.
//!
//! For runners that are slower at noon than at night. Medians throughout, so that a spike stays in the rest.

use super::{kruskal_wallis::kruskal_wallis, quantile::median};

/// A series taken apart; every part is as long as the series, and the three add up to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decomposition {
    /// The running median over one period.
    pub trend: Vec<f64>,
    /// The pattern, repeated; its median over a period is zero.
    pub seasonal: Vec<f64>,
    /// What is left.
    pub remainder: Vec<f64>,
    /// Kruskal and Wallis's p value over the phases of the series without its trend: small if there is a pattern.
    pub p: f64,
}

impl Decomposition {
    /// The series without its pattern.
    #[must_use]
    pub fn seasonally_adjusted(&self) -> Vec<f64> {
        self.trend
            .iter()
            .zip(&self.remainder)
            .map(|(trend, rest)| trend + rest)
            .collect()
    }
}

/// Takes `values` apart with a pattern of `period` points. `None` if the period is below 2, if there are fewer than
/// three periods, or with a value that is not finite.
#[must_use]
pub fn decompose_seasonal(values: &[f64], period: usize) -> Option<Decomposition> {
    if period < 2 || values.len() / 3 < period || !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let trend: Vec<f64> = (0..values.len())
        .map(|i| running_median(values, i, period))
        .collect();
    let detrended: Vec<f64> = values
        .iter()
        .zip(&trend)
        .map(|(value, trend)| value - trend)
        .collect();
    let mut phases = vec![Vec::new(); period];
    for (index, value) in detrended.iter().enumerate() {
        phases[index % period].push(*value);
    }
    let pattern: Vec<f64> = phases.iter().map(|phase| median(phase)).collect::<Option<_>>()?;
    let centre = median(&pattern)?;
    let seasonal: Vec<f64> = (0..values.len()).map(|i| pattern[i % period] - centre).collect();
    let remainder = detrended
        .iter()
        .zip(&seasonal)
        .map(|(value, season)| value - season)
        .collect();
    Some(Decomposition {
        trend,
        seasonal,
        remainder,
        p: kruskal_wallis(&phases)?,
    })
}

/// The median of the whole period of points around `index`, moved inward at the ends.
fn running_median(values: &[f64], index: usize, period: usize) -> f64 {
    let start = index.saturating_sub(period / 2).min(values.len() - period);
    // The window is not empty and its values are finite.
    median(&values[start..start + period]).unwrap_or(values[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weekly_pattern_is_found_and_removed() {
        let pattern = [0.0, 0.0, 0.0, 0.0, 0.0, 8.0, 9.0];
        let values: Vec<f64> = (0..70_u32)
            .map(|i| 100.0 + pattern[i as usize % 7] + f64::from(i * 7919 % 11) * 0.05)
            .collect();
        let parts = decompose_seasonal(&values, 7).unwrap();
        assert!(parts.p < 1e-6, "{}", parts.p);
        assert!((parts.seasonal[5] - 8.0).abs() < 0.5 && parts.seasonal[1].abs() < 0.5);
        assert!(
            parts
                .seasonally_adjusted()
                .iter()
                .all(|value| (value - 100.25).abs() < 0.6)
        );
        for (i, value) in values.iter().enumerate() {
            assert!((parts.trend[i] + parts.seasonal[i] + parts.remainder[i] - value).abs() < 1e-9);
        }
    }

    #[test]
    fn noise_has_no_pattern() {
        let values: Vec<f64> = (0..70_u64).map(|i| 100.0 + ((i * 7919) % 31) as f64).collect();
        assert!(decompose_seasonal(&values, 7).unwrap().p > 0.05);
        assert_eq!(decompose_seasonal(&values, 1), None);
        assert_eq!(decompose_seasonal(&values[..20], 7), None);
    }
}
