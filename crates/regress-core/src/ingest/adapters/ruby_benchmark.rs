//! The table of Ruby's own `benchmark`: `Benchmark.bm` and `bmbm`, under a heading of `user system total real`.
//!
//! `real` is the time on the clock, `total` that of processors, in the process and its children. The rehearsal of `bmbm` is
//! passed over. A report without a label goes by its place.

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::text::{Opened, parse_number};
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Measure, Scale, Unit};

pub(super) struct RubyBenchmark;

impl Adapter for RubyBenchmark {
    fn tool(&self) -> Tool {
        Tool::RubyBenchmark
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        source.shape.is_none() && source.lines().any(|line| is_heading(&line))
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            read_tables(source, collector);
        }
    }
}

fn is_heading(line: &str) -> bool {
    line.split_whitespace().eq(["user", "system", "total", "real"])
}

fn read_tables(source: &Opened<'_>, collector: &mut MeasurementCollector<'_>) {
    let (mut within, mut place) = (false, 0);
    for line in source.lines() {
        if is_heading(&line) {
            (within, place) = (true, 0);
            continue;
        }
        let Some(row) = parse(&line).filter(|_| within) else {
            continue;
        };
        place += 1;
        let name = match row.label {
            "" => format!("report {place}"),
            label => label.to_owned(),
        };
        let seconds = Scale {
            unit: Unit::Nanoseconds,
            factor: 1e9,
        };
        collector.push(CollectedEntry::new(
            &name,
            Measure::LATENCY,
            seconds.clone(),
            row.real,
        ));
        collector.push(CollectedEntry::new(&name, Measure::CPU_TIME, seconds, row.total));
    }
}

/// A line of the table, in seconds.
struct ReportLine<'a> {
    label: &'a str,
    total: f64,
    real: f64,
}

/// `for:           0.031790   0.000000   0.031790 (  0.033315)`
fn parse(line: &str) -> Option<ReportLine<'_>> {
    let (before, real) = line.trim_end().strip_suffix(')')?.rsplit_once('(')?;
    let (before, total) = last_word(before)?;
    let (before, system) = last_word(before)?;
    let (label, user) = last_word(before).unwrap_or(("", before.trim()));
    parse_number(user).zip(parse_number(system))?;
    Some(ReportLine {
        label: label.trim().trim_end_matches(':'),
        total: parse_number(total)?,
        real: parse_number(real)?,
    })
}

/// What comes before the last word, and that.
fn last_word(text: &str) -> Option<(&str, &str)> {
    text.trim_end().rsplit_once(char::is_whitespace)
}
