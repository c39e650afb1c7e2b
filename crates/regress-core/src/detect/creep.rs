//! Slow creep: steps that each stay under the threshold and together do not.
//!
//! The anchor is the oldest part of the history (a release, the last accepted epoch), not the run before; so updating
//! a baseline from each run cannot hide a climb.

use super::two_sample::{TwoSample, compare_samples};
use crate::measurement::Direction;
use crate::stats::{Trend, theil_sen};

/// A history that ended up slower than its anchor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Creep {
    /// The newest runs against the anchor.
    pub change: TwoSample,
    /// The line through the whole history.
    pub trend: Trend,
}

/// Whether the last `window` runs cost more than the first `window` by more than `percent`, with p < 0.01 and a trend of
/// the same sign. `None` if not, or with fewer than two windows of values that are all finite.
#[must_use]
pub fn detect_creep(history: &[f64], direction: Direction, percent: f64, window: usize) -> Option<Creep> {
    const LEVEL: f64 = 0.01;
    if window == 0 || history.len() / 2 < window {
        return None;
    }
    let change = compare_samples(&history[..window], &history[history.len() - window..], direction)?;
    let trend = theil_sen(history)?;
    let slower = direction.is_worse(0.0, trend.slope);
    let found =
        change.cost_ratio? > 1.0 + percent / 100.0 && change.rank_p < LEVEL && trend.p < LEVEL && slower;
    found.then_some(Creep { change, trend })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_steps_of_half_a_percent_are_found() {
        let climb: Vec<f64> = (0..40)
            .map(|i| 100.0 * 1.005_f64.powi(i) + f64::from(i * 7 % 5))
            .collect();
        let found = detect_creep(&climb, Direction::SmallerIsBetter, 5.0, 10).unwrap();
        assert!(found.change.cost_ratio.unwrap() > 1.1 && found.trend.slope > 0.3);
        assert_eq!(detect_creep(&climb, Direction::BiggerIsBetter, 5.0, 10), None);
    }

    #[test]
    fn noise_does_not_creep() {
        let noise: Vec<f64> = (0..40).map(|i| 100.0 + f64::from(i * 7 % 13)).collect();
        assert_eq!(detect_creep(&noise, Direction::SmallerIsBetter, 5.0, 10), None);
        assert_eq!(
            detect_creep(&noise[..15], Direction::SmallerIsBetter, 5.0, 10),
            None
        );
    }
}
