//! asv's output for people, `[ 35.00%] ··· benchmarks.TimeSuite.time_keys   11.1±0.01μs`, and its result files.
//!
//! A benchmark with parameters has a table below its name: the values of some parameters on the left, and those of the
//! others, if they are not too many, in the heading. Each combination is a benchmark, `name(10, a)`. The environment above the lines becomes a part of the name, since asv runs each benchmark in several.
//! Names say what is measured: `time_` a time, `mem_` and `peakmem_` bytes, `track_` a number of the user's own.

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::text::{Opened, parse_number};
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Estimator, Measure, ProblemKind, Scale, Unit};

mod results;

pub(super) struct Asv;

impl Adapter for Asv {
    fn tool(&self) -> Tool {
        Tool::Asv
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        match &source.shape {
            Some(shape) => results::is_result_file(shape),
            None => source.lines().any(|line| progress(&line).is_some()),
        }
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            if source.shape.is_some() {
                results::read_result_file(source, collector);
            } else {
                read_lines(source, collector);
            }
        }
    }
}

fn read_lines(source: &Opened<'_>, collector: &mut MeasurementCollector<'_>) {
    let mut environment = String::new();
    // The benchmark whose table is being read, and its lines so far.
    let mut table: Option<(String, Vec<String>)> = None;
    for line in source.lines() {
        let step = progress(&line);
        let row = step.and_then(|step| step.strip_prefix("··· "));
        let of_table = match (row, step) {
            (Some(row), _) => is_rule(row).then(|| row.trim_end().to_owned()),
            (None, None) => line
                .strip_prefix(TABLE_INDENT)
                .map(|line| line.trim_end().to_owned()),
            (None, Some(_)) => None,
        };
        match (&mut table, of_table) {
            (Some((_, lines)), Some(line)) => lines.push(line),
            (open, None) => {
                if let Some((name, lines)) = open.take() {
                    read_table(&name, &environment, &lines, collector);
                }
            }
            (None, Some(_)) => {}
        }
        if let Some(name) = step.and_then(|step| step.strip_prefix("·· Benchmarking ")) {
            name.trim().clone_into(&mut environment);
        } else if let Some(row) = row.filter(|row| !is_rule(row)) {
            table = read_row(row, &environment, collector).map(|name| (name, Vec::new()));
        }
    }
    if let Some((name, lines)) = table {
        read_table(&name, &environment, &lines, collector);
    }
}

/// What stands before the lines of a table but its first.
const TABLE_INDENT: &str = "             ";

/// `==== ===== =====`
fn is_rule(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("==") && text.bytes().all(|byte| matches!(byte, b'=' | b' '))
}

/// What follows `[ 35.00%] `.
fn progress(line: &str) -> Option<&str> {
    let (percent, rest) = line.strip_prefix('[')?.split_once("%] ")?;
    parse_number(percent)
        .filter(|_| rest.starts_with('·'))
        .map(|_| rest)
}

/// Reads the line of a benchmark; gives its name if its values stand in a table below.
fn read_row(row: &str, environment: &str, collector: &mut MeasurementCollector<'_>) -> Option<String> {
    let (name, outcome) = row.trim_end().rsplit_once(' ')?;
    // `1/2 failed`
    let (name, parts) = match name.trim_end().rsplit_once(' ') {
        Some((name, share)) if share.contains('/') && outcome == "failed" => (name.trim(), Some(share)),
        _ => (name.trim(), None),
    };
    if name.is_empty() || name.contains(' ') || name.starts_with("Running") || name.starts_with("Setting") {
        return None;
    }
    if outcome == "ok" || parts.is_some() {
        return Some(name.to_owned());
    }
    if outcome != "skipped" {
        push_outcome(name, &in_environment(name, environment), outcome, collector);
    }
    None
}

fn in_environment(name: &str, environment: &str) -> String {
    if environment.is_empty() {
        name.to_owned()
    } else {
        format!("{name} ({environment})")
    }
}

/// One value as it is printed: a number, or that there is none.
fn push_outcome(name: &str, full: &str, outcome: &str, collector: &mut MeasurementCollector<'_>) {
    match outcome {
        "failed" | "n/a" => collector.report_entry_problem(full, ProblemKind::Failed, outcome),
        value => match parse(value) {
            Some((value, deviation, scale)) => push_entry(name, full, value, deviation, scale, collector),
            None => collector.report_entry_problem(full, ProblemKind::Malformed, value),
        },
    }
}

