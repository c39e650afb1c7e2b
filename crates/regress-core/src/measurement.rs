//! The vocabulary of results: what was measured, in which unit, which way is better, by which process.
//!
//! Ingest produces these types, baselines and detectors consume them. Everything here is plain data in base
//! units; nothing here knows a tool's format or a statistic.

mod admission;
mod name;
mod problem;
mod run;
mod unit;

pub(crate) use admission::{Admission, recheck_measurements};
pub use name::{BenchmarkId, CommitSha, Measure, NameError, SeriesKey};
pub use problem::{Problem, ProblemKind};
pub use run::{Commit, ProcessRun, RUN_FILE_VERSION, Replicates, RunFile, RunFileError};
pub use unit::{Direction, Scale, Unit, UnknownDirection};

use serde::{Deserialize, Serialize};

/// One number of one benchmark from one process run, with what the tool said about its spread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// The benchmark, by its full name.
    pub benchmark: BenchmarkId,
    /// What about it was measured.
    pub measure: Measure,
    /// The base unit of every number here.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
    /// How the tool came to `value`.
    pub estimator: Estimator,
    /// The number that stands for this process run; finite and not negative when it came through ingest.
    pub value: f64,
    /// Standard deviation of the samples within the process, as the tool printed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std_dev: Option<f64>,
    /// Interval around `value`, as the tool printed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// How many samples the tool took within the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
    /// The samples themselves, per iteration, in the tool's order. These are not replicates: see the crate's
    /// documentation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub iterations: Vec<f64>,
}

impl Measurement {
    /// A bare number without spread or samples.
    #[must_use]
    pub fn new(
        benchmark: BenchmarkId,
        measure: Measure,
        unit: Unit,
        direction: Direction,
        value: f64,
    ) -> Self {
        Self {
            benchmark,
            measure,
            unit,
            direction,
            estimator: Estimator::AsPrinted,
            value,
            std_dev: None,
            interval: None,
            samples: None,
            iterations: Vec::new(),
        }
    }

    /// The series this number belongs to.
    #[must_use]
    pub fn series_key(&self) -> SeriesKey {
        SeriesKey {
            benchmark: self.benchmark.clone(),
            measure: self.measure.clone(),
        }
    }
}

/// An interval around an estimate, in the base unit of the estimate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Confidence level, 0 to 1, where the tool names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<f64>,
}

/// How a process run's number was made from its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// Slope of a least-squares fit of total time over iteration counts (Criterion's linear sampling).
    Slope,
    /// Arithmetic mean.
    Mean,
    /// Median.
    Median,
    /// Smallest sample.
    Minimum,
    /// The tool prints one number and does not say, or there is only one.
    AsPrinted,
}
