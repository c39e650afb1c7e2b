//! pytest-benchmark's `--benchmark-json`: seconds, the median over rounds is the value.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::json::{Elements, Number, quote_not_finite};
use crate::ingest::text::Opened;
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Estimator, Interval, ProblemKind};

pub(super) struct PytestBenchmark;

/// Major versions whose files have this form.
const VERSIONS: [&str; 4] = ["2", "3", "4", "5"];

#[derive(Deserialize)]
struct PytestReport<'a> {
    #[serde(borrow)]
    benchmarks: Elements<'a>,
    version: Option<String>,
}

#[derive(Deserialize)]
struct PytestHeader {
    fullname: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct PytestEntry<'a> {
    #[serde(borrow)]
    stats: Stats<'a>,
}

#[derive(Deserialize)]
struct Stats<'a> {
    median: Option<Number>,
    mean: Option<Number>,
    stddev: Option<Number>,
    q1: Option<Number>,
    q3: Option<Number>,
    rounds: Option<u64>,
    /// Only with `--benchmark-save-data`, or in files of `--benchmark-json`.
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl Adapter for PytestBenchmark {
    fn tool(&self) -> Tool {
        Tool::PytestBenchmark
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        source.shape.as_ref().is_some_and(|shape| {
            !shape.is_array
                && (shape.has_key(1, "machine_info") || shape.has_key(1, "benchmarks"))
                && (shape.has_key(2, "stats") || shape.has_key(2, "python_version"))
        })
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            read_report(&quote_not_finite(&source.text), collector);
        }
    }
}

fn read_report(text: &str, collector: &mut MeasurementCollector<'_>) {
    let report: PytestReport<'_> = match serde_json::from_str(text) {
        Ok(report) => report,
        Err(error) => return collector.reject_source(ProblemKind::Malformed, &error.to_string()),
    };
    if let Some(version) = &report.version {
        let major = version.split('.').next().unwrap_or_default();
        if !VERSIONS.contains(&major) {
            let detail = format!("pytest-benchmark {version}, known are {}", VERSIONS.join(", "));
            collector.reject_source(ProblemKind::UnknownVersion, &detail);
        }
    }
    for (index, benchmark) in report.benchmarks.0.iter().enumerate() {
        read_benchmark(index, benchmark.get(), collector);
    }
}

fn read_benchmark(index: usize, text: &str, collector: &mut MeasurementCollector<'_>) {
    let name = match serde_json::from_str::<PytestHeader>(text).map(|head| head.fullname.or(head.name)) {
        Ok(Some(name)) => name,
        Ok(None) => {
            return collector.report_entry_problem(
                &format!("benchmarks[{index}]"),
                ProblemKind::Missing,
                "fullname",
            );
        }
        Err(error) => {
            return collector.report_entry_problem(
                &format!("benchmarks[{index}]"),
                ProblemKind::Malformed,
                error.to_string(),
            );
        }
    };
    let PytestEntry { stats } = match serde_json::from_str(text) {
        Ok(benchmark) => benchmark,
        Err(error) => {
            return collector.report_entry_problem(&name, ProblemKind::Malformed, error.to_string());
        }
    };
    let (value, estimator) = match (stats.median, stats.mean) {
        (Some(median), _) => (median.0, Estimator::Median),
        (None, Some(mean)) => (mean.0, Estimator::Mean),
        (None, None) => {
            return collector.report_entry_problem(
                &name,
                ProblemKind::Missing,
                "stats.median and stats.mean",
            );
        }
    };
    let iterations = stats.data.map_or_else(Vec::new, |data| {
        match serde_json::from_str::<Vec<Number>>(data.get()) {
            Ok(data) => data.iter().map(|number| number.0).collect(),
            Err(error) => {
                collector.report_entry_problem(
                    &name,
                    ProblemKind::Doubtful,
                    format!("stats.data is left out: {error}"),
                );
                Vec::new()
            }
        }
    });
    let quartiles = stats.q1.zip(stats.q3).filter(|_| estimator == Estimator::Median);
    collector.push(CollectedEntry {
        estimator,
        std_dev: stats.stddev.map(|deviation| deviation.0),
        interval: quartiles.map(|(q1, q3)| Interval {
            low: q1.0,
            high: q3.0,
            level: Some(0.5),
        }),
        samples: stats.rounds,
        iterations,
        ..CollectedEntry::from_time(&name, 1e9, value)
    });
}
