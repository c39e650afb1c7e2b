//! Reads baseline files of version 1.0:
//! `{"version": "1.0", "platform": "linux-x86_64", "cpu", "timestamp", "baselines": {name: {"mean_ns",
//! "std_dev_ns", "sample_size"}}}`.
//!
//! Its numbers are of iterations within one process, so each benchmark becomes one process-level value: enough
//! for a threshold, not for a test. It is read, never written.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{BaselineEntry, BaselineError, Baselines, Epoch, Loaded};
use crate::environment::Environment;
use crate::ingest::read_object_members;
use crate::measurement::{BenchmarkId, Direction, Measure, Problem, ProblemKind, SeriesKey, Unit};

#[derive(Deserialize)]
struct VersionOneFile<'a> {
    platform: Option<String>,
    cpu: Option<String>,
    timestamp: Option<String>,
    #[serde(borrow)]
    baselines: &'a RawValue,
}

#[derive(Deserialize)]
struct Figures {
    mean_ns: f64,
    std_dev_ns: Option<f64>,
    sample_size: Option<u64>,
}

pub(super) fn read_version_1(bytes: &[u8]) -> Result<Loaded, BaselineError> {
    let file: VersionOneFile<'_> = serde_json::from_slice(bytes)?;
    let (os, arch) = split_platform(file.platform.as_deref());
    let environment = Environment {
        os,
        arch,
        cpu: file.cpu,
        ..Environment::default()
    };
    let mut problems = Vec::new();
    let mut report = |entry: Option<&str>, kind, detail: String| {
        let source = "baseline of version 1.0".to_owned();
        problems.push(Problem {
            source,
            entry: entry.map(str::to_owned),
            kind,
            detail,
        });
    };
    let time = file.timestamp.as_deref().and_then(|text| {
        let time = text.parse::<Timestamp>();
        if time.is_err() {
            report(
                None,
                ProblemKind::Doubtful,
                format!("timestamp {text:?} is not RFC 3339 and is left out"),
            );
        }
        time.ok()
    });
    let mut entries = BTreeMap::new();
    for (name, raw) in read_object_members(file.baselines.get())? {
        match entry(&name, raw, time) {
            Ok((key, entry)) => {
                if entry.median() == 0.0 {
                    report(Some(&name), ProblemKind::Zero, "mean_ns".to_owned());
                }
                if entries.insert(key, entry).is_some() {
                    report(
                        Some(&name),
                        ProblemKind::Duplicate,
                        "the last one is kept".to_owned(),
                    );
                }
            }
            Err((kind, detail)) => report(Some(&name), kind, detail),
        }
    }
    let mut baselines = Baselines::new();
    if !entries.is_empty() {
        baselines.of(&environment).extend(entries);
    }
    Ok(Loaded { baselines, problems })
}

/// `linux-x86_64` or `x86_64-unknown-linux-gnu`, told by which part is an architecture.
fn split_platform(platform: Option<&str>) -> (Option<String>, Option<String>) {
    let Some(platform) = platform.map(str::trim).filter(|platform| !platform.is_empty()) else {
        return (None, None);
    };
    let owned = |text: &str| Some(text.to_owned());
    match platform.split_once(['-', '/']) {
        None => (owned(platform), None),
        Some((arch, rest)) if is_arch(arch) => (
            owned(rest.split('-').find(|part| is_os(part)).unwrap_or(rest)),
            owned(arch),
        ),
        Some((os, arch)) => (owned(os), owned(arch)),
    }
}

fn is_arch(text: &str) -> bool {
    ["x86_64", "amd64", "aarch64", "arm64", "i686", "riscv64"]
        .iter()
        .any(|arch| text.starts_with(arch))
}

fn is_os(text: &str) -> bool {
    ["linux", "windows", "darwin", "macos", "freebsd"].contains(&text)
}

fn entry(
    name: &str,
    raw: &RawValue,
    time: Option<Timestamp>,
) -> Result<(SeriesKey, BaselineEntry), (ProblemKind, String)> {
    let benchmark = BenchmarkId::new(name).map_err(|error| (ProblemKind::BadName, error.to_string()))?;
    let figures: Figures =
        serde_json::from_str(raw.get()).map_err(|error| (ProblemKind::Malformed, error.to_string()))?;
    let mean = figures.mean_ns;
    if mean < 0.0 {
        return Err((ProblemKind::Negative, format!("mean_ns {mean}")));
    }
    if figures.std_dev_ns.is_some_and(|deviation| deviation < 0.0) {
        return Err((ProblemKind::Malformed, "std_dev_ns is negative".to_owned()));
    }
    let entry = BaselineEntry {
        unit: Unit::Nanoseconds,
        direction: Direction::SmallerIsBetter,
        values: vec![mean],
        samples: figures.sample_size.into_iter().collect(),
        within_std_dev: figures.std_dev_ns,
        commit: None,
        time,
        epochs: vec![Epoch {
            anchor: mean,
            commit: None,
            time,
            justification: None,
        }],
    };
    Ok((
        SeriesKey {
            benchmark,
            measure: Measure::LATENCY,
        },
        entry,
    ))
}
