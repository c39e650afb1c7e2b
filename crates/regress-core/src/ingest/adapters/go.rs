//! `go test -bench`, the format `benchfmt` documents: `BenchmarkName-8  N  value unit  value unit ...`, with
//! `key: value` lines above; also as `go test -json`.
//!
//! Names get the package in front (`pkg.BenchmarkName`), since packages repeat them. The `-8` suffix is the value
//! of GOMAXPROCS and is dropped when every line of the file has the same one: a lone `-1024` may be part of a
//! name. Lines repeated by `-count` come from one process and become the iterations of one measurement.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::HashMap;

use serde::Deserialize;

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::text::{Opened, parse_number};
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Direction, Estimator, Measure, ProblemKind, Scale, Unit};
use crate::stats::median;

pub(super) struct Go;

/// Values of one benchmark and unit over repeated lines.
struct Series {
    name: String,
    unit: String,
    values: Vec<f64>,
}

#[derive(Deserialize)]
struct TestEvent {
    #[serde(rename = "Output")]
    output: Option<String>,
}

impl Adapter for Go {
    fn tool(&self) -> Tool {
        Tool::Go
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        let is_json = source
            .shape
            .as_ref()
            .is_some_and(|shape| shape.has_key(1, "Action") && shape.has_key(1, "Package"));
        is_json
            || source.lines().any(|line| {
                result(&line).is_some_and(|r| r.is_ok()) || line.starts_with("--- FAIL: Benchmark")
            })
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            if source.shape.is_some() {
                let output: String = source.text.lines().filter_map(output_of).collect();
                read_lines(|| output.lines().map(Cow::Borrowed), collector);
            } else {
                read_lines(|| source.lines(), collector);
            }
        }
    }
}

/// The text that one event of `go test -json` carries.
fn output_of(line: &str) -> Option<String> {
    serde_json::from_str::<TestEvent>(line).ok()?.output
}

/// A result line: name and value-unit pairs.
type ResultLine<'l> = (&'l str, Vec<(f64, &'l str)>);

/// Reads a result line. `None` when it is none (`BenchmarkName` alone announces one), `Err` when it begins like
/// one and goes wrong.
fn result(line: &str) -> Option<Result<ResultLine<'_>, String>> {
    let mut words = line.split_whitespace();
    let name = words.next()?;
    let rest = name.strip_prefix("Benchmark")?;
    if !line.starts_with("Benchmark") || rest.starts_with(|c: char| c.is_lowercase()) {
        return None;
    }
    // The iteration count tells results from log lines that happen to begin with a benchmark's name.
    words.next()?.parse::<u64>().ok()?;
    let words: Vec<&str> = words.collect();
    let mut pairs = Vec::new();
    for pair in words.chunks(2) {
        let [value, unit] = pair else {
            return Some(Err(format!("{:?} has no unit", pair.concat())));
        };
        let Some(value) = parse_number(value) else {
            return Some(Err(format!("{value:?} is no number")));
        };
        pairs.push((value, *unit));
    }
    Some(if pairs.is_empty() {
        Err("no values".to_owned())
    } else {
        Ok((name, pairs))
    })
}

