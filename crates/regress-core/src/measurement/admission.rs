//! The checks every measurement passes before it may stand in a process run: finite, not negative, not there yet.

use std::collections::HashSet;

use super::{Measurement, Problem, ProblemKind, ProcessRun, SeriesKey};

/// A process run under construction.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    run: ProcessRun,
    seen: HashSet<SeriesKey>,
}

impl Admission {
    /// Adds `measurement`, or says why not. A zero is added and reported.
    pub(crate) fn add_measurement(&mut self, measurement: Measurement) -> Result<(), (ProblemKind, String)> {
        let value = measurement.value;
        if !value.is_finite() {
            return Err((
                ProblemKind::NotFinite,
                format!("{} is {value}", measurement.measure),
            ));
        }
        if value < 0.0 {
            let value = measurement.unit.format_value(value);
            return Err((
                ProblemKind::Negative,
                format!("{} is {value}", measurement.measure),
            ));
        }
        if !self.seen.insert(measurement.series_key()) {
            let value = measurement.unit.format_value(value);
            return Err((
                ProblemKind::Duplicate,
                format!("{} {value} is left out", measurement.measure),
            ));
        }
        let measure = measurement.measure.clone();
        self.run.measurements.push(measurement);
        if value == 0.0 {
            Err((ProblemKind::Zero, measure.to_string()))
        } else {
            Ok(())
        }
    }

    /// Notes a problem.
    pub(crate) fn report_problem(&mut self, problem: Problem) {
        self.run.problems.push(problem);
    }

    /// Adds `detail` to the last problem when that is of the same kind and entry: a benchmark with twenty zero
    /// counters is one problem. Says whether it did.
    pub(crate) fn extend_last(
        &mut self,
        source: &str,
        entry: Option<&str>,
        kind: ProblemKind,
        detail: &str,
    ) -> bool {
        let last = self.run.problems.last_mut().filter(|last| {
            entry.is_some() && last.kind == kind && last.entry.as_deref() == entry && last.source == source
        });
        let Some(last) = last else { return false };
        if last.detail.len() < 1000 {
            last.detail
                .push_str(if last.detail.is_empty() { "" } else { ", " });
            last.detail.push_str(detail);
        }
        true
    }

    /// The finished process run.
    pub(crate) fn finish(self) -> ProcessRun {
        self.run
    }
}

/// Lets the measurements of a process run read from a file through the checks again.
pub(crate) fn recheck_measurements(run: ProcessRun, source: &str) -> ProcessRun {
    let mut admission = Admission::default();
    admission.run.problems = run.problems;
    for measurement in run.measurements {
        let entry = measurement.benchmark.to_string();
        if let Err((kind, detail)) = admission.add_measurement(measurement) {
            let problem = Problem {
                source: source.to_owned(),
                entry: Some(entry),
                kind,
                detail,
            };
            if !admission
                .run
                .problems
                .iter()
                .any(|known| known.kind == kind && known.entry == problem.entry)
            {
                admission.run.problems.push(problem);
            }
        }
    }
    admission.finish()
}
