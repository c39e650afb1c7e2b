//! The verdict on a benchmark and on a run, in types and in words.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Outcome;
use super::machine_shift::SuiteShift;
use crate::measurement::SeriesKey;
use crate::stats::Interval;

/// What became of one benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictKind {
    /// Slower (larger, costlier) by more than the threshold, and not by chance.
    Regression,
    /// Slower by more than the threshold, which one more run of the commit would confirm or clear. Never a success.
    Suspected,
    /// Faster by more than the threshold, and not by chance.
    Improvement,
    /// No such change was shown. Its confidence says how well a change of the threshold's size is excluded.
    Unchanged,
    /// Too few process runs, or values of which no ratio can be made.
    NotEnoughData,
    /// Measured in another environment, or the whole machine moved: nothing can be said about the code.
    EnvironmentChanged,
}

impl VerdictKind {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::Suspected => "suspected",
            Self::Improvement => "improvement",
            Self::Unchanged => "unchanged",
            Self::NotEnoughData => "not enough data",
            Self::EnvironmentChanged => "environment changed",
        }
    }
}

impl fmt::Display for VerdictKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The judgement on one benchmark, with the numbers it rests on. Changes are of cost: positive is worse, whichever way
/// the unit points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The benchmark and its measure.
    pub key: SeriesKey,
    /// What became of it.
    pub kind: VerdictKind,
    /// Median before, in the base unit; `None` without usable values.
    pub before: Option<f64>,
    /// Median after, in the base unit.
    pub after: Option<f64>,
    /// Process runs (or runs of history) before and after.
    pub runs: (usize, usize),
    /// Change of cost in percent.
    pub percent: Option<f64>,
    /// The 95 % interval of `percent`.
    pub interval: Option<Interval>,
    /// The p value of the test that is corrected for the number of benchmarks.
    pub p: Option<f64>,
    /// `p` after Benjamini and Hochberg's correction over the run.
    pub q: Option<f64>,
    /// Cliff's delta in -1..=1.
    pub effect: Option<f64>,
    /// The difference of means in pooled standard deviations; `None` also if neither side varies.
    pub normalised_difference: Option<f64>,
    /// The threshold that applied, in percent.
    pub threshold: f64,
    /// Whether the runs differ so much that a change of the threshold's size could not be told from none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub noisy: bool,
    /// How sure the verdict is, 0..=1: for a change, the probability that it is real and above zero; for unchanged,
    /// that the change is within the threshold; 0 without enough data.
    pub confidence: f64,
    /// Why, in words.
    pub reason: String,
}

/// The judgement on all benchmarks of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunVerdict {
    /// The run as a whole.
    pub kind: Outcome,
    /// The measures of which most benchmarks moved at once.
    pub shifts: Vec<SuiteShift>,
    /// Every judged benchmark, in the order given.
    pub verdicts: Vec<Verdict>,
}

impl RunVerdict {
    pub(crate) fn from_verdicts(verdicts: Vec<Verdict>, shifts: Vec<SuiteShift>) -> Self {
        let kind = Outcome::of_verdicts(verdicts.iter().map(|verdict| verdict.kind));
        Self {
            kind,
            shifts,
            verdicts,
        }
    }

    /// How many benchmarks have this verdict.
    #[must_use]
    pub fn count_verdicts(&self, kind: VerdictKind) -> usize {
        self.verdicts
            .iter()
            .filter(|verdict| verdict.kind == kind)
            .count()
    }

    /// Whether something regressed: the reason to fail a build.
    #[must_use]
    pub fn has_regression(&self) -> bool {
        self.kind.has_regression()
    }

    /// Whether there were benchmarks and none of them could be judged.
    #[must_use]
    pub fn could_not_judge(&self) -> bool {
        let unjudged = self.count_verdicts(VerdictKind::NotEnoughData)
            + self.count_verdicts(VerdictKind::EnvironmentChanged);
        !self.verdicts.is_empty() && unjudged == self.verdicts.len()
    }
}
