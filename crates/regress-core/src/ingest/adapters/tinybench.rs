//! tinybench: its tasks as JSON (`bench.tasks.map(({ name, result }) => ({ name, result }))`), and the table that
//! `console.table(bench.table())` prints.
//!
//! The median is the value where there is one: `latency.p50` since version 3, else the mean. Times of tasks are in
//! milliseconds, those of the table in nanoseconds.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::json::Elements;
use crate::ingest::text::{Opened, parse_number};
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Estimator, ProblemKind};

pub(super) struct Tinybench;

const MILLISECOND: f64 = 1e6;
/// A column of the table.
const MEDIAN: &str = "Latency med (ns)";

#[derive(Deserialize)]
struct Task<'a> {
    name: String,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

/// The result of a task: since version 3 with `latency`, before it with its numbers side by side.
#[derive(Deserialize)]
struct TaskResult {
    latency: Option<Numbers>,
    #[serde(default)]
    p50: Option<f64>,
    #[serde(default)]
    mean: Option<f64>,
    #[serde(default)]
    sd: Option<f64>,
}

#[derive(Deserialize)]
struct Numbers {
    p50: Option<f64>,
    mean: Option<f64>,
    sd: Option<f64>,
    #[serde(rename = "samplesCount")]
    samples: Option<u64>,
}

impl Adapter for Tinybench {
    fn tool(&self) -> Tool {
        Tool::Tinybench
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        match &source.shape {
            Some(shape) => {
                let result =
                    shape.has_key(2, "latency") || shape.has_key(2, "hz") && shape.has_key(2, "period");
                shape.is_array && shape.has_key(1, "name") && shape.has_key(1, "result") && result
            }
            None => source
                .lines()
                .any(|line| line.contains(MEDIAN) && line.contains('│')),
        }
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            if source.shape.is_none() {
                read_table(source, collector);
                continue;
            }
            match serde_json::from_str::<Elements<'_>>(&source.text) {
                Ok(Elements(tasks)) => tasks.iter().for_each(|task| read_task(task.get(), collector)),
                Err(error) => collector.reject_source(ProblemKind::Malformed, &error.to_string()),
            }
        }
    }
}

fn read_task(text: &str, collector: &mut MeasurementCollector<'_>) {
    let task: Task<'_> = match serde_json::from_str(text) {
        Ok(task) => task,
        Err(error) => return collector.reject_source(ProblemKind::Malformed, &error.to_string()),
    };
    let read = task
        .result
        .map(|result| serde_json::from_str::<TaskResult>(result.get()));
    let result = match read {
        Some(Ok(result)) => result,
        Some(Err(error)) => {
            return collector.report_entry_problem(&task.name, ProblemKind::Malformed, error.to_string());
        }
        None => return collector.report_entry_problem(&task.name, ProblemKind::Failed, "it was not run"),
    };
    let numbers = result.latency.unwrap_or(Numbers {
        p50: result.p50,
        mean: result.mean,
        sd: result.sd,
        samples: None,
    });
    let (value, estimator) = match (numbers.p50, numbers.mean) {
        (Some(median), _) => (median, Estimator::Median),
        (None, Some(mean)) => (mean, Estimator::Mean),
        (None, None) => {
            return collector.report_entry_problem(&task.name, ProblemKind::Failed, "it has no latency");
        }
    };
    collector.push(CollectedEntry {
        estimator,
        std_dev: numbers.sd,
        samples: numbers.samples,
        ..CollectedEntry::from_time(&task.name, MILLISECOND, value)
    });
}

/// The box that `console.table` draws: a heading, and a row a task with text in quotes.
fn read_table(source: &Opened<'_>, collector: &mut MeasurementCollector<'_>) {
    let mut heading: Vec<String> = Vec::new();
    for line in source.lines() {
        let Some(row) = line.trim().strip_prefix('│') else {
            continue;
        };
        let cells: Vec<&str> = row.trim_end_matches('│').split('│').map(str::trim).collect();
        if cells.contains(&MEDIAN) {
            heading = cells.into_iter().map(str::to_owned).collect();
            continue;
        }
        let cell = |name: &str| {
            let place = heading.iter().position(|column| column == name)?;
            Some(cells.get(place)?.trim_matches('\''))
        };
        let Some(name) = cell("Task name") else {
            continue;
        };
        let median = cell(MEDIAN)
            .unwrap_or_default()
            .split('±')
            .next()
            .unwrap_or_default();
        match parse_number(median) {
            Some(median) => collector.push(CollectedEntry {
                estimator: Estimator::Median,
                samples: cell("Samples").and_then(|cell| cell.parse().ok()),
                ..CollectedEntry::from_time(name, 1.0, median)
            }),
            None => collector.report_entry_problem(
                name,
                ProblemKind::Failed,
                cell("Error").unwrap_or("it has no latency"),
            ),
        }
    }
}
