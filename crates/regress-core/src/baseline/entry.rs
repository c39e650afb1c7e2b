//! One series in a baseline: its process-level values, the summary people read, and its epochs.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::measurement::{Commit, Direction, Interval, Unit};
use crate::stats;

/// The baseline of one benchmark and measure.
#[derive(Debug, Clone, PartialEq)]
pub struct BaselineEntry {
    /// Base unit.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
    /// One value per process run; never empty. These are what a new run is compared with.
    pub values: Vec<f64>,
    /// Samples the tool took within each process run, where it said.
    pub samples: Vec<u64>,
    /// Standard deviation of the samples within a process, the median over process runs, where the tool gave one.
    /// It says how steady the tool's own loop was and is no measure of how runs differ.
    pub within_std_dev: Option<f64>,
    /// The commit that was measured.
    pub commit: Option<Commit>,
    /// When.
    pub time: Option<Timestamp>,
    /// The level shifts that were accepted, oldest first; the first is the first recording. Never empty.
    pub epochs: Vec<Epoch>,
}

/// A stretch of time within which the level is meant to stay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// The median at its start. Re-recording does not move it, so slow creep is measured against it.
    pub anchor: f64,
    /// The commit at its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// When it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// Why the shift was accepted; `None` for the first recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<Justification>,
}

/// Why a shift is accepted, in the words of who accepts it: one line, not empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Justification(String);

/// A justification without words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the justification is empty; say why the new level is right")]
pub struct JustificationError;

impl Justification {
    /// Takes `text`, white space runs made one space.
    ///
    /// # Errors
    /// When there is no letter or digit in it.
    pub fn new(text: &str) -> Result<Self, JustificationError> {
        let line = text
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty());
        let line = line.collect::<Vec<_>>().join(" ");
        if line.chars().any(char::is_alphanumeric) {
            Ok(Self(line))
        } else {
            Err(JustificationError)
        }
    }

    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Justification {
    type Error = JustificationError;

    fn try_from(text: String) -> Result<Self, JustificationError> {
        Self::new(&text)
    }
}

impl From<Justification> for String {
    fn from(justification: Justification) -> Self {
        justification.0
    }
}

impl fmt::Display for Justification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What people read of an entry's values. Always follows from the values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BaselineSummary {
    /// Median over process runs.
    pub median: f64,
    /// Mean over process runs.
    pub mean: f64,
    /// Standard deviation over process runs; needs two.
    pub std_dev: Option<f64>,
    /// 95 % t interval of the mean; needs two.
    pub interval: Option<Interval>,
}

/// Confidence level of [`BaselineSummary::interval`].
const LEVEL: f64 = 0.95;

impl BaselineEntry {
    /// The summary of the values.
    #[must_use]
    pub fn summary(&self) -> BaselineSummary {
        BaselineSummary {
            median: self.median(),
            mean: stats::mean(&self.values).expect("an entry has values, all finite"),
            std_dev: stats::std_dev(&self.values),
            interval: stats::mean_interval(&self.values, LEVEL).map(|interval| Interval {
                low: interval.low,
                high: interval.high,
                level: Some(LEVEL),
            }),
        }
    }

    /// The median of the values.
    #[must_use]
    pub fn median(&self) -> f64 {
        stats::median(&self.values).expect("an entry has values, all finite")
    }

    /// The epoch the entry is in.
    #[must_use]
    pub fn current_epoch(&self) -> &Epoch {
        self.epochs.last().expect("an entry has epochs")
    }

    /// How far the entry has moved from its epoch's anchor, as a cost ratio: 1.05 is 5 % slower. NaN or infinite
    /// when one of them is zero.
    #[must_use]
    pub fn drift_ratio(&self) -> f64 {
        self.direction
            .cost_ratio(self.current_epoch().anchor, self.median())
    }
}

/// Seven significant digits, and all digits before the point: a diff of a baseline shows changes, not noise in
/// the sixteenth digit, and counts stay exact.
pub(super) fn round_to_significant_digits(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let magnitude = value.abs().log10().floor();
    let decimals = (6.0 - magnitude).clamp(0.0, 300.0) as usize;
    format!("{value:.decimals$}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_keeps_counts_and_seven_digits() {
        assert_eq!(round_to_significant_digits(2_322.933_175_495_675), 2_322.933);
        assert_eq!(round_to_significant_digits(26_214_735.0), 26_214_735.0);
        assert_eq!(round_to_significant_digits(26_214_735.44), 26_214_735.0);
        assert_eq!(round_to_significant_digits(0.000_123_456_789), 0.000_123_456_8);
        assert_eq!(round_to_significant_digits(1e-300), 1e-300);
        assert_eq!(round_to_significant_digits(0.0), 0.0);
        assert_eq!(round_to_significant_digits(f64::MAX), f64::MAX);
        let tiny = f64::MIN_POSITIVE / 4.0;
        assert!(
            (round_to_significant_digits(tiny) - tiny).abs() <= 1e-300,
            "subnormals may lose all digits, not their size"
        );
    }

    #[test]
    fn a_justification_needs_words() {
        assert_eq!(Justification::new(" \n - ").unwrap_err(), JustificationError);
        assert_eq!(
            Justification::new("needed\n for  Unicode ").unwrap().as_str(),
            "needed for Unicode"
        );
    }
}
