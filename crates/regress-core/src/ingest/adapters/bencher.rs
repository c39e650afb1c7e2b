//! Bencher Metric Format: `{"benchmark": {"measure": {"value": n, "lower_value": n, "upper_value": n}}}`.
//!
//! The format names neither unit nor direction. Bencher's own measures have known ones; of others, bytes and
//! counts are told by the name. Source: bencher.dev, reference, Bencher Metric Format.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::json::{Number, quote_not_finite, read_object_members};
use crate::ingest::text::{Opened, slug_from_label};
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Direction, Interval, Measure, ProblemKind, Scale, Unit};

pub(super) struct Bencher;

#[derive(Deserialize)]
struct BencherMetric {
    value: Number,
    lower_value: Option<Number>,
    upper_value: Option<Number>,
}

impl Adapter for Bencher {
    fn tool(&self) -> Tool {
        Tool::Bencher
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        source
            .shape
            .as_ref()
            .is_some_and(|shape| !shape.is_array && shape.has_key(3, "value"))
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            let text = quote_not_finite(&source.text);
            match read_object_members(&text) {
                Ok(benchmarks) => benchmarks
                    .iter()
                    .for_each(|(name, raw)| read_benchmark(name, raw, collector)),
                Err(error) => collector.reject_source(ProblemKind::Malformed, &error.to_string()),
            }
        }
    }
}

fn read_benchmark(name: &str, raw: &RawValue, collector: &mut MeasurementCollector<'_>) {
    let measures = match read_object_members(raw.get()) {
        Ok(measures) => measures,
        Err(error) => return collector.report_entry_problem(name, ProblemKind::Malformed, error.to_string()),
    };
    for (label, raw) in measures {
        let (metric, measure) = match (
            serde_json::from_str::<BencherMetric>(raw.get()),
            Measure::new(&label),
        ) {
            (Ok(metric), Ok(measure)) => (metric, measure),
            (Err(error), _) => {
                collector.report_entry_problem(name, ProblemKind::Malformed, format!("{label}: {error}"));
                continue;
            }
            (_, Err(error)) => {
                collector.report_entry_problem(name, ProblemKind::BadName, format!("{label:?}: {error}"));
                continue;
            }
        };
        let (unit, direction) = unit_of(&label);
        let bounds = metric.lower_value.zip(metric.upper_value);
        collector.push(CollectedEntry {
            direction,
            interval: bounds.map(|(low, high)| Interval {
                low: low.0,
                high: high.0,
                level: None,
            }),
            ..CollectedEntry::new(name, measure, Scale::from_base_unit(unit), metric.value.0)
        });
    }
}

/// Unit and direction by Bencher's built-in measures, then by the words of the name.
fn unit_of(label: &str) -> (Unit, Option<Direction>) {
    let slug = slug_from_label(label);
    match slug.as_str() {
        "latency" => (Unit::Nanoseconds, None),
        "throughput" => (Unit::OperationsPerSecond, None),
        "build-time" => (Unit::Custom("s".to_owned()), Some(Direction::SmallerIsBetter)),
        "file-size" => (Unit::Bytes, None),
        "instructions" | "estimated-cycles" | "total-accesses" | "total-read-write" => (Unit::Count, None),
        "l1-accesses" | "l2-accesses" | "ram-accesses" => (Unit::Count, None),
        name if name.ends_with("bytes") || name.ends_with("memory") => (Unit::Bytes, None),
        name if name.ends_with("blocks") || name.ends_with("count") || name.ends_with("hits") => {
            (Unit::Count, None)
        }
        _ => (Unit::Ratio, None),
    }
}
