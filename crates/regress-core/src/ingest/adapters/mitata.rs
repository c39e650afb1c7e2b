//! mitata's `run({ format: 'json' })`: each benchmark has one run for every combination of its arguments, in nanoseconds.
//!
//! The median is the value. The heap that a call takes, where the runtime tells it, is a measure of its own. Groups have
//! names in `layout`.

use serde::Deserialize;

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::text::Opened;
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Estimator, Interval, Measure, ProblemKind, Scale, Unit};

pub(super) struct Mitata;

#[derive(Deserialize)]
struct MitataReport {
    #[serde(default)]
    layout: Vec<MitataGroup>,
    benchmarks: Vec<MitataBenchmark>,
}

#[derive(Deserialize)]
struct MitataGroup {
    name: Option<String>,
}

#[derive(Deserialize)]
struct MitataBenchmark {
    #[serde(default)]
    group: usize,
    runs: Vec<MitataRun>,
}

#[derive(Deserialize)]
struct MitataRun {
    name: String,
    stats: Option<MitataStats>,
    error: Option<MitataError>,
}

#[derive(Deserialize)]
struct MitataError {
    message: Option<String>,
}

#[derive(Deserialize)]
struct MitataStats {
    p50: f64,
    p25: Option<f64>,
    p75: Option<f64>,
    ticks: Option<u64>,
    heap: Option<MitataHeap>,
}

#[derive(Deserialize)]
struct MitataHeap {
    avg: Option<f64>,
}

impl Adapter for Mitata {
    fn tool(&self) -> Tool {
        Tool::Mitata
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        let shape = source.shape.as_ref();
        shape.is_some_and(|shape| {
            shape.has_key(1, "benchmarks") && shape.has_key(2, "runs") && shape.has_key(3, "stats")
        })
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            match serde_json::from_str::<MitataReport>(&source.text) {
                Ok(report) => read_report(&report, collector),
                Err(error) => collector.reject_source(ProblemKind::Malformed, &error.to_string()),
            }
        }
    }
}

fn read_report(report: &MitataReport, collector: &mut MeasurementCollector<'_>) {
    for benchmark in &report.benchmarks {
        let group = report
            .layout
            .get(benchmark.group)
            .and_then(|group| group.name.as_deref());
        for run in &benchmark.runs {
            let name = match group {
                Some(group) => format!("{group} > {}", run.name),
                None => run.name.clone(),
            };
            match &run.stats {
                Some(stats) => push_entries(&name, stats, collector),
                None => {
                    let message = run.error.as_ref().and_then(|error| error.message.as_deref());
                    collector.report_entry_problem(
                        &name,
                        ProblemKind::Failed,
                        message.unwrap_or("it has no statistics"),
                    );
                }
            }
        }
    }
}

fn push_entries(name: &str, stats: &MitataStats, collector: &mut MeasurementCollector<'_>) {
    let quartiles = stats.p25.zip(stats.p75);
    collector.push(CollectedEntry {
        estimator: Estimator::Median,
        samples: stats.ticks,
        interval: quartiles.map(|(low, high)| Interval {
            low,
            high,
            level: Some(0.5),
        }),
        ..CollectedEntry::from_time(name, 1.0, stats.p50)
    });
    if let Some(bytes) = stats.heap.as_ref().and_then(|heap| heap.avg) {
        collector.push(CollectedEntry {
            estimator: Estimator::Mean,
            ..CollectedEntry::new(name, Measure::MEMORY, Scale::from_base_unit(Unit::Bytes), bytes)
        });
    }
}
