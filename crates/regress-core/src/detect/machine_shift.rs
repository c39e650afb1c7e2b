//! Shifts of the whole suite: when most benchmarks of an environment move at one point, the machine may be the cause, and
//! so may code that all of them share. Only evidence from outside tells: see [`Evidence`].
//!
//! Series that were measured in the same runs share what the machine did. The machine's trend is the median over the
//! series of each value's logarithm against its own series' median; taking it out leaves what the code did. It needs
//! several series of which fewer than half change at the same point.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::change_points::{ChangePoint, ChangePointSettings, change_points};
use crate::measurement::Measure;
use crate::stats::median;

/// Fewer series have no majority worth the name.
pub const MIN_SERIES: usize = 5;
/// A smaller ratio of costs is no move.
const MIN_FACTOR: f64 = 1.025;

/// Most benchmarks of one measure moved the same way at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteShift {
    /// What is measured about them.
    pub measure: Measure,
    /// How much more they cost, as a ratio: the median over the benchmarks.
    pub factor: f64,
    /// How many moved.
    pub moved: usize,
    /// How many there are.
    pub of: usize,
    /// What says that it was the machine. Without it the shift is taken for the code's doing.
    pub evidence: Option<Evidence>,
}

/// What shows from outside of the judged benchmarks that the machine moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// Benchmarks that the code under test has no part in moved, too: how many, and their median ratio of costs.
    Controls {
        /// How many.
        count: usize,
        /// Their median ratio of costs.
        factor: f64,
    },
    /// A commit that was measured before was measured again, and moved.
    MeasuredAgain {
        /// The commit.
        commit: String,
        /// Its median ratio of costs, now to then.
        factor: f64,
    },
    /// Another branch of the repository, which does not have the judged code, moved by as much.
    OtherBranch {
        /// Its name.
        name: String,
        /// By what ratio of costs.
        factor: f64,
    },
    /// Another repository that is measured in the same environment moved, too.
    OtherRepository {
        /// Its name.
        name: String,
        /// By what ratio of costs.
        factor: f64,
    },
}

impl Evidence {
    /// The ratio by which the machine made everything cost more (above 1) or less.
    #[must_use]
    pub fn factor(&self) -> f64 {
        match self {
            Self::Controls { factor, .. }
            | Self::MeasuredAgain { factor, .. }
            | Self::OtherBranch { factor, .. }
            | Self::OtherRepository { factor, .. } => *factor,
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = (self.factor() - 1.0) * 100.0;
        match self {
            Self::Controls { count: 1, .. } => write!(f, "the control benchmark moved by {percent:+.1} %"),
            Self::Controls { count, .. } => write!(f, "{count} control benchmarks moved by {percent:+.1} %"),
            Self::MeasuredAgain { commit, .. } => {
                write!(
                    f,
                    "the old commit {commit}, measured again, moved by {percent:+.1} %"
                )
            }
            Self::OtherBranch { name, .. } => {
                write!(
                    f,
                    "{name}, which does not have this code, moved by {percent:+.1} %"
                )
            }
            Self::OtherRepository { name, .. } => {
                write!(f, "{name} moved by {percent:+.1} % in the same environment")
            }
        }
    }
}

impl fmt::Display for SuiteShift {
    /// What is told to people, the evidence or what would be evidence included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (moved, of, percent) = (self.moved, self.of, (self.factor - 1.0) * 100.0);
        write!(
            f,
            "{moved} of {of} benchmarks moved by about {percent:+.1} % at once ({})",
            self.measure
        )?;
        match &self.evidence {
            Some(evidence) => write!(f, ": the machine, for {evidence}"),
            None => write!(
                f,
                ", and nothing shows that it was the machine: it is taken for the code. Measuring the base commit again beside this one would tell, or a control benchmark"
            ),
        }
    }
}

/// What the machine did over the runs.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineTrend {
    /// Per run: how much slower the machine was than usual, as a ratio of values.
    pub factors: Vec<f64>,
    /// The runs at which the machine went to another level.
    pub shifts: Vec<ChangePoint>,
}

impl MachineTrend {
    /// `series` without the machine's part.
    #[must_use]
    pub fn remove_from(&self, series: &[f64]) -> Vec<f64> {
        series
            .iter()
            .zip(&self.factors)
            .map(|(value, factor)| value / factor)
            .collect()
    }

    /// Whether the machine shifted within `reach` runs of `index`.
    #[must_use]
    pub fn shifts_near(&self, index: usize, reach: usize) -> bool {
        self.shifts
            .iter()
            .any(|shift| shift.index.abs_diff(index) <= reach)
    }
}

