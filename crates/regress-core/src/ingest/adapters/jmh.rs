//! JMH's `-rf json`. Every fork is a JVM of its own, so every fork is a process run: the mean of its iterations.
//!
//! Unit and direction come from `scoreUnit`: `ops/s` is a rate, `s/op` a time. Sampling mode writes histograms
//! instead of iterations and then gives one value for all forks. JMH prints numbers that are none as text.
//! Parameters become part of the name, `pkg.Class.method{size=10}`. Profilers' metrics are secondary metrics.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::json::{Elements, Number, quote_not_finite};
use crate::ingest::text::Opened;
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Direction, Estimator, Interval, Measure, ProblemKind, Scale, Unit};

pub(super) struct Jmh;

#[derive(Deserialize)]
struct JmhHeader {
    benchmark: String,
    mode: String,
    params: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Metrics<'a> {
    #[serde(rename = "primaryMetric", borrow)]
    primary: Option<&'a RawValue>,
    #[serde(rename = "secondaryMetrics", borrow, default)]
    secondary: BTreeMap<String, &'a RawValue>,
}

#[derive(Deserialize)]
struct JmhMetric {
    score: Number,
    #[serde(rename = "scoreConfidence")]
    confidence: Option<(Number, Number)>,
    #[serde(rename = "scoreUnit")]
    unit: String,
    /// Forks, then iterations.
    #[serde(rename = "rawData", default)]
    raw: Vec<Vec<Number>>,
}

impl Adapter for Jmh {
    fn tool(&self) -> Tool {
        Tool::Jmh
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        source.shape.as_ref().is_some_and(|shape| {
            shape.is_array && (shape.has_key(1, "jmhVersion") || shape.has_key(1, "primaryMetric"))
        })
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            let text = quote_not_finite(&source.text);
            match serde_json::from_str::<Elements<'_>>(&text) {
                Ok(Elements(results)) => {
                    for (index, result) in results.iter().enumerate() {
                        read_result(index, result.get(), collector);
                    }
                }
                Err(error) => collector.reject_source(ProblemKind::Malformed, &error.to_string()),
            }
        }
    }
}

fn read_result(index: usize, text: &str, collector: &mut MeasurementCollector<'_>) {
    let head: JmhHeader = match serde_json::from_str(text) {
        Ok(head) => head,
        Err(error) => {
            return collector.report_entry_problem(
                &format!("[{index}]"),
                ProblemKind::Malformed,
                error.to_string(),
            );
        }
    };
    let name = name_of(&head);
    let metrics: Metrics<'_> = match serde_json::from_str(text) {
        Ok(metrics) => metrics,
        Err(error) => {
            return collector.report_entry_problem(&name, ProblemKind::Malformed, error.to_string());
        }
    };
    match metrics.primary {
        Some(primary) => read_metric(&name, &head.mode, None, primary.get(), collector),
        None => collector.report_entry_problem(&name, ProblemKind::Missing, "primaryMetric"),
    }
    for (label, metric) in &metrics.secondary {
        let label = label.trim_start_matches(['·', ' ']);
        read_metric(&name, &head.mode, Some(label), metric.get(), collector);
    }
}

fn name_of(head: &JmhHeader) -> String {
    let params = head
        .params
        .iter()
        .flatten()
        .map(|(name, value)| format!("{name}={value}"));
    let params = params.collect::<Vec<_>>().join(",");
    if params.is_empty() {
        head.benchmark.clone()
    } else {
        format!("{}{{{params}}}", head.benchmark)
    }
}

fn read_metric(
    name: &str,
    mode: &str,
    label: Option<&str>,
    text: &str,
    collector: &mut MeasurementCollector<'_>,
) {
    let metric: JmhMetric = match serde_json::from_str(text) {
        Ok(metric) => metric,
        Err(error) => {
            let detail = format!("{}: {error}", label.unwrap_or("primaryMetric"));
            return collector.report_entry_problem(name, ProblemKind::Malformed, detail);
        }
    };
    // Profilers with text for a result (stack, perfasm) write `---` for the unit and no score.
    if label.is_some() && metric.unit == "---" {
        return;
    }
    let scale = Scale::parse_or_custom(&metric.unit);
    let measure = match label {
        None => Ok(primary_measure(mode, &scale.unit)),
        Some(label) => Measure::new(label),
    };
    let measure = match measure {
        Ok(measure) => measure,
        Err(error) => return collector.report_entry_problem(name, ProblemKind::BadName, error.to_string()),
    };
    // An allocation rate is a cost, though its unit is one of throughput.
    let of_collector = label.is_some_and(|label| label.starts_with("gc."));
    let direction = of_collector.then_some(Direction::SmallerIsBetter);
    let entry = CollectedEntry {
        direction,
        estimator: Estimator::Mean,
        ..CollectedEntry::new(name, measure, scale, metric.score.0)
    };
    if metric.raw.iter().all(Vec::is_empty) {
        let interval = metric.confidence.map(|(low, high)| Interval {
            low: low.0,
            high: high.0,
            level: Some(0.999),
        });
        let interval = interval.filter(|interval| interval.low.is_finite() && interval.high.is_finite());
        return collector.push(CollectedEntry { interval, ..entry });
    }
    for (process, fork) in metric.raw.iter().enumerate() {
        let iterations: Vec<f64> = fork.iter().map(|number| number.0).collect();
        if iterations.is_empty() {
            collector.report_entry_problem(
                name,
                ProblemKind::Missing,
                format!("iterations of fork {}", process + 1),
            );
            continue;
        }
        let value = iterations.iter().sum::<f64>() / iterations.len() as f64;
        collector.push(CollectedEntry {
            process,
            value,
            iterations,
            ..entry.clone()
        });
    }
}

/// The modes measure different things of the same benchmark, so they must not share a series.
fn primary_measure(mode: &str, unit: &Unit) -> Measure {
    let name = match mode {
        "sample" => "sampled-latency",
        "ss" => "single-shot-latency",
        _ if *unit == Unit::Nanoseconds => return Measure::LATENCY,
        _ => return Measure::THROUGHPUT,
    };
    Measure::new(name).expect("a plain word is a name")
}
