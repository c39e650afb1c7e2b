//! The baseline file, version 2: JSON laid out for a diff. Environments and benchmarks stand in a fixed order, a
//! benchmark is a block, a field is a line, and a line changes only when its value does.
//!
//! Values decide; the summaries beside them are for readers and are checked when the file is read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::entry::round_to_significant_digits;
use super::{BaselineEntry, Baselines, EnvironmentBaseline, Epoch, version_1};
use crate::environment::Environment;
use crate::ingest::read_object_members;
use crate::measurement::{
    BenchmarkId, Commit, Direction, Interval, Measure, Problem, ProblemKind, SeriesKey, Unit,
};

/// The version this library writes and the newest it reads. Version 1.0 had the figures of single processes.
pub const BASELINE_VERSION: u64 = 2;

/// Baselines read from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What could be read.
    pub baselines: Baselines,
    /// Entries that could not, or that contradict themselves.
    pub problems: Vec<Problem>,
}

/// Why a baseline file could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// Not JSON, or JSON of another form.
    #[error("not a baseline file: {0}")]
    Malformed(#[from] serde_json::Error),
    /// No version, or one that never was.
    #[error("not a baseline file: version {found}; known are 1.0 and {BASELINE_VERSION}")]
    UnknownVersion {
        /// The version field as it stands in the file.
        found: String,
    },
    /// Written by a newer benchgate.
    #[error(
        "the baseline file has version {found}, this benchgate reads up to {BASELINE_VERSION}; update benchgate, or record the baseline again with this one"
    )]
    Newer {
        /// The version in the file.
        found: String,
    },
}

#[derive(Deserialize)]
struct BaselineHeader<'a> {
    #[serde(borrow)]
    version: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileV2<'a> {
    #[serde(rename = "format")]
    _format: Format,
    #[serde(rename = "version")]
    _version: u64,
    #[serde(borrow)]
    environments: Vec<EnvironmentV2<'a>>,
}

#[derive(Deserialize)]
enum Format {
    #[serde(rename = "benchgate-baselines")]
    BenchgateBaselines,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvironmentV2<'a> {
    environment: Environment,
    #[serde(borrow)]
    benchmarks: Vec<&'a RawValue>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockV2 {
    benchmark: BenchmarkId,
    measure: Measure,
    unit: Unit,
    direction: Direction,
    median: f64,
    mean: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    std_dev: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interval: Option<Interval>,
    values: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    samples: Vec<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    within_std_dev: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<Commit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<jiff::Timestamp>,
    epochs: Vec<Epoch>,
}

impl Baselines {
    /// Reads a baseline file of version 2, or of version 1.0.
    ///
    /// # Errors
    /// When the text is no baseline file or has a newer version. A bad entry is not an error but a problem.
    pub fn from_json(bytes: &[u8]) -> Result<Loaded, BaselineError> {
        let head: BaselineHeader<'_> = serde_json::from_slice(bytes)?;
        let version = head.version.map_or("missing", RawValue::get);
        match version.trim_matches('"') {
            "2" => Ok(from_v2(serde_json::from_slice(bytes)?)),
            "1" | "1.0" => version_1::read_version_1(bytes),
            found if is_newer(found) => Err(BaselineError::Newer {
                found: found.to_owned(),
            }),
            found => Err(BaselineError::UnknownVersion {
                found: found.chars().take(40).collect(),
            }),
        }
    }

    /// The file of version 2, with a line feed at its end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out =
            format!("{{\n  \"format\": \"benchgate-baselines\",\n  \"version\": {BASELINE_VERSION},\n");
        out.push_str("  \"environments\": [");
        for (index, EnvironmentBaseline { environment, entries }) in self.environments.iter().enumerate() {
            out.push_str(if index == 0 { "\n    {\n" } else { ",\n    {\n" });
            push_fields(&mut out, "        ", "      \"environment\": {", environment);
            out.push_str("\n      },\n      \"benchmarks\": [");
            for (index, (key, entry)) in entries.iter().enumerate() {
                out.push_str(if index == 0 { "\n" } else { ",\n" });
                push_fields(&mut out, "          ", "        {", &block(key, entry));
                out.push_str("\n        }");
            }
            out.push_str("\n      ]\n    }");
        }
        out.push_str(if self.environments.is_empty() {
            "]\n}\n"
        } else {
            "\n  ]\n}\n"
        });
        out
    }
}

fn is_newer(version: &str) -> bool {
    version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u64>().ok())
        .is_some_and(|major| major > BASELINE_VERSION)
}

