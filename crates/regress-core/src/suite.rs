//! Performance tests written in Rust: run a closure several times, check it against targets and a baseline.
//!
//! For users of this library who want a check in their own tests, without a benchmark tool. The only module of
//! the crate that reads a clock. One suite in one process is **one process run**: its iterations do not tell how
//! much two runs differ, so the comparison here is careful (see [`SuiteComparison`]) and the thorough one belongs to
//! several process runs: write [`PerfTestSuite::process_run`] to a run file in each and let `detect` judge.
//!
//! ```
//! use std::time::Duration;
//! use regress_core::suite::{PerfTestSuite, SuiteTarget, Workload};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut workload = Workload::new(1);
//! let numbers = workload.shuffled(1_000);
//!
//! let mut suite = PerfTestSuite::new("sorting");
//! suite.set_target("sort/1000", SuiteTarget::MeanAtMost(Duration::from_millis(50)));
//! let result = suite.run_test_with("sort/1000", 20, || numbers.clone(), |mut numbers| {
//!     numbers.sort_unstable();
//!     numbers
//! })?;
//! assert!(result.min <= result.mean && result.mean <= result.max);
//! suite.check_results()?;
//! # Ok(())
//! # }
//! ```

mod comparison;
mod report;
mod target;
mod workload;

use std::collections::BTreeMap;
use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

pub use comparison::{BaselineVerdict, SuiteComparison};
pub use report::{ComparedTest, ComparisonReport};
pub use target::{Missed, SuiteTarget};
pub use workload::Workload;

use crate::baseline::EnvironmentBaseline;
use crate::measurement::{
    BenchmarkId, Direction, Estimator, Measure, Measurement, NameError, ProcessRun, SeriesKey, Unit,
};
use crate::stats;

/// A set of performance tests of one process.
pub struct PerfTestSuite {
    name: String,
    warm_up: u32,
    threshold: f64,
    targets: BTreeMap<String, Vec<SuiteTarget>>,
    baseline: Option<EnvironmentBaseline>,
    clock: Box<dyn FnMut() -> Duration>,
    results: Vec<PerfTestResult>,
}

/// What one test took.
#[derive(Debug, Clone, PartialEq)]
pub struct PerfTestResult {
    /// `suite/test`.
    pub name: BenchmarkId,
    /// Nanoseconds of each call, in order.
    pub iterations: Vec<f64>,
    /// Arithmetic mean.
    pub mean: Duration,
    /// Fastest call.
    pub min: Duration,
    /// Slowest call.
    pub max: Duration,
    /// Median, which stands for this process run in baselines and run files.
    pub median: Duration,
    /// Standard deviation of the calls; zero of a single one.
    pub std_dev: Duration,
    /// Targets that were missed.
    pub missed: Vec<Missed>,
    /// How it compares with the baseline; `None` without a baseline of this test.
    pub comparison: Option<SuiteComparison>,
}

/// Why a test could not be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuiteError {
    /// No iterations were asked for.
    #[error("the test {0} has no iterations; give at least one")]
    NoIterations(String),
    /// The suite has run a test of that name.
    #[error("the test {0} was run already; give each test its own name")]
    Twice(String),
    /// The name is not usable.
    #[error("the name of the test cannot be used: {0}")]
    Name(#[from] NameError),
}

/// Tests that missed a target or fell behind the baseline.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct SuiteFailure(
    /// One line for each failure.
    pub Vec<String>,
);

impl fmt::Debug for PerfTestSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerfTestSuite")
            .field("name", &self.name)
            .field("results", &self.results)
            .finish_non_exhaustive()
    }
}

