//! `cargo criterion --message-format json`: one message a line, `benchmark-complete` holds a result.
//!
//! `measured_values` are totals over `iteration_count`; `typical` is the slope, or the mean under flat sampling.
//! Every estimate names its unit. Source: the Criterion.rs book, cargo-criterion, External Tools.

use serde::Deserialize;

use crate::ingest::collector::{CollectedEntry, MeasurementCollector, measure_of_unit};
use crate::ingest::json::{Document, Number, each_object, quote_not_finite};
use crate::ingest::text::Opened;
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Estimator, Interval, ProblemKind, Scale};

pub(super) struct CargoCriterion;

#[derive(Deserialize)]
struct Message {
    reason: Option<String>,
    id: Option<String>,
}

#[derive(Deserialize)]
struct BenchmarkComplete {
    #[serde(default)]
    iteration_count: Vec<Number>,
    #[serde(default)]
    measured_values: Vec<Number>,
    typical: Estimate,
    slope: Option<Estimate>,
}

#[derive(Deserialize)]
struct Estimate {
    estimate: Number,
    lower_bound: Number,
    upper_bound: Number,
    unit: String,
}

impl Adapter for CargoCriterion {
    fn tool(&self) -> Tool {
        Tool::CargoCriterion
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        source.text.contains("\"benchmark-complete\"") || source.text.contains("\"group-complete\"")
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            each_object(&quote_not_finite(&source.text), |document| match document {
                Document::Object(object) => read_message(object.get(), collector),
                Document::Broken(error) => {
                    collector.report_entry_problem("message", ProblemKind::Malformed, error);
                }
            });
        }
    }
}

fn read_message(text: &str, collector: &mut MeasurementCollector<'_>) {
    let message: Message = match serde_json::from_str(text) {
        Ok(message) => message,
        Err(error) => {
            return collector.report_entry_problem("message", ProblemKind::Malformed, error.to_string());
        }
    };
    // Other messages are cargo's own or of later versions; the book allows for them.
    if message.reason.as_deref() != Some("benchmark-complete") {
        return;
    }
    let Some(id) = message.id else {
        return collector.report_entry_problem("message", ProblemKind::Missing, "id");
    };
    let result: BenchmarkComplete = match serde_json::from_str(text) {
        Ok(result) => result,
        Err(error) => return collector.report_entry_problem(&id, ProblemKind::Malformed, error.to_string()),
    };
    let scale = Scale::parse_or_custom(&result.typical.unit);
    let measure = measure_of_unit(&result.typical.unit);
    let totals = result.measured_values.iter().zip(&result.iteration_count);
    collector.push(CollectedEntry {
        estimator: if result.slope.is_some() {
            Estimator::Slope
        } else {
            Estimator::Mean
        },
        interval: Some(Interval {
            low: result.typical.lower_bound.0,
            high: result.typical.upper_bound.0,
            level: None,
        }),
        iterations: totals.map(|(total, count)| total.0 / count.0).collect(),
        ..CollectedEntry::new(&id, measure, scale, result.typical.estimate.0)
    });
}
