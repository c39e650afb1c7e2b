//! asv's output for people: `[ 35.00%] ··· benchmarks.TimeSuite.time_keys   11.1±0.01μs`.
//!
//! The environment above the lines becomes a part of the name, since asv runs each benchmark in several.
//! Names say what is measured: `time_` a time, `mem_` and `peakmem_` bytes, `track_` a number of the user's own.

use crate::ingest::collector::{Entry, MeasurementCollector};
use crate::ingest::text::{Opened, number};
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Estimator, Measure, ProblemKind, Scale, Unit};

pub(super) struct Asv;

impl Adapter for Asv {
    fn tool(&self) -> Tool {
        Tool::Asv
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        source.lines().any(|line| progress(&line).is_some())
    }

    fn read(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.enter(source.path);
            let mut environment = String::new();
            for line in source.lines() {
                let Some(line) = progress(&line) else { continue };
                if let Some(name) = line.strip_prefix("·· Benchmarking ") {
                    name.trim().clone_into(&mut environment);
                } else if let Some(row) = line.strip_prefix("··· ") {
                    read_row(row, &environment, collector);
                }
            }
        }
    }
}

/// What follows `[ 35.00%] `.
fn progress(line: &str) -> Option<&str> {
    let (percent, rest) = line.strip_prefix('[')?.split_once("%] ")?;
    number(percent).filter(|_| rest.starts_with('·')).map(|_| rest)
}

fn read_row(row: &str, environment: &str, collector: &mut MeasurementCollector<'_>) {
    let Some((name, outcome)) = row.trim_end().rsplit_once(' ') else {
        return;
    };
    let name = name.trim();
    if name.is_empty() || name.contains(' ') || name.starts_with("Running") || name.starts_with("Setting") {
        return;
    }
    let full = if environment.is_empty() {
        name.to_owned()
    } else {
        format!("{name} ({environment})")
    };
    match outcome {
        "failed" | "n/a" => collector.report(&full, ProblemKind::Failed, outcome),
        "ok" | "skipped" => {}
        value => match parse(value) {
            Some((value, deviation, scale)) => push_entry(name, &full, value, deviation, scale, collector),
            None => collector.report(&full, ProblemKind::Malformed, value),
        },
    }
}

/// `11.1±0.01μs` or `2.42k`: value, deviation, unit text.
fn parse(text: &str) -> Option<(f64, Option<f64>, &str)> {
    let (value, rest) = match text.split_once('±') {
        Some((value, rest)) => (value, Some(rest)),
        None => (text, None),
    };
    let cut = |text: &'_ str| {
        text.find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len())
    };
    match rest {
        Some(rest) => {
            let (deviation, unit) = rest.split_at(cut(rest));
            Some((number(value)?, number(deviation), unit))
        }
        None => {
            let (digits, unit) = value.split_at(cut(value));
            Some((number(digits)?, None, unit))
        }
    }
}

fn push_entry(
    name: &str,
    full: &str,
    value: f64,
    deviation: Option<f64>,
    unit: &str,
    collector: &mut MeasurementCollector<'_>,
) {
    let function = name.rsplit('.').next().unwrap_or(name);
    let (measure, scale) = if function.starts_with("mem_") || function.starts_with("peakmem_") {
        let peak = function.starts_with("peakmem_");
        let measure = if peak {
            Measure::PEAK_MEMORY
        } else {
            Measure::ALLOCATED_BYTES
        };
        (
            measure,
            Scale {
                unit: Unit::Bytes,
                factor: prefix(unit),
            },
        )
    } else if function.starts_with("track_") {
        (
            Measure::new("tracked").unwrap_or(Measure::LATENCY),
            Scale {
                unit: Unit::Ratio,
                factor: prefix(unit),
            },
        )
    } else {
        (Measure::LATENCY, Scale::parse_or_custom(unit))
    };
    let entry = Entry {
        estimator: Estimator::Median,
        std_dev: deviation,
        ..Entry::new(full, measure, scale, value)
    };
    collector.push(entry);
}

/// asv prints large numbers with a decimal prefix and no unit.
fn prefix(text: &str) -> f64 {
    match text.trim() {
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        _ => 1.0,
    }
}
