//! Google Benchmark's `--benchmark_format=json`.
//!
//! Repetitions within the process become the iterations of one measurement, their median its value; with
//! `--benchmark_report_aggregates_only` the median (or else mean) aggregate is the value. Fitted complexities
//! (`BigO`, `RMS`) are not measurements and are passed over. Counters have no unit and no direction in the file.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::json::{Elements, quote_not_finite};
use crate::ingest::text::Opened;
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Estimator, Measure, ProblemKind, Scale, Unit};
use crate::stats::median;

pub(super) struct GoogleBenchmark;

#[derive(Deserialize)]
struct GoogleReport<'a> {
    context: Option<Context>,
    #[serde(borrow)]
    benchmarks: Elements<'a>,
}

#[derive(Deserialize)]
struct Context {
    json_schema_version: Option<u64>,
}

type Row = BTreeMap<String, Value>;

/// Rows are parsed whole, since their counters have any name; one of this many bytes is none.
const LONGEST_ROW: usize = 1 << 20;

/// The rows of one run name.
#[derive(Default)]
struct Group {
    repetitions: Vec<Row>,
    aggregates: BTreeMap<String, Row>,
}

/// Fields that are not counters.
const FIELDS: &[&str] = &[
    "family_index",
    "per_family_instance_index",
    "repetitions",
    "repetition_index",
    "threads",
    "iterations",
    "cpu_coefficient",
    "real_coefficient",
    "rms",
];

impl Adapter for GoogleBenchmark {
    fn tool(&self) -> Tool {
        Tool::GoogleBenchmark
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        source.shape.as_ref().is_some_and(|shape| {
            !shape.is_array
                && (shape.has_key(1, "context") || shape.has_key(1, "benchmarks"))
                && (shape.has_key(2, "real_time")
                    || shape.has_key(2, "library_build_type")
                    || shape.has_key(2, "cpu_time"))
        })
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            read_report(&quote_not_finite(&source.text), collector);
        }
    }
}

fn read_report(text: &str, collector: &mut MeasurementCollector<'_>) {
    let report: GoogleReport<'_> = match serde_json::from_str(text) {
        Ok(report) => report,
        Err(error) => return collector.reject_source(ProblemKind::Malformed, &error.to_string()),
    };
    if let Some(version) = report
        .context
        .and_then(|context| context.json_schema_version)
        .filter(|v| *v != 1)
    {
        collector.reject_source(
            ProblemKind::UnknownVersion,
            &format!("json_schema_version {version}, known is 1"),
        );
    }
    let mut order: Vec<String> = Vec::new();
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for (index, row) in report.benchmarks.0.iter().enumerate() {
        if row.get().len() > LONGEST_ROW {
            let detail = format!("{} bytes, the limit is {LONGEST_ROW}", row.get().len());
            collector.report_entry_problem(&format!("benchmarks[{index}]"), ProblemKind::TooLarge, detail);
            continue;
        }
        let row: Row = match serde_json::from_str(row.get()) {
            Ok(row) => row,
            Err(error) => {
                collector.report_entry_problem(
                    &format!("benchmarks[{index}]"),
                    ProblemKind::Malformed,
                    error.to_string(),
                );
                continue;
            }
        };
        let Some(name) = text_of(&row, "run_name")
            .or_else(|| text_of(&row, "name"))
            .map(str::to_owned)
        else {
            collector.report_entry_problem(&format!("benchmarks[{index}]"), ProblemKind::Missing, "name");
            continue;
        };
        if let Some(failure) = failure(&row) {
            collector.report_entry_problem(&name, ProblemKind::Failed, failure);
            continue;
        }
        let group = groups.entry(name.clone()).or_insert_with(|| {
            order.push(name);
            Group::default()
        });
        match text_of(&row, "aggregate_name").map(str::to_owned) {
            Some(aggregate) => drop(group.aggregates.insert(aggregate, row)),
            None => group.repetitions.push(row),
        }
    }
    for name in order {
        read_group(&name, &groups[&name], collector);
    }
}

fn text_of<'r>(row: &'r Row, field: &str) -> Option<&'r str> {
    row.get(field).and_then(Value::as_str)
}

