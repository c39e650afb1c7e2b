//! k6's end-of-test summary: `--summary-export`, or the data of `handleSummary` as JSON.
//!
//! A trend is a latency by its median, and by its 95th percentile where that is given; a counter is a rate per second; a
//! rate is a share. Gauges (how many virtual users there were) say what was asked for, and are passed over. Times are
//! in milliseconds.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::json::{Number, read_object_members};
use crate::ingest::text::Opened;
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Direction, Estimator, Measure, ProblemKind, Scale, Unit};

pub(super) struct K6;

#[derive(Deserialize)]
struct K6Summary<'a> {
    #[serde(borrow)]
    metrics: &'a RawValue,
}

/// A metric of `handleSummary`; that of `--summary-export` has the values beside each other.
#[derive(Deserialize)]
struct K6Metric {
    contains: Option<String>,
    values: Option<BTreeMap<String, Number>>,
}

impl Adapter for K6 {
    fn tool(&self) -> Tool {
        Tool::K6
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        let built_in = ["iteration_duration", "iterations", "vus", "data_received"];
        source.shape.as_ref().is_some_and(|shape| {
            !shape.is_array
                && shape.has_key(1, "metrics")
                && built_in.iter().any(|name| shape.has_key(2, name))
        })
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            let summary = serde_json::from_str::<K6Summary<'_>>(&source.text);
            match summary.and_then(|summary| read_object_members(summary.metrics.get())) {
                Ok(metrics) => metrics
                    .iter()
                    .for_each(|(name, metric)| read_metric(name, metric.get(), collector)),
                Err(error) => collector.reject_source(ProblemKind::Malformed, &error.to_string()),
            }
        }
    }
}

fn read_metric(name: &str, text: &str, collector: &mut MeasurementCollector<'_>) {
    let metric: K6Metric = match serde_json::from_str(text) {
        Ok(metric) => metric,
        Err(error) => return collector.report_entry_problem(name, ProblemKind::Malformed, error.to_string()),
    };
    let values = metric.values.unwrap_or_else(|| numbers_of(text));
    let of = |key: &str| values.get(key).map(|number| number.0);
    if let Some(median) = of("med") {
        let scale = trend_scale(name, metric.contains.as_deref());
        push_trend(name, &scale, Measure::LATENCY, median, collector);
        if let (Some(high), Ok(measure)) = (of("p(95)"), Measure::new("p95-latency")) {
            push_trend(name, &scale, measure, high, collector);
        }
        return;
    }
    let bytes = metric.contains.as_deref() == Some("data") || name.starts_with("data_");
    match (of("count"), of("rate"), of("value").or(of("rate"))) {
        (Some(_), Some(rate), _) => {
            let unit = if bytes {
                Unit::BytesPerSecond
            } else {
                Unit::OperationsPerSecond
            };
            collector.push(CollectedEntry::new(
                name,
                Measure::THROUGHPUT,
                Scale::from_base_unit(unit),
                rate,
            ));
        }
        (None, _, Some(share)) if of("passes").is_some() => push_share(name, share, collector),
        // A gauge.
        _ => {}
    }
}

/// The numbers of an object; what is none is passed over.
fn numbers_of(text: &str) -> BTreeMap<String, Number> {
    let all = read_object_members(text).unwrap_or_default();
    all.into_iter()
        .filter_map(|(key, value)| Some((key, serde_json::from_str(value.get()).ok()?)))
        .collect()
}

fn trend_scale(name: &str, contains: Option<&str>) -> Scale {
    let time = match contains {
        Some(contains) => contains == "time",
        None => name.ends_with("duration") || name.contains("_req_") || name.starts_with("ws_"),
    };
    match time {
        true => Scale {
            unit: Unit::Nanoseconds,
            factor: 1e6,
        },
        false => Scale::from_base_unit(Unit::Custom("of k6".to_owned())),
    }
}

fn push_trend(
    name: &str,
    scale: &Scale,
    measure: Measure,
    value: f64,
    collector: &mut MeasurementCollector<'_>,
) {
    collector.push(CollectedEntry {
        estimator: Estimator::Median,
        ..CollectedEntry::new(name, measure, scale.clone(), value)
    });
}

/// Checks that passed are better when they are many, requests that failed when they are few.
fn push_share(name: &str, share: f64, collector: &mut MeasurementCollector<'_>) {
    let Ok(measure) = Measure::new("rate") else {
        return;
    };
    let failed = name.contains("fail") || name.contains("error");
    let direction = match failed {
        true => Direction::SmallerIsBetter,
        false => Direction::BiggerIsBetter,
    };
    collector.push(CollectedEntry {
        direction: Some(direction),
        ..CollectedEntry::new(name, measure, Scale::from_base_unit(Unit::Ratio), share)
    });
}