impl PerfTestSuite {
    /// An empty suite; `name` is put in front of the names of its tests.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let start = Instant::now();
        Self {
            name: name.to_owned(),
            warm_up: 1,
            threshold: 0.05,
            targets: BTreeMap::new(),
            baseline: None,
            clock: Box::new(move || start.elapsed()),
            results: Vec::new(),
        }
    }

    /// Sets how many calls go before the timed ones (1 unless set).
    #[must_use]
    pub fn with_warm_up(self, calls: u32) -> Self {
        Self {
            warm_up: calls,
            ..self
        }
    }

    /// Compares the tests with `baseline`, taking changes up to `threshold` (0.05 is 5 %) for none.
    ///
    /// The caller picks the baseline of its own environment with
    /// [`Baselines::lookup_environment`](crate::baseline::Baselines::lookup_environment).
    #[must_use]
    pub fn with_baseline(self, baseline: EnvironmentBaseline, threshold: f64) -> Self {
        Self {
            baseline: Some(baseline),
            threshold,
            ..self
        }
    }

    /// Reads the time from `clock`, a time since any fixed point, instead of [`Instant`].
    #[must_use]
    pub fn with_clock(self, clock: impl FnMut() -> Duration + 'static) -> Self {
        Self {
            clock: Box::new(clock),
            ..self
        }
    }

    /// Adds a target for a test that is run later, by the name given to [`PerfTestSuite::run_test`].
    pub fn set_target(&mut self, test: &str, target: SuiteTarget) {
        self.targets.entry(test.to_owned()).or_default().push(target);
    }

    /// Calls `test` `iterations` times after the warm-up and times each call.
    ///
    /// Reading the clock costs some 20 to 50 ns, so a call that takes less than a microsecond should loop within
    /// the closure. What the closure returns is kept from being optimised away.
    ///
    /// # Errors
    /// When `iterations` is 0, or the name is unusable or taken.
    pub fn run_test<R>(
        &mut self,
        name: &str,
        iterations: u32,
        mut test: impl FnMut() -> R,
    ) -> Result<&PerfTestResult, SuiteError> {
        self.run_test_with(name, iterations, || (), |()| test())
    }

    /// As [`PerfTestSuite::run_test`], with an input that `setup` makes for each call, outside of the time. The
    /// output is dropped outside of the time too.
    ///
    /// # Errors
    /// As [`PerfTestSuite::run_test`].
    pub fn run_test_with<I, R>(
        &mut self,
        name: &str,
        iterations: u32,
        mut setup: impl FnMut() -> I,
        mut test: impl FnMut(I) -> R,
    ) -> Result<&PerfTestResult, SuiteError> {
        let full = BenchmarkId::new(&format!("{}/{name}", self.name))?;
        if iterations == 0 {
            return Err(SuiteError::NoIterations(full.to_string()));
        }
        if self.results.iter().any(|result| result.name == full) {
            return Err(SuiteError::Twice(full.to_string()));
        }
        for _ in 0..self.warm_up {
            black_box(test(black_box(setup())));
        }
        let mut times = Vec::with_capacity(iterations as usize);
        for _ in 0..iterations {
            let input = black_box(setup());
            let start = (self.clock)();
            let output = black_box(test(input));
            let end = (self.clock)();
            drop(output);
            times.push(end.saturating_sub(start));
        }
        let result = self.result(full, self.targets.get(name).map_or(&[], Vec::as_slice), &times);
        self.results.push(result);
        Ok(self.results.last().expect("a result was pushed"))
    }

    fn result(&self, name: BenchmarkId, targets: &[SuiteTarget], times: &[Duration]) -> PerfTestResult {
        let iterations: Vec<f64> = times.iter().map(|time| time.as_nanos() as f64).collect();
        let nanoseconds = |value: Option<f64>| Duration::from_nanos(value.unwrap_or(0.0).round() as u64);
        let extreme = |fold: fn(f64, f64) -> f64| iterations.iter().copied().reduce(fold);
        let mut result = PerfTestResult {
            mean: nanoseconds(stats::mean(&iterations)),
            min: nanoseconds(extreme(f64::min)),
            max: nanoseconds(extreme(f64::max)),
            median: nanoseconds(stats::median(&iterations)),
            std_dev: nanoseconds(stats::std_dev(&iterations)),
            missed: Vec::new(),
            comparison: None,
            name,
            iterations,
        };
        result.missed = targets
            .iter()
            .filter_map(|target| target.missed_by(&result))
            .collect();
        let key = SeriesKey {
            benchmark: result.name.clone(),
            measure: Measure::LATENCY,
        };
        let entry = self
            .baseline
            .as_ref()
            .and_then(|baseline| baseline.entries.get(&key));
        result.comparison =
            entry.map(|entry| SuiteComparison::against_entry(result.median, entry, self.threshold));
        result
    }

    /// The results so far, in the order the tests ran.
    #[must_use]
    pub fn results(&self) -> &[PerfTestResult] {
        &self.results
    }

    /// Whether all tests so far met their targets and kept up with the baseline.
    ///
    /// # Errors
    /// With a line for each missed target and each test that is slower than its baseline.
    pub fn check_results(&self) -> Result<(), SuiteFailure> {
        let mut lines = Vec::new();
        for result in &self.results {
            lines.extend(
                result
                    .missed
                    .iter()
                    .map(|missed| format!("{}: {missed}", result.name)),
            );
            let slower = result
                .comparison
                .as_ref()
                .filter(|one| one.verdict == BaselineVerdict::Slower);
            lines.extend(slower.map(|comparison| format!("{}: {comparison}", result.name)));
        }
        if lines.is_empty() {
            Ok(())
        } else {
            Err(SuiteFailure(lines))
        }
    }

    /// What became slower, faster or neither against the baseline, for a log or a comment.
    #[must_use]
    pub fn comparison_report(&self) -> ComparisonReport {
        ComparisonReport::of_results(&self.name, self.threshold, &self.results)
    }

    /// The suite as one process run, for a run file or a baseline: the median of each test with its iterations.
    #[must_use]
    pub fn process_run(&self) -> ProcessRun {
        let measurements = self.results.iter().map(|result| Measurement {
            estimator: Estimator::Median,
            std_dev: Some(result.std_dev.as_nanos() as f64),
            samples: Some(result.iterations.len() as u64),
            iterations: result.iterations.clone(),
            ..Measurement::new(
                result.name.clone(),
                Measure::LATENCY,
                Unit::Nanoseconds,
                Direction::SmallerIsBetter,
                result.median.as_nanos() as f64,
            )
        });
        ProcessRun {
            measurements: measurements.collect(),
            problems: Vec::new(),
        }
    }
}

impl fmt::Display for PerfTestSuite {
    /// One line per test: mean, extremes, number of calls, missed targets, the comparison.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for result in &self.results {
            let time = |time: Duration| Unit::Nanoseconds.format_value(time.as_nanos() as f64);
            let (mean, min, max) = (time(result.mean), time(result.min), time(result.max));
            write!(
                f,
                "{}: mean {mean}, {min} to {max}, {} calls",
                result.name,
                result.iterations.len()
            )?;
            for missed in &result.missed {
                write!(f, "; {missed}")?;
            }
            if let Some(comparison) = &result.comparison {
                write!(f, "; {comparison}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
