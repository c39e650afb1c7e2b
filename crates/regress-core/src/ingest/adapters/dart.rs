//! Dart's benchmark_harness: `Template(RunTime): 0.1568472448997197 us.`, the mean time of a call.

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::text::{Opened, parse_number};
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Estimator, ProblemKind};

pub(super) struct Dart;

impl Adapter for Dart {
    fn tool(&self) -> Tool {
        Tool::Dart
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        source.shape.is_none() && source.lines().any(|line| parse(&line).is_some())
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            for line in source.lines() {
                let Some((name, text)) = parse(&line) else {
                    continue;
                };
                match parse_number(text) {
                    Some(value) => collector.push(CollectedEntry {
                        estimator: Estimator::Mean,
                        ..CollectedEntry::from_time(name, 1e3, value)
                    }),
                    None => collector.report_entry_problem(name, ProblemKind::Malformed, text),
                }
            }
        }
    }
}

/// The benchmark's name and its time in microseconds, as it is printed.
fn parse(line: &str) -> Option<(&str, &str)> {
    let (name, time) = line.trim_end().split_once("(RunTime): ")?;
    Some((name.trim(), time.strip_suffix(" us.")?))
}
