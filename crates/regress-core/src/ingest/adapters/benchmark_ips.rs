//! Ruby's benchmark-ips: the JSON of `x.json!`, and its output for people. Iterations per second.
//!
//! A label that is too long for its column stands on a line of its own. What is printed while warming up (`i/100ms`) and
//! in the comparison is passed over.

use serde::Deserialize;

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::json::Elements;
use crate::ingest::text::{Opened, parse_number};
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Estimator, Measure, ProblemKind, Scale, Unit};

pub(super) struct BenchmarkIps;

/// Newer versions write each number under two names.
#[derive(Deserialize)]
struct IpsEntry {
    name: String,
    central_tendency: Option<f64>,
    ips: Option<f64>,
    error: Option<f64>,
    stddev: Option<f64>,
}

impl Adapter for BenchmarkIps {
    fn tool(&self) -> Tool {
        Tool::BenchmarkIps
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        match &source.shape {
            Some(shape) => {
                shape.is_array && shape.has_key(1, "microseconds") && shape.has_key(1, "iterations")
            }
            None => source.lines().any(|line| rate(&line).is_some()),
        }
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            if source.shape.is_none() {
                read_lines(source, collector);
                continue;
            }
            match serde_json::from_str::<Elements<'_>>(&source.text) {
                Ok(Elements(entries)) => entries
                    .iter()
                    .for_each(|entry| read_entry(entry.get(), collector)),
                Err(error) => collector.reject_source(ProblemKind::Malformed, &error.to_string()),
            }
        }
    }
}

fn read_entry(text: &str, collector: &mut MeasurementCollector<'_>) {
    let entry: IpsEntry = match serde_json::from_str(text) {
        Ok(entry) => entry,
        Err(error) => return collector.reject_source(ProblemKind::Malformed, &error.to_string()),
    };
    match entry.central_tendency.or(entry.ips) {
        Some(rate) => push_rate(&entry.name, rate, entry.error.or(entry.stddev), collector),
        None => collector.report_entry_problem(&entry.name, ProblemKind::Missing, "ips"),
    }
}

fn push_rate(name: &str, rate: f64, deviation: Option<f64>, collector: &mut MeasurementCollector<'_>) {
    let scale = Scale::from_base_unit(Unit::OperationsPerSecond);
    collector.push(CollectedEntry {
        estimator: Estimator::Mean,
        std_dev: deviation,
        ..CollectedEntry::new(name, Measure::THROUGHPUT, scale, rate)
    });
}

fn read_lines(source: &Opened<'_>, collector: &mut MeasurementCollector<'_>) {
    let mut label = String::new();
    for line in source.lines() {
        match rate(&line) {
            Some((name, value, percent)) => {
                let name = if name.is_empty() { label.trim() } else { name };
                let deviation = percent.map(|percent| value * percent / 100.0);
                push_rate(name, value, deviation, collector);
            }
            None => label = line.into_owned(),
        }
    }
}

/// `addition  6.184M (±101.0%) i/s -  1.570M in 1.02s`: label, rate, deviation in percent.
fn rate(line: &str) -> Option<(&str, f64, Option<f64>)> {
    let (before, _) = line.split_once(" i/s ")?;
    let (before, deviation) = before.split_once("(±")?;
    let before = before.trim_end();
    let (label, value) = before.rsplit_once(char::is_whitespace).unwrap_or(("", before));
    let percent = parse_number(deviation.trim().trim_end_matches([')', '%', ' ']));
    Some((label.trim(), with_prefix(value)?, percent))
}

/// `6.184M`
fn with_prefix(text: &str) -> Option<f64> {
    let (digits, factor) = match text.char_indices().next_back()? {
        (at, 'k') => (&text[..at], 1e3),
        (at, 'M') => (&text[..at], 1e6),
        (at, 'B') => (&text[..at], 1e9),
        (at, 'T') => (&text[..at], 1e12),
        (at, 'Q') => (&text[..at], 1e15),
        _ => (text, 1.0),
    };
    Some(parse_number(digits)? * factor)
}
