//! benchgate's own run file, as one more source of process runs.
//!
//! What it says of environment and commit is not looked at here: who needs that reads the file with
//! [`RunFile::from_json`].

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::text::Opened;
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Measurement, ProblemKind, RunFile, RunFileError, Scale};

pub(super) struct Benchgate;

impl Adapter for Benchgate {
    fn tool(&self) -> Tool {
        Tool::Benchgate
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        source
            .shape
            .as_ref()
            .is_some_and(|shape| shape.has_key(1, "format") && source.text.contains("\"benchgate-run\""))
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            match RunFile::from_json(source.text.as_bytes()) {
                Ok(file) => {
                    for (index, run) in file.processes.iter().enumerate() {
                        for problem in &run.problems {
                            collector.report_entry_problem(
                                problem.entry.as_deref().unwrap_or(""),
                                problem.kind,
                                &problem.detail,
                            );
                        }
                        run.measurements
                            .iter()
                            .for_each(|measurement| push_entry(index, measurement, collector));
                    }
                }
                Err(error @ RunFileError::Newer { .. }) => {
                    collector.reject_source(ProblemKind::Malformed, &error.to_string());
                }
                Err(error) => collector.reject_source(ProblemKind::Malformed, &error.to_string()),
            }
        }
    }
}

fn push_entry(process: usize, measurement: &Measurement, collector: &mut MeasurementCollector<'_>) {
    collector.push(CollectedEntry {
        name: measurement.benchmark.as_str(),
        measure: measurement.measure.clone(),
        scale: Scale::from_base_unit(measurement.unit.clone()),
        direction: Some(measurement.direction),
        estimator: measurement.estimator,
        value: measurement.value,
        std_dev: measurement.std_dev,
        interval: measurement.interval,
        samples: measurement.samples,
        iterations: measurement.iterations.clone(),
        process,
    });
}
