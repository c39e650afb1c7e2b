//! hyperfine's `--export-json`: seconds, one entry per command.
//!
//! Each timed run is a process of its own, so each becomes a process run here; whoever runs hyperfine itself
//! several times folds them with [`Ingested::into_one`](crate::ingest::Ingested::into_one). Processor times stand
//! in the file as means only and go with the first process run. Values of `--parameter-*` that are not part of
//! the command text are added to the name, since `--command-name` hides them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::json::{Elements, Number, quote_not_finite};
use crate::ingest::text::Opened;
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Estimator, Measure, ProblemKind, Scale, Unit};

pub(super) struct Hyperfine;

#[derive(Deserialize)]
struct Export<'a> {
    #[serde(borrow)]
    results: Elements<'a>,
}

#[derive(Deserialize)]
struct HyperfineHeader {
    command: String,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Times {
    mean: Option<Number>,
    stddev: Option<Number>,
    user: Option<Number>,
    system: Option<Number>,
    #[serde(default)]
    times: Vec<Number>,
    /// Null for a run killed by a signal.
    #[serde(default)]
    exit_codes: Vec<Option<i64>>,
    #[serde(default)]
    memory_usage_byte: Vec<Number>,
}

impl Adapter for Hyperfine {
    fn tool(&self) -> Tool {
        Tool::Hyperfine
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        source.shape.as_ref().is_some_and(|shape| {
            !shape.is_array
                && shape.has_key(1, "results")
                && (shape.has_key(2, "command") || shape.has_key(2, "times"))
        })
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            let text = quote_not_finite(&source.text);
            match serde_json::from_str::<Export<'_>>(&text) {
                Ok(export) => {
                    for (index, result) in export.results.0.iter().enumerate() {
                        read_result(index, result.get(), collector);
                    }
                }
                Err(error) => collector.reject_source(ProblemKind::Malformed, &error.to_string()),
            }
        }
    }
}

fn read_result(index: usize, text: &str, collector: &mut MeasurementCollector<'_>) {
    let head: HyperfineHeader = match serde_json::from_str(text) {
        Ok(head) => head,
        Err(error) => {
            return collector.report_entry_problem(
                &format!("results[{index}]"),
                ProblemKind::Malformed,
                error.to_string(),
            );
        }
    };
    let name = name_of(&head);
    let result: Times = match serde_json::from_str(text) {
        Ok(result) => result,
        Err(error) => {
            return collector.report_entry_problem(&name, ProblemKind::Malformed, error.to_string());
        }
    };
    let seconds = Scale {
        unit: Unit::Nanoseconds,
        factor: 1e9,
    };
    let runs = result.times.len();
    let killed = result
        .exit_codes
        .iter()
        .take(runs)
        .filter(|code| code.is_none())
        .count();
    if killed > 0 {
        collector.report_entry_problem(
            &name,
            ProblemKind::Failed,
            format!("{killed} of {runs} runs were killed and are left out"),
        );
    }
    let failed = result
        .exit_codes
        .iter()
        .take(runs)
        .flatten()
        .filter(|code| **code != 0)
        .count();
    if failed > 0 {
        let detail = format!("{failed} of {runs} runs did not exit with 0; their times are kept");
        collector.report_entry_problem(&name, ProblemKind::Doubtful, detail);
    }
    for (process, time) in result.times.iter().enumerate() {
        if let Some(None) = result.exit_codes.get(process) {
            continue;
        }
        collector.push(CollectedEntry {
            process,
            ..CollectedEntry::new(&name, Measure::LATENCY, seconds.clone(), time.0)
        });
        if let Some(memory) = result
            .memory_usage_byte
            .get(process)
            .filter(|memory| memory.0 > 0.0)
        {
            let entry = CollectedEntry::new(
                &name,
                Measure::PEAK_MEMORY,
                Scale::from_base_unit(Unit::Bytes),
                memory.0,
            );
            collector.push(CollectedEntry { process, ..entry });
        }
    }
    if runs == 0 {
        match result.mean {
            Some(mean) => {
                let std_dev = result.stddev.map(|deviation| deviation.0);
                let entry = CollectedEntry::new(&name, Measure::LATENCY, seconds.clone(), mean.0);
                collector.push(CollectedEntry {
                    estimator: Estimator::Mean,
                    std_dev,
                    ..entry
                });
            }
            None => collector.report_entry_problem(&name, ProblemKind::Missing, "times and mean"),
        }
    }
    for (measure, value) in [
        (Measure::USER_TIME, result.user),
        (Measure::SYSTEM_TIME, result.system),
    ] {
        if let Some(value) = value {
            let entry = CollectedEntry::new(&name, measure, seconds.clone(), value.0);
            collector.push(CollectedEntry {
                estimator: Estimator::Mean,
                samples: Some(runs as u64),
                ..entry
            });
        }
    }
}

fn name_of(head: &HyperfineHeader) -> String {
    let hidden: Vec<String> = head
        .parameters
        .iter()
        .filter(|(_, value)| !head.command.contains(value.as_str()))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if hidden.is_empty() {
        head.command.clone()
    } else {
        format!("{} {{{}}}", head.command, hidden.join(", "))
    }
}