/// A number, or a word for none as [`quote_not_finite`] left it.
fn number_of(row: &Row, field: &str) -> Option<f64> {
    match row.get(field)? {
        Value::Number(number) => number.as_f64(),
        Value::String(word) => match word.as_str() {
            "NaN" | "nan" | "-nan" => Some(f64::NAN),
            "Infinity" | "inf" | "-Infinity" | "-inf" => Some(f64::INFINITY),
            _ => None,
        },
        _ => None,
    }
}

fn failure(row: &Row) -> Option<String> {
    let set = |field| row.get(field).is_some_and(|value| value == &Value::Bool(true));
    let message = |field| text_of(row, field).unwrap_or("no message").to_owned();
    if set("error_occurred") {
        Some(message("error_message"))
    } else if row
        .get("skipped")
        .is_some_and(|value| value != &Value::Bool(false))
    {
        Some(format!("skipped: {}", message("skip_message")))
    } else {
        None
    }
}

fn read_group(name: &str, group: &Group, collector: &mut MeasurementCollector<'_>) {
    let aggregate = group
        .aggregates
        .get("median")
        .or_else(|| group.aggregates.get("mean"));
    let Some(first) = group.repetitions.first().or(aggregate) else {
        return;
    };
    let time = Scale::parse_or_custom(text_of(first, "time_unit").unwrap_or("ns"));
    let is_complexity_only = group.repetitions.is_empty() && first.contains_key("big_o");
    if is_complexity_only {
        return;
    }
    for field in first.keys() {
        let (measure, scale) = match field.as_str() {
            "real_time" => (Measure::LATENCY, time.clone()),
            "cpu_time" => (Measure::CPU_TIME, time.clone()),
            "bytes_per_second" => (Measure::THROUGHPUT, Scale::from_base_unit(Unit::BytesPerSecond)),
            "items_per_second" => (
                named("item-throughput"),
                Scale::from_base_unit(Unit::OperationsPerSecond),
            ),
            "allocs_per_iter" => (Measure::ALLOCATIONS, Scale::from_base_unit(Unit::Count)),
            "max_bytes_used" => (Measure::PEAK_MEMORY, Scale::from_base_unit(Unit::Bytes)),
            "total_allocated_bytes" => (Measure::ALLOCATED_BYTES, Scale::from_base_unit(Unit::Bytes)),
            other if FIELDS.contains(&other) || number_of(first, other).is_none() => continue,
            counter => (named(counter), Scale::from_base_unit(Unit::Ratio)),
        };
        push_entry(name, group, aggregate, field, measure, scale, collector);
    }
    if !first.contains_key("real_time") {
        collector.report_entry_problem(name, ProblemKind::Missing, "real_time");
    }
}

fn named(counter: &str) -> Measure {
    Measure::new(counter).unwrap_or_else(|_| Measure::new("unnamed-counter").expect("a plain word is a name"))
}

fn push_entry(
    name: &str,
    group: &Group,
    aggregate: Option<&Row>,
    field: &str,
    measure: Measure,
    scale: Scale,
    collector: &mut MeasurementCollector<'_>,
) {
    let values: Vec<f64> = group
        .repetitions
        .iter()
        .filter_map(|row| number_of(row, field))
        .collect();
    let std_dev = group
        .aggregates
        .get("stddev")
        .and_then(|row| number_of(row, field));
    let samples = aggregate
        .and_then(|row| number_of(row, "iterations"))
        .map(|n| n as u64);
    let entry = CollectedEntry::new(name, measure, scale, f64::NAN);
    match (values.as_slice(), aggregate.and_then(|row| number_of(row, field))) {
        ([], Some(value)) => {
            let of_median = group.aggregates.contains_key("median");
            let estimator = if of_median {
                Estimator::Median
            } else {
                Estimator::Mean
            };
            collector.push(CollectedEntry {
                value,
                estimator,
                std_dev,
                samples,
                ..entry
            });
        }
        ([], None) => {
            collector.report_entry_problem(name, ProblemKind::Malformed, format!("{field} is no number"));
        }
        ([value], _) => collector.push(CollectedEntry {
            value: *value,
            estimator: Estimator::Mean,
            ..entry
        }),
        (many, _) => {
            let value = median(many).unwrap_or(f64::NAN);
            collector.push(CollectedEntry {
                value,
                estimator: Estimator::Median,
                std_dev,
                iterations: values,
                ..entry
            });
        }
    }
}
