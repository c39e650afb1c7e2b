//! Julia's `BenchmarkTools.save`: `[versions, [[type, fields], ...]]`, with groups nested to any depth. Nanoseconds.
//!
//! The median of a trial's times is the value; memory and allocations are those of one evaluation, the same in every
//! sample.

use serde_json::Value;

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::text::Opened;
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Estimator, Measure, ProblemKind, Scale, Unit};
use crate::stats::median;

pub(super) struct BenchmarkTools;

impl Adapter for BenchmarkTools {
    fn tool(&self) -> Tool {
        Tool::BenchmarkTools
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        let shape = source.shape.as_ref();
        shape.is_some_and(|shape| {
            shape.is_array && shape.has_key(1, "Julia") && shape.has_key(1, "BenchmarkTools")
        })
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            // Nesting is bounded by serde_json.
            match serde_json::from_str::<Value>(&source.text) {
                Ok(saved) => {
                    let values = saved.get(1).and_then(Value::as_array);
                    let values = values.map(Vec::as_slice).unwrap_or_default();
                    for (index, value) in values.iter().enumerate() {
                        let mut path = Vec::new();
                        // Several values that were saved at once have no names but their places.
                        path.extend((values.len() > 1).then(|| (index + 1).to_string()));
                        read_value(&mut path, value, collector);
                    }
                }
                Err(error) => collector.reject_source(ProblemKind::Malformed, &error.to_string()),
            }
        }
    }
}

fn read_value(path: &mut Vec<String>, value: &Value, collector: &mut MeasurementCollector<'_>) {
    let name = if path.is_empty() {
        "trial".to_owned()
    } else {
        path.join("/")
    };
    let kind = value.get(0).and_then(Value::as_str).unwrap_or_default();
    let Some(fields) = value.get(1) else {
        return collector.report_entry_problem(&name, ProblemKind::Malformed, "it is no [type, fields]");
    };
    match kind.rsplit('.').next().unwrap_or_default() {
        "BenchmarkGroup" => {
            for (key, inner) in fields
                .get("data")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                path.push(key.clone());
                read_value(path, inner, collector);
                path.pop();
            }
        }
        "Trial" => {
            let times = fields
                .get("times")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            let times: Vec<f64> = times.filter_map(Value::as_f64).collect();
            push_entries(&name, median(&times), &times, fields, collector);
        }
        "TrialEstimate" => {
            let time = fields.get("time").and_then(Value::as_f64);
            push_entries(&name, time, &[], fields, collector);
        }
        // Parameters of benchmarks, and judgements of two, are no results.
        _ => {}
    }
}

fn push_entries(
    name: &str,
    time: Option<f64>,
    times: &[f64],
    fields: &Value,
    collector: &mut MeasurementCollector<'_>,
) {
    let Some(time) = time else {
        return collector.report_entry_problem(name, ProblemKind::Missing, "times");
    };
    collector.push(CollectedEntry {
        estimator: if times.is_empty() {
            Estimator::AsPrinted
        } else {
            Estimator::Median
        },
        iterations: times.to_vec(),
        ..CollectedEntry::from_time(name, 1.0, time)
    });
    let counted = [
        ("memory", Measure::ALLOCATED_BYTES, Unit::Bytes),
        ("allocs", Measure::ALLOCATIONS, Unit::Count),
    ];
    for (field, measure, unit) in counted {
        if let Some(value) = fields.get(field).and_then(Value::as_f64) {
            collector.push(CollectedEntry::new(
                name,
                measure,
                Scale::from_base_unit(unit),
                value,
            ));
        }
    }
}
