//! libtest's benches, `test NAME ... bench:  1,234.56 ns/iter (+/- 78) = 9 MB/s`, and Criterion's
//! `--output-format bencher`, which prints the same line.
//!
//! The value is a median in both. What follows `+/-` is the range of the samples for libtest and their standard
//! deviation for Criterion, and the line does not say which: it is taken only from Criterion, which prints no
//! `running N tests` and no `test result`.

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::text::{Opened, parse_number};
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Estimator, Measure, ProblemKind, Scale};

pub(super) struct Libtest;

impl Adapter for Libtest {
    fn tool(&self) -> Tool {
        Tool::Libtest
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        source
            .lines()
            .any(|line| line.starts_with("test ") && line.contains(" ... bench:"))
            || source
                .lines()
                .any(|line| line.starts_with("test ") && line.ends_with(" ... FAILED"))
    }

    fn shares_sources(&self) -> bool {
        true
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            let of_libtest = is_of_libtest(source);
            for line in source.lines() {
                read_line(line.trim_end(), of_libtest, collector);
            }
        }
    }
}

pub(super) fn is_of_libtest(source: &Opened<'_>) -> bool {
    source.lines().any(|line| line.starts_with("test result: "))
}

fn read_line(line: &str, of_libtest: bool, collector: &mut MeasurementCollector<'_>) {
    let Some(test) = line.strip_prefix("test ") else {
        return;
    };
    if let Some((name, outcome)) = test.rsplit_once(" ... bench:") {
        match parse(outcome) {
            Some((value, scale, spread)) => collector.push(CollectedEntry {
                estimator: Estimator::Median,
                std_dev: spread.filter(|_| !of_libtest),
                ..CollectedEntry::new(name, Measure::LATENCY, scale, value)
            }),
            None => collector.report_entry_problem(name, ProblemKind::Malformed, outcome.trim()),
        }
    } else if let Some(name) = test.strip_suffix(" ... FAILED") {
        collector.report_entry_problem(name, ProblemKind::Failed, "");
    }
}

/// `1,234.56 ns/iter (+/- 78)`: value, unit, spread in the same unit.
fn parse(outcome: &str) -> Option<(f64, Scale, Option<f64>)> {
    let mut words = outcome.split_whitespace();
    let value = parse_number(words.next()?)?;
    let scale = Scale::parse_or_custom(words.next()?);
    let spread = outcome
        .split_once("(+/- ")
        .and_then(|(_, rest)| parse_number(rest.split(')').next()?));
    Some((value, scale, spread))
}
