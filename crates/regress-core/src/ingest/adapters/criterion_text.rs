//! Criterion's output for people: `NAME  time:   [low estimate high]`, the name on a line of its own when it is
//! long. Changes against Criterion's own earlier run are printed alike but in percent (with U+2212 for minus) and
//! are passed over, as are throughputs, which follow from the times.

use crate::ingest::collector::{CollectedEntry, MeasurementCollector, measure_of_unit};
use crate::ingest::text::{Opened, parse_number};
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Interval, ProblemKind, Scale};

pub(super) struct CriterionText;

impl Adapter for CriterionText {
    fn tool(&self) -> Tool {
        Tool::CriterionText
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        source.lines().any(|line| {
            line.starts_with("Benchmarking ")
                || line
                    .split_once("time:")
                    .is_some_and(|(_, rest)| triple(rest).is_some())
        })
    }

    fn shares_sources(&self) -> bool {
        true
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            read_lines(source, collector);
        }
    }
}

fn read_lines(source: &Opened<'_>, collector: &mut MeasurementCollector<'_>) {
    let mut previous = String::new();
    let mut running: Option<String> = None;
    let mut samples = None;
    for line in source.lines() {
        let line = line.trim_end();
        if let Some(progress) = line.strip_prefix("Benchmarking ") {
            let name = progress.rsplit_once(": ").map_or(progress, |(name, _)| name);
            if let Some((_, collecting)) = progress.rsplit_once(": Collecting ") {
                samples = collecting.split_whitespace().next().and_then(|n| n.parse().ok());
            }
            running = Some(name.to_owned());
            name.clone_into(&mut previous);
            continue;
        }
        if let Some((name, rest)) = line.split_once("time:")
            && let Some(result) = triple(rest)
        {
            if let Triple::Values(low, value, high) = result {
                let name = if name.trim().is_empty() {
                    previous.clone()
                } else {
                    name.trim().to_owned()
                };
                push_entry(&name, [&low, &value, &high], samples.take(), collector);
                running = None;
            }
            continue;
        }
        if line.starts_with("thread '") && line.contains("panicked at") {
            match running.take() {
                Some(name) => collector.report_entry_problem(&name, ProblemKind::Failed, line),
                None => collector.reject_source(ProblemKind::Failed, line),
            }
        }
        if !line.trim().is_empty() {
            line.trim().clone_into(&mut previous);
        }
    }
    if let Some(name) = running {
        collector.report_entry_problem(&name, ProblemKind::Missing, "the output ends before its result");
    }
}

fn push_entry(
    name: &str,
    values: [&Printed; 3],
    samples: Option<u64>,
    collector: &mut MeasurementCollector<'_>,
) {
    let [low, value, high] = values;
    let scale = value.scale();
    // The three are scaled apart: 990 ns beside 1.01 us.
    let alike = |printed: &Printed| printed.number * printed.scale().factor / scale.factor;
    let interval = Interval {
        low: alike(low),
        high: alike(high),
        level: None,
    };
    let entry = CollectedEntry::new(name, measure_of_unit(&value.unit), scale.clone(), value.number);
    collector.push(CollectedEntry {
        interval: Some(interval),
        samples,
        ..entry
    });
}

/// A number with its unit.
struct Printed {
    number: f64,
    unit: String,
}

impl Printed {
    fn scale(&self) -> Scale {
        Scale::parse_or_custom(&self.unit)
    }
}

enum Triple {
    Values(Printed, Printed, Printed),
    Change,
}

/// `[1.19 µs 1.25 µs 1.31 µs]`, or three percentages.
fn triple(text: &str) -> Option<Triple> {
    let text = text.trim_start().strip_prefix('[')?.split(']').next()?;
    let mut words = text.split_whitespace();
    if text.contains('%') {
        let percent = |word: &str| parse_number(word.strip_suffix('%')?);
        return words.next().and_then(percent).map(|_| Triple::Change);
    }
    let mut value = || {
        Some(Printed {
            number: parse_number(words.next()?)?,
            unit: words.next()?.to_owned(),
        })
    };
    let triple = Triple::Values(value()?, value()?, value()?);
    words.next().is_none().then_some(triple)
}
