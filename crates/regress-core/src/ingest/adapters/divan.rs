//! divan's table: a tree of names, then `fastest │ slowest │ median │ mean │ samples │ iters`.
//!
//! The median is the value. Rows of counters (`12 MB/s`) and allocations stand below a benchmark without a name
//! and are passed over.

use crate::ingest::collector::{Entry, MeasurementCollector};
use crate::ingest::text::{Opened, number};
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Estimator, Interval, Measure, ProblemKind, Scale, Unit};

pub(super) struct Divan;

impl Adapter for Divan {
    fn tool(&self) -> Tool {
        Tool::Divan
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        source.lines().any(|line| is_heading(&line))
    }

    fn shares(&self) -> bool {
        true
    }

    fn read(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.enter(source.path);
            read_lines(source, collector);
        }
    }
}

fn is_heading(line: &str) -> bool {
    line.split_once("fastest")
        .is_some_and(|(_, rest)| rest.contains("│ slowest") && rest.contains("│ median"))
}

fn read_lines(source: &Opened<'_>, collector: &mut MeasurementCollector<'_>) {
    let mut path: Vec<String> = Vec::new();
    for line in source.lines() {
        if is_heading(&line) {
            let crate_name = line.split("fastest").next().unwrap_or_default().trim();
            path = vec![crate_name.to_owned()];
            continue;
        }
        let Some((depth, row)) = branch(&line) else {
            continue;
        };
        if path.is_empty() {
            continue;
        }
        let cells: Vec<&str> = row.split('│').map(str::trim).collect();
        let (name, fastest) = name_and_fastest(cells.first().copied().unwrap_or_default());
        path.truncate(depth);
        path.push(name.to_owned());
        if cells.get(1).is_some_and(|cell| cell.starts_with("(ignored)")) || name.ends_with("(ignored)") {
            continue;
        }
        let median = cells.get(2).copied().unwrap_or_default();
        if let Some(fastest) = fastest {
            push_entry(&path.join("::"), fastest, median, &cells, collector);
        }
    }
}

/// Depth in the tree (from 1) and what follows `├─ ` or `╰─ `.
fn branch(line: &str) -> Option<(usize, &str)> {
    let at = line.find("├─ ").or_else(|| line.find("╰─ "))?;
    let depth = line[..at].chars().count() / 3 + 1;
    Some((depth, line.get(at + "├─ ".len()..)?))
}

/// `10  126.4 ns` to name and fastest time; a group has no time.
fn name_and_fastest(cell: &str) -> (&str, Option<&str>) {
    let Some((name, time)) = cell.rsplit_once("  ") else {
        return (cell, None);
    };
    if value(time).is_some() {
        (name.trim(), Some(time))
    } else {
        (cell, None)
    }
}

/// `1.437 µs`
fn value(text: &str) -> Option<f64> {
    let (digits, unit) = text.trim().split_once(' ')?;
    let scale = Scale::parse(unit).filter(|scale| scale.unit == Unit::Nanoseconds)?;
    Some(number(digits)? * scale.factor)
}

fn push_entry(
    name: &str,
    fastest: &str,
    median: &str,
    cells: &[&str],
    collector: &mut MeasurementCollector<'_>,
) {
    let Some(middle) = value(median) else {
        return collector.report(name, ProblemKind::Malformed, format!("median {median:?}"));
    };
    let low = value(fastest);
    let high = cells.get(1).and_then(|cell| value(cell));
    let samples = cells.get(4).and_then(|cell| number(cell)).map(|n| n as u64);
    collector.push(Entry {
        estimator: Estimator::Median,
        interval: low.zip(high).map(|(low, high)| Interval {
            low,
            high,
            level: Some(1.0),
        }),
        samples,
        ..Entry::new(name, Measure::LATENCY, Scale::base(Unit::Nanoseconds), middle)
    });
}
