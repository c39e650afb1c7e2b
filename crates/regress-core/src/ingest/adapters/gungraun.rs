//! gungraun's (iai-callgrind's) JSON summaries, one object per benchmark: `--output-format json` or
//! `pretty-json` on a stream with other text, or saved `summary.json` files.
//!
//! Two forms are known. Schemas 5 and 6 put totals under `summaries.total.summary.<Tool>`, a metric as
//! `{"Int": n}` or `{"Float": x}` under `Left` when new, `Right` when old, `Both` when both were measured.
//! Schema 7 puts them under `data.total.metrics`, with plain numbers under `values.new` and `values.old`.
//! Sources: gungraun's published summary schemas, and output of gungraun 0.20.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::iai::admit_count;
use crate::ingest::collector::MeasurementCollector;
use crate::ingest::json::{Document, Elements, Number, each_object, quote_not_finite};
use crate::ingest::text::{Opened, slug_from_label};
use crate::ingest::{Adapter, Tool};
use crate::measurement::ProblemKind;

pub(super) struct Gungraun;

/// Schema versions whose totals have one of the two forms.
const VERSIONS: [&str; 3] = ["5", "6", "7"];

#[derive(Deserialize)]
struct GungraunHeader {
    version: Option<String>,
    module_path: Option<String>,
    id: Option<String>,
}

#[derive(Deserialize)]
struct GungraunSummary {
    profiles: Vec<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    tool: String,
    /// Schemas 5 and 6.
    summaries: Option<Totals>,
    /// Schema 7.
    data: Option<Totals>,
}

#[derive(Deserialize)]
struct Totals {
    total: Total,
}

#[derive(Deserialize)]
struct Total {
    summary: Option<ToolSummary>,
    metrics: Option<BTreeMap<String, GungraunChange>>,
}

#[derive(Deserialize)]
struct GungraunChange {
    values: Values,
}

#[derive(Deserialize)]
struct Values {
    new: Option<Number>,
}

#[derive(Deserialize)]
enum ToolSummary {
    None,
    #[serde(alias = "ErrorTool", alias = "Dhat", alias = "Cachegrind")]
    Callgrind(BTreeMap<String, Difference>),
}

#[derive(Deserialize)]
struct Difference {
    metrics: Sides,
}

#[derive(Deserialize)]
enum Sides {
    Left(GungraunMetric),
    Right(serde::de::IgnoredAny),
    Both(GungraunMetric, serde::de::IgnoredAny),
}

#[derive(Deserialize)]
enum GungraunMetric {
    Int(u64),
    Float(f64),
}

impl Adapter for Gungraun {
    fn tool(&self) -> Tool {
        Tool::Gungraun
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        let text = &source.text;
        text.contains("\"benchmark_exe\"") && text.contains("\"module_path\"")
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            let text = quote_not_finite(&source.text);
            if source.shape.as_ref().is_some_and(|shape| shape.is_array) {
                match serde_json::from_str::<Elements<'_>>(&text) {
                    Ok(Elements(summaries)) => summaries
                        .iter()
                        .for_each(|summary| read_summary(summary.get(), collector)),
                    Err(error) => collector.reject_source(ProblemKind::Malformed, &error.to_string()),
                }
            } else {
                each_object(&text, |document| match document {
                    Document::Object(object) => read_summary(object.get(), collector),
                    Document::Broken(error) => {
                        collector.report_entry_problem("summary", ProblemKind::Malformed, error);
                    }
                });
            }
        }
    }
}

fn read_summary(text: &str, collector: &mut MeasurementCollector<'_>) {
    let head: GungraunHeader = match serde_json::from_str(text) {
        Ok(head) => head,
        Err(error) => {
            return collector.report_entry_problem("summary", ProblemKind::Malformed, error.to_string());
        }
    };
    // A stream may hold other tools' objects.
    let Some(module_path) = head.module_path else {
        return;
    };
    let name = match head.id {
        Some(id) => format!("{module_path} {id}"),
        None => module_path,
    };
    let version = head.version.unwrap_or_default();
    if !VERSIONS.contains(&version.as_str()) {
        let detail = format!("schema {version:?}, known are {}", VERSIONS.join(", "));
        collector.report_entry_problem(&name, ProblemKind::UnknownVersion, detail);
    }
    match serde_json::from_str::<GungraunSummary>(text) {
        Ok(summary) => summary
            .profiles
            .iter()
            .for_each(|profile| read_profile(&name, profile, collector)),
        Err(error) => collector.report_entry_problem(&name, ProblemKind::Malformed, error.to_string()),
    }
}

fn read_profile(name: &str, profile: &Profile, collector: &mut MeasurementCollector<'_>) {
    let Some(Totals { total }) = profile.data.as_ref().or(profile.summaries.as_ref()) else {
        return collector.report_entry_problem(
            name,
            ProblemKind::Missing,
            format!("the totals of {}", profile.tool),
        );
    };
    let mut metrics: Vec<(&str, Option<f64>)> = Vec::new();
    if let Some(changes) = &total.metrics {
        metrics.extend(
            changes
                .iter()
                .map(|(event, change)| (event.as_str(), change.values.new.map(|new| new.0))),
        );
    }
    if let Some(ToolSummary::Callgrind(differences)) = &total.summary {
        metrics.extend(
            differences
                .iter()
                .map(|(event, difference)| (event.as_str(), difference.metrics.of_this_run())),
        );
    }
    for (event, value) in metrics {
        let measure = measure_of(&profile.tool, event);
        match value {
            Some(value) => admit_count(name, &measure, value, collector),
            None => collector.report_entry_problem(
                name,
                ProblemKind::Missing,
                format!("{measure} was not measured in this run"),
            ),
        }
    }
}

impl Sides {
    fn of_this_run(&self) -> Option<f64> {
        match self {
            Self::Left(metric) | Self::Both(metric, _) => Some(metric.value()),
            Self::Right(_) => None,
        }
    }
}

impl GungraunMetric {
    fn value(&self) -> f64 {
        match self {
            Self::Int(count) => *count as f64,
            Self::Float(value) => *value,
        }
    }
}

/// The measure of an event, spelled as the label of the text output is.
fn measure_of(tool: &str, event: &str) -> String {
    let label = match event {
        "Ir" => "instructions",
        "L1hits" => "l1-hits",
        "LLhits" => "ll-hits",
        "RamHits" => "ram-hits",
        "TotalRW" => "total-read-write",
        "AtTGmaxBytes" => "at-t-gmax-bytes",
        "AtTGmaxBlocks" => "at-t-gmax-blocks",
        "AtTEndBytes" => "at-t-end-bytes",
        "AtTEndBlocks" => "at-t-end-blocks",
        "I1MissRate" => "i1-miss-rate",
        "LLiMissRate" => "lli-miss-rate",
        "D1MissRate" => "d1-miss-rate",
        "LLdMissRate" => "lld-miss-rate",
        "LLMissRate" => "ll-miss-rate",
        "L1HitRate" => "l1-hit-rate",
        "LLHitRate" => "ll-hit-rate",
        "RamHitRate" => "ram-hit-rate",
        other => &slug_from_label(other),
    };
    match tool {
        "Callgrind" | "DHAT" => label.to_owned(),
        tool => format!("{}-{label}", slug_from_label(tool)),
    }
}
