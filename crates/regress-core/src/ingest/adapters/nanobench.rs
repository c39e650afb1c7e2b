//! nanobench: its Markdown table, and its JSON template. A time for each unit of the batch (`ns/op`, `ns/byte`).
//!
//! The median is the value; instructions, where the machine counted them, are a measure of their own. The title of the
//! table is the first part of a benchmark's name.

use serde::Deserialize;

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::text::{Opened, parse_number};
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Estimator, Measure, ProblemKind, Scale, Unit};

pub(super) struct Nanobench;

#[derive(Deserialize)]
struct NanobenchReport {
    results: Vec<NanobenchResult>,
}

#[derive(Deserialize)]
struct NanobenchResult {
    title: String,
    name: String,
    #[serde(default = "one")]
    batch: f64,
    /// Seconds for a whole batch.
    #[serde(rename = "median(elapsed)")]
    elapsed: f64,
    #[serde(rename = "medianAbsolutePercentError(elapsed)")]
    error: Option<f64>,
    #[serde(rename = "median(instructions)", default)]
    instructions: f64,
    epochs: Option<u64>,
}

fn one() -> f64 {
    1.0
}

impl Adapter for Nanobench {
    fn tool(&self) -> Tool {
        Tool::Nanobench
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        match &source.shape {
            Some(shape) => shape.has_key(1, "results") && shape.has_key(2, "median(elapsed)"),
            None => source.lines().any(|line| heading(&line).is_some()),
        }
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            if source.shape.is_none() {
                read_table(source, collector);
                continue;
            }
            match serde_json::from_str::<NanobenchReport>(&source.text) {
                Ok(report) => report.results.iter().for_each(|one| push_result(one, collector)),
                Err(error) => collector.reject_source(ProblemKind::Malformed, &error.to_string()),
            }
        }
    }
}

fn push_result(result: &NanobenchResult, collector: &mut MeasurementCollector<'_>) {
    let name = full_name(&result.title, &result.name);
    let batch = if result.batch > 0.0 { result.batch } else { 1.0 };
    let time = result.elapsed / batch;
    collector.push(CollectedEntry {
        estimator: Estimator::Median,
        std_dev: result.error.map(|error| error * time),
        samples: result.epochs,
        ..CollectedEntry::from_time(&name, 1e9, time)
    });
    if result.instructions > 0.0 {
        let count = result.instructions / batch;
        collector.push(CollectedEntry::new(
            &name,
            Measure::INSTRUCTIONS,
            Scale::from_base_unit(Unit::Count),
            count,
        ));
    }
}

fn full_name(title: &str, name: &str) -> String {
    match title.trim() {
        "" | "benchmark" => name.to_owned(),
        title => format!("{title}/{name}"),
    }
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.trim().strip_prefix('|')?;
    Some(row.split('|').map(str::trim).collect())
}

/// The columns of a heading, of which the last is the title: `| ns/op | op/s | err% | total | sorting`.
fn heading(line: &str) -> Option<Vec<String>> {
    let cells = cells(line)?;
    let is_heading =
        cells.contains(&"err%") && cells.contains(&"total") && cells.iter().any(|cell| is_time(cell));
    is_heading.then(|| cells.into_iter().map(str::to_owned).collect())
}

/// `ns/op`, `us/byte`: the time that one unit takes.
fn is_time(column: &str) -> bool {
    column
        .split_once('/')
        .is_some_and(|(time, _)| time_scale(time).is_some())
}

fn time_scale(text: &str) -> Option<Scale> {
    Scale::parse(text).filter(|scale| scale.unit == Unit::Nanoseconds)
}

fn read_table(source: &Opened<'_>, collector: &mut MeasurementCollector<'_>) {
    let mut columns: Vec<String> = Vec::new();
    for line in source.lines() {
        if let Some(found) = heading(&line) {
            columns = found;
            continue;
        }
        // A name may hold bars itself; it is what stands between the backticks at the end.
        let Some((numbers, name)) = line.split_once('`') else {
            continue;
        };
        let (Some(row), Some(title)) = (cells(numbers), columns.last()) else {
            continue;
        };
        let name = full_name(title, name.trim_end().trim_end_matches('`'));
        for (column, cell) in columns.iter().zip(&row) {
            push_cell(&name, column, cell, collector);
        }
    }
}

fn push_cell(name: &str, column: &str, cell: &str, collector: &mut MeasurementCollector<'_>) {
    let Some((what, _)) = column.split_once('/') else {
        return;
    };
    let (measure, scale) = match time_scale(what) {
        Some(scale) => (Measure::LATENCY, scale),
        None if what == "ins" => (Measure::INSTRUCTIONS, Scale::from_base_unit(Unit::Count)),
        None => return,
    };
    match parse_number(cell) {
        Some(value) => collector.push(CollectedEntry {
            estimator: Estimator::Median,
            ..CollectedEntry::new(name, measure, scale, value)
        }),
        None => collector.report_entry_problem(name, ProblemKind::Malformed, cell),
    }
}
