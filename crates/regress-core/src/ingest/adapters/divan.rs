//! divan's table: a tree of names, then `fastest │ slowest │ median │ mean │ samples │ iters`.
//!
//! The median is the value. Below a benchmark stand rows without a name: counters (`12 MB/s`), which follow from the time
//! and are passed over, and what its allocation profiler counted, under `alloc:` first the allocations and then the bytes;
//! those are measures of their own. Memory that is freed or moved is passed over.

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::text::{Opened, parse_number};
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

fn is_heading(line: &str) -> bool {
    line.split_once("fastest")
        .is_some_and(|(_, rest)| rest.contains("│ slowest") && rest.contains("│ median"))
}

/// Whether a line is one of the allocation profiler's.
fn is_profile(line: &str) -> bool {
    line.trim_start_matches(['│', ' ']).starts_with("alloc:")
}

fn read_lines(source: &Opened<'_>, collector: &mut MeasurementCollector<'_>) {
    let mut path: Vec<String> = Vec::new();
    let profiled = source.lines().any(|line| is_profile(&line));
    let mut allocations: Option<Allocations> = None;
    for line in source.lines() {
        if is_heading(&line) {
            let crate_name = line.split("fastest").next().unwrap_or_default().trim();
            path = vec![crate_name.to_owned()];
            continue;
        }
        let Some((depth, row)) = branch(&line) else {
            if let Some(allocations) = &mut allocations {
                allocations.read(&line);
            }
            continue;
        };
        if let Some(allocations) = allocations.take() {
            allocations.push(collector);
        }
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
            let name = path.join("::");
            push_entry(&name, fastest, median, &cells, collector);
            allocations = profiled.then(|| Allocations::of(name));
        }
    }
    if let Some(allocations) = allocations {
        allocations.push(collector);
    }
}

/// What the allocation profiler counted of the benchmark above.
struct Allocations {
    /// The benchmark.
    name: String,
    /// Rows after `alloc:` that were read; `None` before it and after both.
    rows: Option<usize>,
    /// Median number and bytes.
    counted: [Option<(f64, Scale)>; 2],
}

impl Allocations {
    fn of(name: String) -> Self {
        Self {
            name,
            rows: None,
            counted: [None, None],
        }
    }

    /// Reads a line below a benchmark: bars of the tree, cells of the table.
    fn read(&mut self, line: &str) {
        let row = line.trim_start_matches(['│', ' ']);
        if let Some((what, _)) = row.split_once(':') {
            self.rows = (what == "alloc").then_some(0);
            return;
        }
        let Some(place) = self.rows else {
            return;
        };
        let median = row.split('│').nth(2).unwrap_or_default().trim();
        let (digits, unit) = median.split_once(' ').unwrap_or((median, ""));
        let scale = match place {
            0 => Some(Scale::from_base_unit(Unit::Count)),
            _ => Scale::parse(unit),
        };
        self.counted[place] = parse_number(digits).zip(scale);
        self.rows = (place == 0).then_some(1);
    }

    /// Pushes what was counted. A benchmark that allocates nothing has no rows, and that is a count as well.
    fn push(self, collector: &mut MeasurementCollector<'_>) {
        let nothing = self.counted.iter().all(Option::is_none);
        let [count, bytes] = self.counted;
        let zero = |unit| nothing.then(|| (0.0, Scale::from_base_unit(unit)));
        let rows = [
            (Measure::ALLOCATIONS, count.or_else(|| zero(Unit::Count))),
            (Measure::ALLOCATED_BYTES, bytes.or_else(|| zero(Unit::Bytes))),
        ];
        for (measure, counted) in rows {
            if let Some((value, scale)) = counted {
                collector.push(CollectedEntry {
                    estimator: Estimator::Median,
                    ..CollectedEntry::new(&self.name, measure, scale, value)
                });
            }
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
    Some(parse_number(digits)? * scale.factor)
}

fn push_entry(
    name: &str,
    fastest: &str,
    median: &str,
    cells: &[&str],
    collector: &mut MeasurementCollector<'_>,
) {
    let Some(middle) = value(median) else {
        return collector.report_entry_problem(name, ProblemKind::Malformed, format!("median {median:?}"));
    };
    let low = value(fastest);
    let high = cells.get(1).and_then(|cell| value(cell));
    let samples = cells.get(4).and_then(|cell| parse_number(cell)).map(|n| n as u64);
    collector.push(CollectedEntry {
        estimator: Estimator::Median,
        interval: low.zip(high).map(|(low, high)| Interval {
            low,
            high,
            level: Some(1.0),
        }),
        samples,
        ..CollectedEntry::new(
            name,
            Measure::LATENCY,
            Scale::from_base_unit(Unit::Nanoseconds),
            middle,
        )
    });
}
