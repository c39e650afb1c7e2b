//! One process run against a baseline.

use std::fmt;
use std::time::Duration;

use crate::baseline::BaselineEntry;
use crate::measurement::{Direction, Unit};

/// Baseline process runs needed before one run may be called slower or faster.
const ENOUGH: usize = 5;

/// How one process run stands to its baseline. A single run cannot be tested for significance: of six alike, one in six is
/// the slowest. It counts as changed only when it lies beyond the threshold, and beyond every process run of the baseline,
/// of which there must be five, by more than those differ among themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuiteComparison {
    /// Median of the baseline, in nanoseconds.
    pub baseline: f64,
    /// Relative change of the median: 0.05 is 5 % slower.
    pub change: f64,
    /// Process runs in the baseline.
    pub runs: usize,
    /// What follows.
    pub verdict: BaselineVerdict,
}

/// The outcome of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaselineVerdict {
    /// Slower by more than the threshold, and beyond every run of the baseline by more than its range.
    Slower,
    /// Faster by more than the threshold, and beyond every run of the baseline by more than its range.
    Faster,
    /// Neither.
    Unchanged,
    /// The baseline has too few process runs, is zero, or measures something else than time.
    NotEnoughData,
}

impl SuiteComparison {
    pub(super) fn against_entry(median: Duration, entry: &BaselineEntry, threshold: f64) -> Self {
        let value = median.as_nanos() as f64;
        let baseline = entry.median();
        let change = value / baseline - 1.0;
        let comparable = entry.unit == Unit::Nanoseconds
            && entry.direction == Direction::SmallerIsBetter
            && entry.values.len() >= ENOUGH
            && baseline > 0.0;
        let lowest = entry.values.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = entry.values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let range = highest - lowest;
        let verdict = if !comparable {
            BaselineVerdict::NotEnoughData
        } else if change > threshold && value > highest + range {
            BaselineVerdict::Slower
        } else if change < -threshold && value < lowest - range {
            BaselineVerdict::Faster
        } else {
            BaselineVerdict::Unchanged
        };
        Self {
            baseline,
            change,
            runs: entry.values.len(),
            verdict,
        }
    }
}

impl fmt::Display for SuiteComparison {
    /// `7.1 % slower than the baseline of 10.00 ms (5 runs)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.change.abs();
        let word = if self.change > 0.0 { "slower" } else { "faster" };
        let baseline = Unit::Nanoseconds.format_value(self.baseline);
        match self.verdict {
            BaselineVerdict::Slower | BaselineVerdict::Faster => {
                write!(
                    f,
                    "{percent:.1} % {word} than the baseline of {baseline} ({} runs)",
                    self.runs
                )
            }
            BaselineVerdict::Unchanged => write!(f, "unchanged against the baseline of {baseline}"),
            BaselineVerdict::NotEnoughData => {
                write!(
                    f,
                    "not enough data in the baseline of {baseline} ({} of {ENOUGH} runs)",
                    self.runs
                )
            }
        }
    }
}
