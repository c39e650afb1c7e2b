//! Collects what adapters read. Every entry passes here: names are cleaned, units converted, directions settled, values checked, limits
//! kept. Adapters only read; what is admissible is decided here, once.

use std::collections::BTreeSet;

use super::{IngestLimits, IngestOptions};
use crate::measurement::{
    Admission, BenchmarkId, Direction, Estimator, Interval, Measure, Measurement, Problem, ProblemKind,
    ProcessRun, Scale, Unit,
};

/// An entry as the tool printed it, in the tool's unit.
#[derive(Debug, Clone)]
pub(super) struct CollectedEntry<'a> {
    /// Full name of the benchmark.
    pub(super) name: &'a str,
    /// Measure.
    pub(super) measure: Measure,
    /// From the printed unit to the base unit.
    pub(super) scale: Scale,
    /// Which way is better; `None` takes the unit's usual direction, and reports it when there is none.
    pub(super) direction: Option<Direction>,
    /// How the tool came to the value.
    pub(super) estimator: Estimator,
    /// The value.
    pub(super) value: f64,
    /// Standard deviation within the process.
    pub(super) std_dev: Option<f64>,
    /// Interval around the value.
    pub(super) interval: Option<Interval>,
    /// Number of samples, when the samples themselves are not there.
    pub(super) samples: Option<u64>,
    /// The samples.
    pub(super) iterations: Vec<f64>,
    /// Which process run, counted from 0.
    pub(super) process: usize,
}

impl<'a> CollectedEntry<'a> {
    /// A bare number of the first process run.
    pub(super) fn new(name: &'a str, measure: Measure, scale: Scale, value: f64) -> Self {
        Self {
            name,
            measure,
            scale,
            direction: None,
            estimator: Estimator::AsPrinted,
            value,
            std_dev: None,
            interval: None,
            samples: None,
            iterations: Vec::new(),
            process: 0,
        }
    }

    /// A time in units of `nanoseconds`.
    pub(super) fn from_time(name: &'a str, nanoseconds: f64, value: f64) -> Self {
        Self::new(
            name,
            Measure::LATENCY,
            Scale {
                unit: Unit::Nanoseconds,
                factor: nanoseconds,
            },
            value,
        )
    }
}

/// Collects process runs over all sources of one call.
#[derive(Debug)]
pub(super) struct MeasurementCollector<'o> {
    options: &'o IngestOptions,
    source: String,
    processes: Vec<Admission>,
    admitted: usize,
    heard: BTreeSet<String>,
    reported: usize,
    unreported: usize,
    refused: usize,
}

impl<'o> MeasurementCollector<'o> {
    pub(super) fn new(options: &'o IngestOptions) -> Self {
        Self {
            options,
            source: String::new(),
            processes: vec![Admission::default()],
            admitted: 0,
            heard: BTreeSet::new(),
            reported: 0,
            unreported: 0,
            refused: 0,
        }
    }

    pub(super) fn limits(&self) -> &IngestLimits {
        &self.options.limits
    }

    /// Names the source that the following entries and problems come from.
    pub(super) fn set_source(&mut self, path: &str) {
        path.clone_into(&mut self.source);
    }

    /// Whether a source has named a benchmark or a problem. One that has not must not pass for success.
    pub(super) fn has_heard_of(&self, path: &str) -> bool {
        self.heard.contains(path)
    }

    /// Notes a problem of the whole source.
    pub(super) fn reject_source(&mut self, kind: ProblemKind, detail: &str) {
        self.push_problem(0, None, kind, detail);
    }

    /// Notes a problem of an entry in the first process run.
    pub(super) fn report_entry_problem(&mut self, entry: &str, kind: ProblemKind, detail: impl AsRef<str>) {
        self.push_problem(0, Some(entry), kind, detail.as_ref());
    }

    fn push_problem(&mut self, process: usize, entry: Option<&str>, kind: ProblemKind, detail: &str) {
        self.hear();
        let entry = entry.map(printable).filter(|entry| !entry.is_empty());
        let detail = printable(detail);
        let Some(run) = self.processes.get_mut(process) else {
            return;
        };
        if run.extend_last(&printable(&self.source), entry.as_deref(), kind, &detail) {
            return;
        }
        if self.reported >= self.options.limits.problems {
            self.unreported += 1;
            return;
        }
        self.reported += 1;
        run.report_problem(Problem {
            source: printable(&self.source),
            entry,
            kind,
            detail,
        });
    }

    /// Takes an entry in, or reports why not.
    pub(super) fn push(&mut self, entry: CollectedEntry<'_>) {
        if self.admitted >= self.limits().measurements {
            self.refused += 1;
            return;
        }
        if entry.process >= self.limits().processes {
            self.refused += 1;
            return;
        }
        let benchmark = match BenchmarkId::new(entry.name) {
            Ok(name) => name,
            Err(error) => {
                return self.report_entry_problem(entry.name, ProblemKind::BadName, error.to_string());
            }
        };
        let direction = self.direction_of(&benchmark, &entry);
        while self.processes.len() <= entry.process {
            self.processes.push(Admission::default());
        }
        let process = entry.process;
        let measurement = self.convert(benchmark.clone(), direction, entry);
        let admission = self
            .processes
            .get_mut(process)
            .expect("process runs were added up to this one");
        match admission.add_measurement(measurement) {
            Ok(()) => self.count(),
            Err((kind, print_detail)) => {
                if kind.keeps_value() {
                    self.count();
                }
                self.push_problem(process, Some(benchmark.as_str()), kind, &print_detail);
            }
        }
    }

