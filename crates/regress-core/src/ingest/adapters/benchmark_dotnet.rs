//! BenchmarkDotNet's JSON exporters (`--exporters json`, brief, full or compressed): nanoseconds.
//!
//! The median is the value. With a memory diagnoser the bytes allocated per operation are a measure of their own. A
//! benchmark that failed has no statistics.

use serde::Deserialize;

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::json::Number;
use crate::ingest::text::Opened;
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Estimator, Interval, Measure, ProblemKind, Scale, Unit};

pub(super) struct BenchmarkDotNet;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DotNetReport {
    benchmarks: Vec<DotNetBenchmark>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DotNetBenchmark {
    full_name: String,
    statistics: Option<DotNetStatistics>,
    memory: Option<DotNetMemory>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DotNetStatistics {
    median: Number,
    standard_deviation: Option<Number>,
    n: Option<u64>,
    q1: Option<Number>,
    q3: Option<Number>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DotNetMemory {
    bytes_allocated_per_operation: Option<f64>,
}

impl Adapter for BenchmarkDotNet {
    fn tool(&self) -> Tool {
        Tool::BenchmarkDotNet
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        let shape = source.shape.as_ref();
        shape.is_some_and(|shape| shape.has_key(1, "HostEnvironmentInfo") && shape.has_key(1, "Benchmarks"))
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            match serde_json::from_str::<DotNetReport>(&source.text) {
                Ok(report) => report
                    .benchmarks
                    .iter()
                    .for_each(|one| read_benchmark(one, collector)),
                Err(error) => collector.reject_source(ProblemKind::Malformed, &error.to_string()),
            }
        }
    }
}

fn read_benchmark(benchmark: &DotNetBenchmark, collector: &mut MeasurementCollector<'_>) {
    let name = &benchmark.full_name;
    let Some(statistics) = &benchmark.statistics else {
        return collector.report_entry_problem(name, ProblemKind::Failed, "it has no statistics");
    };
    let quartiles = statistics.q1.zip(statistics.q3);
    collector.push(CollectedEntry {
        estimator: Estimator::Median,
        std_dev: statistics.standard_deviation.map(|deviation| deviation.0),
        samples: statistics.n,
        interval: quartiles.map(|(low, high)| Interval {
            low: low.0,
            high: high.0,
            level: Some(0.5),
        }),
        ..CollectedEntry::from_time(name, 1.0, statistics.median.0)
    });
    let bytes = benchmark
        .memory
        .as_ref()
        .and_then(|memory| memory.bytes_allocated_per_operation);
    if let Some(bytes) = bytes {
        collector.push(CollectedEntry::new(
            name,
            Measure::ALLOCATED_BYTES,
            Scale::from_base_unit(Unit::Bytes),
            bytes,
        ));
    }
}