/// Writes the fields of `value` one a line; what is within a field stays on its line.
fn push_fields(out: &mut String, indent: &str, opening: &str, value: &impl Serialize) {
    let text = serde_json::to_string(value).expect("plain data is JSON");
    let fields = read_object_members(&text).expect("a struct is an object");
    out.push_str(opening);
    for (index, (name, field)) in fields.iter().enumerate() {
        out.push_str(if index == 0 { "\n" } else { ",\n" });
        // Epochs only grow at the end: one a line, an accepted shift is one line of a diff.
        let items = if name == "epochs" {
            serde_json::from_str::<Vec<&RawValue>>(field.get()).ok()
        } else {
            None
        };
        let text = match items {
            Some(items) => {
                let lines: Vec<String> = items
                    .iter()
                    .map(|item| format!("{indent}  {}", spaced(item.get())))
                    .collect();
                format!("[\n{}\n{indent}]", lines.join(",\n"))
            }
            None => spaced(field.get()),
        };
        out.push_str(&format!(
            "{indent}{}: {text}",
            serde_json::Value::from(name.as_str())
        ));
    }
}

/// Compact JSON with a space after each comma and colon that is not within a string.
fn spaced(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + json.len() / 4);
    let (mut in_string, mut escaped) = (false, false);
    for c in json.chars() {
        out.push(c);
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c == '"' {
            in_string = true;
        } else if c == ',' || c == ':' {
            out.push(' ');
        }
    }
    out
}

fn block(key: &SeriesKey, entry: &BaselineEntry) -> BlockV2 {
    let summary = entry.summary();
    BlockV2 {
        benchmark: key.benchmark.clone(),
        measure: key.measure.clone(),
        unit: entry.unit.clone(),
        direction: entry.direction,
        median: round_to_significant_digits(summary.median),
        mean: round_to_significant_digits(summary.mean),
        std_dev: summary.std_dev.map(round_to_significant_digits),
        interval: summary.interval.map(|interval| Interval {
            low: round_to_significant_digits(interval.low),
            high: round_to_significant_digits(interval.high),
            level: interval.level,
        }),
        values: entry.values.clone(),
        samples: entry.samples.clone(),
        within_std_dev: entry.within_std_dev,
        commit: entry.commit.clone(),
        time: entry.time,
        epochs: entry.epochs.clone(),
    }
}

fn from_v2(file: FileV2<'_>) -> Loaded {
    let mut baselines = Baselines::new();
    let mut problems = Vec::new();
    for EnvironmentV2 {
        environment,
        benchmarks,
    } in file.environments
    {
        let mut entries: BTreeMap<SeriesKey, BaselineEntry> = BTreeMap::new();
        for (index, raw) in benchmarks.iter().enumerate() {
            let mut report = |entry: String, kind, detail: String| {
                problems.push(Problem {
                    source: format!("baseline of {environment}"),
                    entry: Some(entry),
                    kind,
                    detail,
                });
            };
            let block: BlockV2 = match serde_json::from_str(raw.get()) {
                Ok(block) => block,
                Err(error) => {
                    report(label(index, raw), ProblemKind::Malformed, error.to_string());
                    continue;
                }
            };
            let key = SeriesKey {
                benchmark: block.benchmark.clone(),
                measure: block.measure.clone(),
            };
            if let Some((kind, detail)) = fault(&block) {
                report(key.to_string(), kind, detail);
                if !kind.keeps_value() {
                    continue;
                }
            }
            if entries.contains_key(&key) {
                report(key.to_string(), ProblemKind::Duplicate, String::new());
                continue;
            }
            entries.insert(key, entry(block));
        }
        if !entries.is_empty() {
            baselines.of(&environment).extend(entries);
        }
    }
    Loaded { baselines, problems }
}

/// How to name a block that could not be read.
fn label(index: usize, raw: &RawValue) -> String {
    #[derive(Deserialize)]
    struct Name {
        benchmark: BenchmarkId,
    }
    serde_json::from_str::<Name>(raw.get()).map_or_else(
        |_| format!("benchmarks[{index}]"),
        |name| name.benchmark.to_string(),
    )
}

/// What is wrong with a block's numbers, the worst first.
fn fault(block: &BlockV2) -> Option<(ProblemKind, String)> {
    if block.values.is_empty() {
        return Some((ProblemKind::Missing, "values".to_owned()));
    }
    if block.epochs.is_empty() {
        return Some((ProblemKind::Missing, "epochs".to_owned()));
    }
    if block
        .values
        .iter()
        .chain(block.epochs.iter().map(|epoch| &epoch.anchor))
        .any(|value| !value.is_finite())
    {
        return Some((ProblemKind::NotFinite, "values".to_owned()));
    }
    if block.values.iter().any(|value| *value < 0.0) {
        return Some((ProblemKind::Negative, "values".to_owned()));
    }
    let median = crate::stats::median(&block.values)?;
    if (median - block.median).abs() > 1e-5 * median.abs() {
        let detail = format!(
            "median {} but its values give {median}; the values are taken",
            block.median
        );
        return Some((ProblemKind::Doubtful, detail));
    }
    (median == 0.0).then(|| (ProblemKind::Zero, "median".to_owned()))
}

fn entry(block: BlockV2) -> BaselineEntry {
    BaselineEntry {
        unit: block.unit,
        direction: block.direction,
        values: block.values,
        samples: block.samples,
        within_std_dev: block.within_std_dev,
        commit: block.commit,
        time: block.time,
        epochs: block.epochs,
    }
}
