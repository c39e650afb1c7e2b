//! Criterion's tree, `target/criterion/**/new/{benchmark,estimates,sample}.json`.
//!
//! The files are Criterion's private format: 0.2 to 0.3.3 write `Mean`, `Slope` and a sample of two lists, later
//! versions `mean`, `slope` (null under flat sampling) and a sample with `iters` and `times`. Both are read. The
//! benchmark's name is `full_id`, never the folder, whose name is sanitised and cut. Other folders than `new`
//! (`base`, `change`, saved baselines, `report`) are of other runs and are passed over. Throughput follows from
//! the time and is not a measure of its own here. The unit stands only in `raw.csv`; without it, it is ns.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::ingest::collector::{CollectedEntry, MeasurementCollector, measure_of_unit};
use crate::ingest::json::{Number, quote_not_finite};
use crate::ingest::text::Opened;
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Estimator, Interval, ProblemKind, Scale};

pub(super) struct Criterion;

/// The files of one benchmark's `new` folder.
#[derive(Default)]
struct Folder<'a> {
    benchmark: Option<&'a Opened<'a>>,
    estimates: Option<&'a Opened<'a>>,
    sample: Option<&'a Opened<'a>>,
    raw: Option<&'a Opened<'a>>,
}

#[derive(Deserialize)]
struct Benchmark {
    full_id: Option<String>,
    group_id: String,
    function_id: Option<String>,
    value_str: Option<String>,
}

#[derive(Deserialize)]
struct Estimates {
    #[serde(alias = "Mean")]
    mean: Estimate,
    #[serde(alias = "Slope")]
    slope: Option<Estimate>,
    #[serde(alias = "StdDev")]
    std_dev: Option<Estimate>,
}

#[derive(Deserialize)]
struct Estimate {
    confidence_interval: Option<Confidence>,
    point_estimate: Number,
}

#[derive(Deserialize)]
struct Confidence {
    confidence_level: Number,
    lower_bound: Number,
    upper_bound: Number,
}

#[derive(Deserialize)]
struct Sample {
    iters: Vec<Number>,
    times: Vec<Number>,
}

impl Adapter for Criterion {
    fn tool(&self) -> Tool {
        Tool::Criterion
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        let (_, file) = split(source.path);
        match file {
            "estimates.json" | "sample.json" | "benchmark.json" | "tukey.json" => source.shape.is_some(),
            "raw.csv" => source.text.starts_with("group,function,value,"),
            _ => false,
        }
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        let mut folders: BTreeMap<&str, Folder<'_>> = BTreeMap::new();
        for &source in sources {
            let (path, file) = split(source.path);
            let (parent, folder) = split(path);
            if folder != "new" {
                continue;
            }
            let entry = folders.entry(parent).or_default();
            match file {
                "benchmark.json" => entry.benchmark = Some(source),
                "estimates.json" => entry.estimates = Some(source),
                "sample.json" => entry.sample = Some(source),
                "raw.csv" => entry.raw = Some(source),
                _ => {}
            }
        }
        if folders.is_empty() {
            collector.set_source(sources.first().map_or("", |source| source.path));
            collector.reject_source(
                ProblemKind::NoBenchmarks,
                "there is no folder `new` among Criterion's files",
            );
        }
        for (path, folder) in folders {
            read_folder(path, &folder, collector);
        }
    }
}

/// Splits the last part off a path of either separator.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once(['/', '\\']).unwrap_or(("", path))
}

fn read_folder(path: &str, folder: &Folder<'_>, collector: &mut MeasurementCollector<'_>) {
    collector.set_source(path);
    let Some(benchmark) = folder.benchmark else {
        return collector.reject_source(ProblemKind::Missing, "new/benchmark.json, which holds the name");
    };
    let name = match serde_json::from_str::<Benchmark>(&benchmark.text) {
        Ok(benchmark) => full_name(benchmark),
        Err(error) => {
            return collector.reject_source(ProblemKind::Malformed, &format!("new/benchmark.json: {error}"));
        }
    };
    let Some(estimates) = folder.estimates else {
        return collector.report_entry_problem(
            &name,
            ProblemKind::Missing,
            "new/estimates.json, which holds the value",
        );
    };
    let estimates: Estimates = match serde_json::from_str(&quote_not_finite(&estimates.text)) {
        Ok(estimates) => estimates,
        Err(error) => {
            return collector.report_entry_problem(
                &name,
                ProblemKind::Malformed,
                format!("new/estimates.json: {error}"),
            );
        }
    };
    let (typical, estimator) = match &estimates.slope {
        Some(slope) => (slope, Estimator::Slope),
        None => (&estimates.mean, Estimator::Mean),
    };
    let unit = folder.raw.and_then(unit_of_raw).unwrap_or("ns");
    let (scale, measure) = (Scale::parse_or_custom(unit), measure_of_unit(unit));
    let iterations = folder
        .sample
        .map_or_else(Vec::new, |sample| match per_iteration(&sample.text) {
            Ok(iterations) => iterations,
            Err(error) => {
                collector.report_entry_problem(
                    &name,
                    ProblemKind::Doubtful,
                    format!("new/sample.json is left out: {error}"),
                );
                Vec::new()
            }
        });
    collector.push(CollectedEntry {
        estimator,
        std_dev: estimates
            .std_dev
            .as_ref()
            .map(|estimate| estimate.point_estimate.0),
        interval: typical.confidence_interval.as_ref().map(|interval| Interval {
            low: interval.lower_bound.0,
            high: interval.upper_bound.0,
            level: Some(interval.confidence_level.0),
        }),
        iterations,
        ..CollectedEntry::new(&name, measure, scale, typical.point_estimate.0)
    });
}

/// `full_id`, or its parts joined as Criterion joins them, for versions that do not write it.
fn full_name(benchmark: Benchmark) -> String {
    benchmark.full_id.unwrap_or_else(|| {
        let parts = [
            Some(benchmark.group_id),
            benchmark.function_id,
            benchmark.value_str,
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("/")
    })
}

/// Sample times are totals over the iterations of each sample.
fn per_iteration(text: &str) -> Result<Vec<f64>, serde_json::Error> {
    let text = quote_not_finite(text);
    let Sample { iters, times } = if text.trim_start().starts_with('[') {
        let (iters, times) = serde_json::from_str(&text)?;
        Sample { iters, times }
    } else {
        serde_json::from_str(&text)?
    };
    Ok(times
        .iter()
        .zip(&iters)
        .map(|(time, iters)| time.0 / iters.0)
        .collect())
}

/// The unit stands in the last column but one of `raw.csv`; names before it may hold commas.
fn unit_of_raw<'a>(raw: &'a Opened<'_>) -> Option<&'a str> {
    raw.text.lines().nth(1)?.rsplit(',').nth(1)
}