/// Reads a table of the values of a benchmark by its parameters.
fn read_table(name: &str, environment: &str, lines: &[String], collector: &mut MeasurementCollector<'_>) {
    let Some(columns) = lines.first().map(|line| spans(line)) else {
        return;
    };
    let is_line = |line: &String, mark: char| {
        let text = line.trim();
        text.starts_with(mark) && text.chars().all(|one| one == mark || one == ' ')
    };
    let rules: Vec<usize> = (0..lines.len()).filter(|at| is_line(&lines[*at], '=')).collect();
    let Some(dashes) = lines.iter().position(|line| is_line(line, '-')) else {
        return collector.report_entry_problem(name, ProblemKind::Malformed, "a table without a heading");
    };
    // With values in its heading, a table has one more rule between heading and rows, and the dashes of its heading have
    // one run for all of them.
    let end = rules.get(1).copied().filter(|_| rules.len() == 2);
    let (first, last, left) = match (end, rules.as_slice()) {
        (Some(end), _) => (dashes + 1, end, columns.len().saturating_sub(1)),
        (None, [_, start, end, ..]) => (start + 1, *end, spans(&lines[dashes]).len().saturating_sub(1)),
        (None, _) => {
            return collector.report_entry_problem(name, ProblemKind::Malformed, "a table that has no end");
        }
    };
    let heading = cells(&lines[first.saturating_sub(2)], &columns);
    for row in lines.get(first..last).unwrap_or_default() {
        let row = cells(row, &columns);
        let (parameters, values) = row.split_at(left.min(row.len()));
        for (place, value) in values.iter().enumerate() {
            let of_column = heading.get(left + place).filter(|_| end.is_none());
            let of_column = of_column.map(|text| text.replace(" / ", ", "));
            let all: Vec<&str> = parameters
                .iter()
                .map(String::as_str)
                .chain(of_column.as_deref())
                .collect();
            let full = in_environment(&format!("{name}({})", all.join(", ")), environment);
            push_outcome(name, &full, value, collector);
        }
    }
}

/// Where the columns of a rule begin and end, in characters.
fn spans(rule: &str) -> Vec<(usize, usize)> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for (at, mark) in rule.chars().enumerate() {
        match spans.last_mut() {
            _ if mark == ' ' => {}
            Some(last) if last.1 == at => last.1 = at + 1,
            _ => spans.push((at, at + 1)),
        }
    }
    spans
}

fn cells(line: &str, columns: &[(usize, usize)]) -> Vec<String> {
    let cell = |&(from, to): &(usize, usize)| {
        let text: String = line.chars().skip(from).take(to - from).collect();
        text.trim().to_owned()
    };
    columns.iter().map(cell).collect()
}

/// `11.1±0.01μs` or `2.42k`: value, deviation, unit text.
fn parse(text: &str) -> Option<(f64, Option<f64>, &str)> {
    let (value, rest) = match text.split_once('±') {
        Some((value, rest)) => (value, Some(rest)),
        None => (text, None),
    };
    let cut = |text: &'_ str| {
        text.find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len())
    };
    match rest {
        Some(rest) => {
            let (deviation, unit) = rest.split_at(cut(rest));
            Some((parse_number(value)?, parse_number(deviation), unit))
        }
        None => {
            let (digits, unit) = value.split_at(cut(value));
            Some((parse_number(digits)?, None, unit))
        }
    }
}

fn push_entry(
    name: &str,
    full: &str,
    value: f64,
    deviation: Option<f64>,
    unit: &str,
    collector: &mut MeasurementCollector<'_>,
) {
    let (measure, scale) = match Kind::of(name) {
        Kind::Time => (Measure::LATENCY, Scale::parse_or_custom(unit)),
        kind => (
            kind.measure(),
            Scale {
                unit: kind.unit(),
                factor: prefix(unit),
            },
        ),
    };
    let entry = CollectedEntry {
        estimator: Estimator::Median,
        std_dev: deviation,
        ..CollectedEntry::new(full, measure, scale, value)
    };
    collector.push(entry);
}

/// What a benchmark measures: its function's name says so.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Time,
    Memory,
    PeakMemory,
    Tracked,
}

impl Kind {
    fn of(name: &str) -> Self {
        let function = name.rsplit('.').next().unwrap_or(name);
        match function.split('_').next().unwrap_or_default() {
            "mem" => Self::Memory,
            "peakmem" => Self::PeakMemory,
            "track" => Self::Tracked,
            _ => Self::Time,
        }
    }

    fn measure(self) -> Measure {
        match self {
            Self::Time => Measure::LATENCY,
            Self::Memory => Measure::ALLOCATED_BYTES,
            Self::PeakMemory => Measure::PEAK_MEMORY,
            Self::Tracked => Measure::new("tracked").unwrap_or(Measure::LATENCY),
        }
    }

    fn unit(self) -> Unit {
        match self {
            Self::Time => Unit::Nanoseconds,
            Self::Memory | Self::PeakMemory => Unit::Bytes,
            Self::Tracked => Unit::Ratio,
        }
    }
}

/// asv prints large numbers with a decimal prefix and no unit.
fn prefix(text: &str) -> f64 {
    match text.trim() {
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        _ => 1.0,
    }
}
