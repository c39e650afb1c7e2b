//! The view of a benchmark report: what a person should know, as plain values in base units.

use regress_core::detect::{Outcome, VerdictKind};
use regress_core::measurement::{Direction, Unit};
use serde::{Deserialize, Serialize};

use super::words::severity_rank;

/// The version of the JSON form that this library writes, and the newest it reads.
pub const REPORT_VERSION: u32 = 1;

/// A report on many benchmarks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Always [`REPORT_VERSION`] in a report made by this library.
    pub version: u32,
    /// What was done, for the heading: `check against the baseline`.
    pub title: String,
    /// What the new values were compared with.
    pub base: Side,
    /// What was judged.
    pub head: Side,
    /// The machine, in words.
    pub environment: String,
    /// The change in percent above which a benchmark without a rule of its own counts as changed.
    pub threshold: f64,
    /// The verdict over all benchmarks.
    pub outcome: Outcome,
    /// The outcome in a sentence.
    pub summary: String,
    /// One row a benchmark and measure, most severe first.
    pub rows: Vec<Row>,
    /// What the reader should know beside the rows: values of another environment, a dirty tree, a
    /// machine-wide shift.
    pub notes: Vec<String>,
    /// Entries of result files that could not be used, each naming file and entry.
    pub problems: Vec<String>,
}

/// One side of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// What it is called: a branch, a file, `baseline`.
    pub label: String,
    /// The full hash of its commit.
    pub commit: Option<String>,
    /// Process runs.
    pub runs: usize,
}

/// One measure of one benchmark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its name, with the measure where that is not latency.
    pub name: String,
    /// The base unit of all values here.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
    /// What became of it.
    pub verdict: VerdictKind,
    /// Why, in words.
    pub reason: String,
    /// Median before.
    pub before: Option<f64>,
    /// Median now.
    pub after: Option<f64>,
    /// Cost change in percent: positive is slower, whichever way the unit points.
    pub percent: Option<f64>,
    /// The interval of `percent`.
    pub interval: Option<(f64, f64)>,
    /// The p value.
    pub p: Option<f64>,
    /// The p value corrected for the number of benchmarks.
    pub q: Option<f64>,
    /// Cliff's delta or another effect size, -1 to 1; positive is slower.
    pub effect: Option<f64>,
    /// How sure the verdict is, 0 to 1.
    pub confidence: Option<f64>,
    /// Whether the values vary so much that a change of the threshold's size could not be told from none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub noisy: bool,
    /// The percentage above which this benchmark counts as changed.
    pub threshold: f64,
    /// Process-level values before.
    pub before_values: Vec<f64>,
    /// Process-level values now.
    pub after_values: Vec<f64>,
    /// Earlier values of this benchmark in this environment, oldest first.
    pub history: Vec<f64>,
    /// The commit of each value of `history`; as long as it, or empty.
    pub commits: Vec<String>,
    /// Where `history` went to another level.
    pub shifts: Vec<Shift>,
    /// The lowest and the highest value of the baseline.
    pub band: Option<(f64, f64)>,
}

/// A change point of a history.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// Index of the first value of the new level.
    pub index: usize,
    /// Median of the level before.
    pub before: f64,
    /// Median of the level after.
    pub after: f64,
}

/// Why a report could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Not JSON, or JSON of another form.
    #[error("not a report of benchgate: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by a newer benchgate.
    #[error(
        "the report has version {found}, this benchgate reads up to {REPORT_VERSION}; use the benchgate that wrote it"
    )]
    Newer {
        /// The version in the file.
        found: u32,
    },
}

impl Report {
    /// How many rows have this verdict.
    #[must_use]
    pub fn count_verdicts(&self, verdict: VerdictKind) -> usize {
        self.rows.iter().filter(|row| row.verdict == verdict).count()
    }

    /// Sorts the rows: the most severe verdict first, then the largest change first, then by name.
    pub fn sort_rows(&mut self) {
        let size = |row: &Row| {
            row.percent
                .filter(|percent| !percent.is_nan())
                .map_or(0.0, f64::abs)
        };
        self.rows.sort_by(|a, b| {
            let by_size = size(b).total_cmp(&size(a));
            severity_rank(a.verdict)
                .cmp(&severity_rank(b.verdict))
                .then(by_size)
                .then_with(|| a.name.cmp(&b.name))
        });
    }

    /// The report as one JSON document with a line feed at its end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a report holds strings, numbers and lists");
        text.push('\n');
        text
    }

    /// Reads what [`Report::to_json`] wrote.
    ///
    /// # Errors
    /// When the bytes are no report, or one of a newer version.
    pub fn from_json(bytes: &[u8]) -> Result<Report, ReportError> {
        #[derive(Deserialize)]
        struct ReportHeader {
            version: u32,
        }
        let head: ReportHeader = serde_json::from_slice(bytes)?;
        if head.version > REPORT_VERSION {
            return Err(ReportError::Newer { found: head.version });
        }
        Ok(serde_json::from_slice(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmarks::words::tests::example_report;

    #[test]
    fn a_report_survives_its_json() {
        let report = example_report();
        assert_eq!(Report::from_json(report.to_json().as_bytes()).unwrap(), report);
    }

    #[test]
    fn a_newer_report_is_refused_with_what_to_do() {
        let error = Report::from_json(br#"{"version": 9, "more": 1}"#).unwrap_err();
        assert!(error.to_string().contains("version 9"), "{error}");
        assert!(
            Report::from_json(b"{\"version\": 1, \"rows\": [").is_err(),
            "truncated"
        );
    }

    #[test]
    fn the_worst_come_first() {
        let mut report = example_report();
        report.rows.reverse();
        report.sort_rows();
        let names: Vec<_> = report.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "parse/large",
                "hash [throughput]",
                "sort/new",
                "sort/10k",
                "parse/small"
            ]
        );
    }
}