    fn count(&mut self) {
        self.admitted += 1;
        self.hear();
    }

    fn hear(&mut self) {
        if !self.heard.contains(&self.source) {
            self.heard.insert(self.source.clone());
        }
    }

    fn direction_of(&mut self, benchmark: &BenchmarkId, entry: &CollectedEntry<'_>) -> Direction {
        let chosen = self.options.directions.get(&entry.measure).copied();
        let direction = chosen
            .or(entry.direction)
            .or_else(|| entry.scale.unit.usual_direction());
        match (direction, &entry.scale.unit) {
            (None, _) => {
                self.report_entry_problem(
                    benchmark.as_str(),
                    ProblemKind::UnknownDirection,
                    entry.measure.as_str(),
                );
                Direction::SmallerIsBetter
            }
            (Some(direction), Unit::Custom(unit)) => {
                let detail = format!("{unit:?} of {}", entry.measure);
                self.report_entry_problem(benchmark.as_str(), ProblemKind::UnknownUnit, detail);
                direction
            }
            (Some(direction), _) => direction,
        }
    }

    /// To base units; spread that contradicts the value is reported and left out.
    fn convert(
        &mut self,
        benchmark: BenchmarkId,
        direction: Direction,
        entry: CollectedEntry<'_>,
    ) -> Measurement {
        let factor = entry.scale.factor;
        let scaled = |number: f64| Some(number * factor).filter(|number| number.is_finite());
        let value = entry.value * factor;
        let interval = entry.interval.and_then(|Interval { low, high, level }| {
            Some(Interval {
                low: scaled(low)?,
                high: scaled(high)?,
                level,
            })
        });
        let holds = |interval: &Interval| interval.low <= value && value <= interval.high;
        if value.is_finite() && interval.is_some_and(|interval| !holds(&interval)) {
            let detail = format!(
                "the interval of {} does not hold its value and is left out",
                entry.measure
            );
            self.report_entry_problem(benchmark.as_str(), ProblemKind::Doubtful, detail);
        }
        let samples = entry
            .samples
            .or_else(|| Some(entry.iterations.len() as u64).filter(|n| *n > 0));
        Measurement {
            benchmark,
            measure: entry.measure,
            unit: entry.scale.unit,
            direction,
            estimator: entry.estimator,
            value,
            std_dev: entry
                .std_dev
                .and_then(scaled)
                .filter(|deviation| *deviation >= 0.0),
            interval: interval.filter(holds),
            samples,
            iterations: thinned(&entry.iterations, self.limits().iterations, factor),
        }
    }

    /// The process runs, with a last word on what the limits left out.
    pub(super) fn finish(mut self) -> Vec<ProcessRun> {
        let limits = *self.limits();
        let mut last_words = Vec::new();
        if self.refused > 0 {
            last_words.push(format!(
                "{} values beyond {} measurements or {} process runs are left out",
                self.refused, limits.measurements, limits.processes
            ));
        }
        if self.unreported > 0 {
            last_words.push(format!("{} more problems are not listed", self.unreported));
        }
        if let Some(first) = self.processes.first_mut() {
            for detail in last_words {
                let source = self.source.clone();
                first.report_problem(Problem {
                    source,
                    entry: None,
                    kind: ProblemKind::TooLarge,
                    detail,
                });
            }
        }
        self.processes.into_iter().map(Admission::finish).collect()
    }
}

/// The measure of a number of which only the unit is known, as the tool prints the unit.
pub(super) fn measure_of_unit(printed: &str) -> Measure {
    match Scale::parse_or_custom(printed).unit {
        Unit::Nanoseconds => Measure::LATENCY,
        Unit::OperationsPerSecond | Unit::BytesPerSecond => Measure::THROUGHPUT,
        Unit::Bytes => Measure::MEMORY,
        Unit::Count | Unit::Ratio | Unit::Custom(_) => Measure::new(printed).unwrap_or(Measure::LATENCY),
    }
}

/// At most `limit` of the values, evenly spaced; none when one of them is no finite number.
fn thinned(values: &[f64], limit: usize, factor: f64) -> Vec<f64> {
    let step = values.len().div_ceil(limit.max(1)).max(1);
    let kept: Vec<f64> = values.iter().step_by(step).map(|value| value * factor).collect();
    if kept.iter().all(|value| value.is_finite()) {
        kept
    } else {
        Vec::new()
    }
}

/// Text from a file, fit for a terminal and bounded.
fn printable(text: &str) -> String {
    text.trim()
        .chars()
        .take(400)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