fn read_lines<'l, I: Iterator<Item = Cow<'l, str>>>(
    lines: impl Fn() -> I,
    collector: &mut MeasurementCollector<'_>,
) {
    let suffix = common_suffix(lines());
    let mut package = String::new();
    let mut directions: BTreeMap<String, Direction> = BTreeMap::new();
    let mut series: Vec<Series> = Vec::new();
    let mut index: HashMap<(String, String), usize> = HashMap::new();
    for line in lines() {
        let line = line.as_ref();
        let full_name = |name: &str| {
            let name = suffix
                .as_deref()
                .and_then(|suffix| name.strip_suffix(suffix))
                .unwrap_or(name);
            if package.is_empty() {
                name.to_owned()
            } else {
                format!("{package}.{name}")
            }
        };
        if let Some(value) = line.strip_prefix("pkg:") {
            value.trim().clone_into(&mut package);
        } else if let Some(failed) = line.trim_start().strip_prefix("--- FAIL: ") {
            let name = failed.split_whitespace().next().unwrap_or(failed);
            collector.report_entry_problem(&full_name(name), ProblemKind::Failed, "");
        } else if let Some(message) = line.strip_prefix("panic: ") {
            collector.report_entry_problem(&package, ProblemKind::Failed, format!("panic: {message}"));
        } else if let Some(metadata) = line.strip_prefix("Unit ") {
            directions.extend(unit_metadata(metadata));
        } else {
            match result(line) {
                None => {}
                Some(Err(error)) => collector.report_entry_problem(line, ProblemKind::Malformed, error),
                Some(Ok((name, pairs))) => {
                    let name = full_name(name);
                    for (value, unit) in pairs {
                        let at = *index.entry((name.clone(), unit.to_owned())).or_insert_with(|| {
                            series.push(Series {
                                name: name.clone(),
                                unit: unit.to_owned(),
                                values: Vec::new(),
                            });
                            series.len() - 1
                        });
                        series[at].values.push(value);
                    }
                }
            }
        }
    }
    for Series { name, unit, values } in series {
        push_entry(&name, &unit, values, directions.get(&unit).copied(), collector);
    }
}

/// `-8` when all result lines end in it.
fn common_suffix<'l>(lines: impl Iterator<Item = Cow<'l, str>>) -> Option<String> {
    let mut common: Option<String> = None;
    for line in lines {
        let Some(Ok((name, _))) = result(&line) else {
            continue;
        };
        let suffix = processors(name)?;
        match &common {
            Some(known) if known != suffix => return None,
            Some(_) => {}
            None => common = Some(suffix.to_owned()),
        }
    }
    common
}

/// The `-8` a name ends in, if it does.
fn processors(name: &str) -> Option<&str> {
    let (at, digits) = name.rfind('-').map(|at| (at, &name[at + 1..]))?;
    let is_count = digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u32>().is_ok_and(|n| n > 1);
    is_count.then_some(&name[at..])
}

/// `Unit frames/op better=higher`.
fn unit_metadata(line: &str) -> Option<(String, Direction)> {
    let (unit, properties) = line.split_once(' ')?;
    let direction = properties
        .split_whitespace()
        .find_map(|property| match property {
            "better=higher" => Some(Direction::BiggerIsBetter),
            "better=lower" => Some(Direction::SmallerIsBetter),
            _ => None,
        })?;
    Some((unit.to_owned(), direction))
}

fn push_entry(
    name: &str,
    unit: &str,
    values: Vec<f64>,
    direction: Option<Direction>,
    collector: &mut MeasurementCollector<'_>,
) {
    let (measure, scale) = match unit {
        "ns/op" => (Ok(Measure::LATENCY), Scale::from_base_unit(Unit::Nanoseconds)),
        "MB/s" => (
            Ok(Measure::THROUGHPUT),
            Scale {
                unit: Unit::BytesPerSecond,
                factor: 1e6,
            },
        ),
        "B/op" => (Ok(Measure::ALLOCATED_BYTES), Scale::from_base_unit(Unit::Bytes)),
        "allocs/op" => (Ok(Measure::ALLOCATIONS), Scale::from_base_unit(Unit::Count)),
        other => (Measure::new(other), Scale::parse_or_custom(other)),
    };
    let measure = match measure {
        Ok(measure) => measure,
        Err(error) => return collector.report_entry_problem(name, ProblemKind::BadName, error.to_string()),
    };
    let entry = CollectedEntry {
        direction,
        ..CollectedEntry::new(name, measure, scale, f64::NAN)
    };
    match values.as_slice() {
        [value] => collector.push(CollectedEntry {
            value: *value,
            estimator: Estimator::Mean,
            ..entry
        }),
        many => {
            let value = median(many).unwrap_or(f64::NAN);
            collector.push(CollectedEntry {
                value,
                estimator: Estimator::Median,
                iterations: values,
                ..entry
            });
        }
    }
}
