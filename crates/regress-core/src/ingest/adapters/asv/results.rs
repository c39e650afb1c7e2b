//! The files that asv keeps below `results/`: one a commit and environment, with columns named in the file. Times are in
//! seconds.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Kind, in_environment};
use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::json::JsonShape;
use crate::ingest::text::Opened;
use crate::measurement::{Estimator, Interval, ProblemKind, Scale};

/// More combinations of parameters than any benchmark is run with.
const MAX_COMBINATIONS: usize = 100_000;

#[derive(Deserialize)]
struct ResultFile<'a> {
    #[serde(default)]
    env_name: String,
    result_columns: Vec<String>,
    results: Map<String, Value>,
    /// Version 2 is the form with columns.
    #[serde(borrow)]
    version: Option<&'a RawValue>,
}

pub(super) fn is_result_file(shape: &JsonShape) -> bool {
    !shape.is_array
        && shape.has_key(1, "commit_hash")
        && shape.has_key(1, "results")
        && shape.has_key(1, "env_name")
}

pub(super) fn read_result_file(source: &Opened<'_>, collector: &mut MeasurementCollector<'_>) {
    let file: ResultFile<'_> = match serde_json::from_str(&source.text) {
        Ok(file) => file,
        Err(error) => {
            let detail = format!("{error}; result files are read from version 2 on (asv 0.4.2)");
            return collector.reject_source(ProblemKind::Malformed, &detail);
        }
    };
    if file.version.is_none_or(|version| version.get() != "2") {
        return collector.reject_source(ProblemKind::Malformed, "it is no result file of version 2");
    }
    for (name, row) in &file.results {
        let column = |wanted: &str| {
            let place = file.result_columns.iter().position(|column| column == wanted)?;
            row.get(place)
        };
        let values = column("result").and_then(Value::as_array);
        let names = combinations(name, column("params"));
        match (values, names) {
            (Some(values), Some(names)) if values.len() == names.len() => {
                let spread = (column("stats_ci_99_a"), column("stats_ci_99_b"));
                for (index, (value, full)) in values.iter().zip(&names).enumerate() {
                    let interval = at(spread.0, index).zip(at(spread.1, index));
                    push_value(
                        name,
                        &in_environment(full, &file.env_name),
                        value,
                        interval,
                        collector,
                    );
                }
            }
            // A benchmark that failed as a whole has null for its values.
            (None, _) => collector.report_entry_problem(name, ProblemKind::Failed, "it has no result"),
            _ => collector.report_entry_problem(
                name,
                ProblemKind::Malformed,
                "its values are not as many as its parameters",
            ),
        }
    }
}

fn at(list: Option<&Value>, index: usize) -> Option<f64> {
    list?.get(index)?.as_f64()
}

/// The name of a benchmark with each combination of its parameters, in the order of the values: the last parameter
/// changes fastest. `None` if they are no lists, or more than can be.
fn combinations(name: &str, parameters: Option<&Value>) -> Option<Vec<String>> {
    let lists = parameters
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    for list in lists {
        let texts: Vec<String> = list.as_array()?.iter().map(plain).collect();
        if all.len().saturating_mul(texts.len()) > MAX_COMBINATIONS {
            return None;
        }
        let longer = |one: &Vec<String>| {
            let one = one.clone();
            texts
                .iter()
                .map(move |text| [one.clone(), vec![text.clone()]].concat())
                .collect::<Vec<_>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    let full = |values: Vec<String>| match values.is_empty() {
        true => name.to_owned(),
        false => format!("{name}({})", values.join(", ")),
    };
    Some(all.into_iter().map(full).collect())
}

/// A parameter as people see it: asv writes Python's representation, with quotes around text.
fn plain(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let quoted = |quote: char| Some(text.strip_prefix(quote)?.strip_suffix(quote)?.to_owned());
    quoted('\'').or_else(|| quoted('"')).unwrap_or(text)
}

fn push_value(
    name: &str,
    full: &str,
    value: &Value,
    interval: Option<(f64, f64)>,
    collector: &mut MeasurementCollector<'_>,
) {
    let Some(value) = value.as_f64() else {
        return collector.report_entry_problem(full, ProblemKind::Failed, "it has no value");
    };
    let kind = Kind::of(name);
    let factor = if kind == Kind::Time { 1e9 } else { 1.0 };
    collector.push(CollectedEntry {
        estimator: Estimator::Median,
        interval: interval.map(|(low, high)| Interval {
            low,
            high,
            level: Some(0.99),
        }),
        ..CollectedEntry::new(
            full,
            kind.measure(),
            Scale {
                unit: kind.unit(),
                factor,
            },
            value,
        )
    });
}
