//! Limits from a history: what the next value should not exceed.

use crate::stats::{iqr_fences, mean, median, normal, quantile, std_dev, student};

/// A way to draw an upper limit over a history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// The mean plus a share of it (0.10 for 10 %).
    Percent(f64),
    /// The mean plus this many standard deviations.
    StdDev(f64),
    /// The normal quantile of this probability (0.977), with the sample's mean and standard deviation.
    Normal(f64),
    /// The quantile of this probability for one more value, by Student's t: the uncertain mean is counted in.
    Student(f64),
    /// The median plus this many interquartile ranges.
    Iqr(f64),
    /// The median plus this many interquartile ranges of the relative differences between neighbours, times the median.
    DeltaIqr(f64),
    /// Tukey's upper fence: the third quartile plus this many interquartile ranges.
    Fence(f64),
    /// The k-th highest value, 1 for the highest.
    Highest(usize),
}

impl Limit {
    /// The limit over `history`; `None` if the history is too short for it, holds a value that is not finite, or the
    /// parameter makes no sense. For a unit where bigger is better, mirror with [`Limit::below_history`].
    #[must_use]
    pub fn above_history(self, history: &[f64]) -> Option<f64> {
        let limit = match self {
            Self::Percent(share) => mean(history)? * (1.0 + share),
            Self::StdDev(count) => mean(history)? + count * std_dev(history)?,
            Self::Normal(probability) => {
                mean(history)? + normal::upper_quantile(1.0 - probability)? * std_dev(history)?
            }
            Self::Student(probability) => {
                let count = history.len() as f64;
                let reach = student::upper_quantile(1.0 - probability, count - 1.0)?;
                mean(history)? + reach * std_dev(history)? * (1.0 + 1.0 / count).sqrt()
            }
            Self::Iqr(count) => median(history)? + count * range(history)?,
            Self::DeltaIqr(count) => {
                let deltas: Vec<f64> = history
                    .windows(2)
                    .map(|pair| (pair[1] - pair[0]).abs() / pair[0].abs())
                    .collect();
                median(history)? * (1.0 + count * range(&deltas)?)
            }
            Self::Fence(count) => iqr_fences(history, count)?.high,
            Self::Highest(place) => {
                let mut sorted = history.to_vec();
                sorted.sort_unstable_by(|a, b| b.total_cmp(a));
                *sorted.get(place.checked_sub(1)?)?
            }
        };
        limit.is_finite().then_some(limit)
    }

    /// The same limit below the history.
    #[must_use]
    pub fn below_history(self, history: &[f64]) -> Option<f64> {
        let mirrored: Vec<f64> = history.iter().map(|value| -value).collect();
        match self {
            // A share of the mean and of the median does not mirror.
            Self::Percent(share) => Self::Percent(-share).above_history(history),
            Self::DeltaIqr(count) => Self::DeltaIqr(-count).above_history(history),
            _ => self.above_history(&mirrored).map(|limit| -limit),
        }
    }
}

fn range(values: &[f64]) -> Option<f64> {
    Some(quantile(values, 0.75)? - quantile(values, 0.25)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values with the given mean and sample standard deviation.
    fn with_moments(count: usize, mean: f64, spread: f64) -> Vec<f64> {
        let raw: Vec<f64> = (0..count).map(|i| i as f64).collect();
        let (centre, scale) = (crate::stats::mean(&raw).unwrap(), std_dev(&raw).unwrap());
        raw.iter()
            .map(|value| mean + spread * (value - centre) / scale)
            .collect()
    }

    #[test]
    fn limits_are_those_bencher_documents() {
        let history = with_moments(25, 100.0, 10.0);
        let close =
            |limit: Limit, expected: f64| (limit.above_history(&history).unwrap() - expected).abs() < 0.02;
        assert!(close(Limit::Normal(0.977), 119.95));
        assert!(
            close(Limit::Student(0.977), 121.46),
            "{:?}",
            Limit::Student(0.977).above_history(&history)
        );
        assert!(close(Limit::Percent(0.10), 110.0));
        let quartiles = [90.0, 95.0, 100.0, 105.0, 110.0];
        assert_eq!(Limit::Iqr(2.0).above_history(&quartiles), Some(120.0));
    }

    #[test]
    fn below_mirrors_above() {
        let history = with_moments(25, 100.0, 10.0);
        assert!((Limit::StdDev(2.0).below_history(&history).unwrap() - 80.0).abs() < 1e-9);
        assert!((Limit::Percent(0.1).below_history(&history).unwrap() - 90.0).abs() < 1e-9);
        assert_eq!(Limit::Highest(1).below_history(&[3.0, 1.0, 2.0]), Some(1.0));
        assert_eq!(Limit::Highest(2).above_history(&[3.0, 1.0, 2.0]), Some(2.0));
    }

    #[test]
    fn too_little_history_has_no_limit() {
        for limit in [
            Limit::StdDev(2.0),
            Limit::Student(0.9),
            Limit::DeltaIqr(2.0),
            Limit::Highest(2),
        ] {
            assert_eq!(limit.above_history(&[1.0]), None);
        }
        assert_eq!(Limit::Highest(0).above_history(&[1.0]), None);
        assert_eq!(Limit::DeltaIqr(1.0).above_history(&[0.0, 1.0, 2.0]), None);
        assert_eq!(Limit::Normal(1.0).above_history(&[1.0, 2.0]), None);
    }
}