/// The machine's trend over series of equal length, one value per run (NaN where a benchmark was not run), all of the
/// same direction. `None` with fewer than [`MIN_SERIES`] usable series or if lengths differ.
#[must_use]
pub fn machine_trend(series: &[Vec<f64>], settings: &ChangePointSettings) -> Option<MachineTrend> {
    let runs = series.first()?.len();
    if series.iter().any(|values| values.len() != runs) {
        return None;
    }
    let relative: Vec<Vec<Option<f64>>> = series
        .iter()
        .filter_map(|values| against_own_median(values))
        .collect();
    if relative.len() < MIN_SERIES {
        return None;
    }
    let factors: Vec<f64> = (0..runs)
        .map(|run| {
            let here: Vec<f64> = relative.iter().filter_map(|values| values[run]).collect();
            // A run that few benchmarks were part of says nothing about the machine.
            if here.len() < MIN_SERIES {
                1.0
            } else {
                median(&here).map_or(1.0, f64::exp)
            }
        })
        .collect();
    let shifts = change_points(&factors, settings);
    Some(MachineTrend { factors, shifts })
}

/// The factor by which most benchmarks of one run cost more (above 1) or less than their history, given each one's ratio
/// of costs, and how many moved; `None` unless more than half, and at least [`MIN_SERIES`], moved the same way by more
/// than 2.5 %.
#[must_use]
pub fn common_factor(cost_ratios: &[f64]) -> Option<(f64, usize)> {
    let usable: Vec<f64> = cost_ratios
        .iter()
        .copied()
        .filter(|ratio| *ratio > 0.0 && ratio.is_finite())
        .collect();
    let slower = usable.iter().filter(|ratio| **ratio > MIN_FACTOR).count();
    let faster = usable.iter().filter(|ratio| **ratio < 1.0 / MIN_FACTOR).count();
    let most = slower.max(faster);
    if most < MIN_SERIES || 2 * most <= usable.len() {
        None
    } else {
        median(&usable).map(|factor| (factor, most))
    }
}

/// What a commit that was measured before and again, given each benchmark's ratio of costs, says of the machine.
#[must_use]
pub fn measured_again(commit: &str, cost_ratios: &[f64]) -> Option<Evidence> {
    let (factor, _) = common_factor(cost_ratios)?;
    let commit = commit.to_owned();
    Some(Evidence::MeasuredAgain { commit, factor })
}

/// What control benchmarks, given each one's ratio of costs, say of the machine; `None` if their median did not move by
/// more than 2.5 %.
pub(super) fn evidence_from_controls(cost_ratios: &[f64]) -> Option<Evidence> {
    let factor = median(cost_ratios).filter(|factor| moved(*factor))?;
    Some(Evidence::Controls {
        count: cost_ratios.len(),
        factor,
    })
}

fn moved(factor: f64) -> bool {
    !(1.0 / MIN_FACTOR..=MIN_FACTOR).contains(&factor)
}

fn against_own_median(values: &[f64]) -> Option<Vec<Option<f64>>> {
    let logarithm = |value: &f64| (value.is_finite() && *value > 0.0).then(|| value.ln());
    let usable: Vec<f64> = values.iter().filter_map(logarithm).collect();
    let centre = median(&usable)?;
    Some(
        values
            .iter()
            .map(|value| logarithm(value).map(|value| value - centre))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::rng::Rng;

    fn fleet() -> Vec<Vec<f64>> {
        let mut rng = Rng::new(2);
        let mut series: Vec<Vec<f64>> = (1..=9)
            .map(|scale| {
                (0..100)
                    .map(|run| {
                        let machine = if run < 40 { 1.0 } else { 1.25 };
                        f64::from(scale) * 100.0 * machine * (0.02 * rng.next_normal()).exp()
                    })
                    .collect()
            })
            .collect();
        series[0][70..].iter_mut().for_each(|value| *value *= 1.2);
        series
    }

    #[test]
    fn the_machine_is_taken_out_and_the_code_stays() {
        let (series, settings) = (fleet(), ChangePointSettings::default());
        let trend = machine_trend(&series, &settings).unwrap();
        assert_eq!(trend.shifts.len(), 1);
        assert!(trend.shifts_near(40, 1) && !trend.shifts_near(70, 5));
        let rest = change_points(&trend.remove_from(&series[0]), &settings);
        assert!(rest.len() == 1 && rest[0].index.abs_diff(70) <= 1, "{rest:?}");
        assert!(change_points(&trend.remove_from(&series[1]), &settings).is_empty());
    }

    #[test]
    fn a_factor_is_common_when_most_share_it() {
        assert_eq!(
            common_factor(&[1.2, 1.21, 1.19, 1.2, 1.2, 1.0, 1.01]),
            Some((1.2, 5))
        );
        assert_eq!(
            common_factor(&[1.2, 1.2, 1.2, 1.2, 1.2, 1.0, 1.0, 1.0, 1.0, 1.0]),
            None
        );
        assert_eq!(common_factor(&[1.2, 1.2]), None);
        assert_eq!(common_factor(&[f64::NAN; 9]), None);
    }

    #[test]
    fn a_few_or_unequal_series_have_no_trend() {
        let settings = ChangePointSettings::default();
        assert_eq!(machine_trend(&fleet()[..3], &settings), None);
        let mut unequal = fleet();
        unequal[3].pop();
        assert_eq!(machine_trend(&unequal, &settings), None);
        assert_eq!(machine_trend(&vec![vec![f64::NAN; 20]; 9], &settings), None);
        assert_eq!(machine_trend(&[], &settings), None);
    }
}
