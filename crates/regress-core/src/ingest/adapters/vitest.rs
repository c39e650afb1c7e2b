//! `vitest bench --outputJson`: the benchmarks of each `describe`, with times in milliseconds.
//!
//! The median is the value; versions before 2 have only the mean. A benchmark that threw has no statistics.

use serde::Deserialize;

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::text::Opened;
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Estimator, ProblemKind};

pub(super) struct Vitest;

/// Nanoseconds of a millisecond, the unit of all times here.
const MILLISECOND: f64 = 1e6;

#[derive(Deserialize)]
struct VitestReport {
    files: Vec<VitestFile>,
}

#[derive(Deserialize)]
struct VitestFile {
    groups: Vec<VitestGroup>,
}

#[derive(Deserialize)]
struct VitestGroup {
    #[serde(rename = "fullName")]
    name: String,
    benchmarks: Vec<VitestBenchmark>,
}

#[derive(Deserialize)]
struct VitestBenchmark {
    name: String,
    median: Option<f64>,
    mean: Option<f64>,
    sd: Option<f64>,
    #[serde(rename = "sampleCount")]
    samples: Option<u64>,
}

impl Adapter for Vitest {
    fn tool(&self) -> Tool {
        Tool::Vitest
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        let shape = source.shape.as_ref();
        shape.is_some_and(|shape| {
            shape.has_key(1, "files") && shape.has_key(2, "groups") && shape.has_key(3, "fullName")
        })
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            match serde_json::from_str::<VitestReport>(&source.text) {
                Ok(report) => {
                    let groups = report.files.iter().flat_map(|file| &file.groups);
                    groups.for_each(|group| read_group(group, collector));
                }
                Err(error) => collector.reject_source(ProblemKind::Malformed, &error.to_string()),
            }
        }
    }
}

fn read_group(group: &VitestGroup, collector: &mut MeasurementCollector<'_>) {
    for benchmark in &group.benchmarks {
        let name = format!("{} > {}", group.name, benchmark.name);
        let (value, estimator) = match (benchmark.median, benchmark.mean) {
            (Some(median), _) => (median, Estimator::Median),
            (None, Some(mean)) => (mean, Estimator::Mean),
            (None, None) => {
                collector.report_entry_problem(&name, ProblemKind::Failed, "it has no statistics");
                continue;
            }
        };
        collector.push(CollectedEntry {
            estimator,
            std_dev: benchmark.sd,
            samples: benchmark.samples,
            ..CollectedEntry::from_time(&name, MILLISECOND, value)
        });
    }
}
