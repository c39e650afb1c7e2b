//! iai's and gungraun's (iai-callgrind's) output for people: a name, then indented `Label:  new|old (change)`.
//!
//! A name is `module::group::function id:arguments`; the arguments may run over several lines, so that only what
//! stands before the first colon after the identifier counts, which is also the name of the JSON summary. Counts
//! of the same label from other tools than callgrind and DHAT get the tool's name in front.

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::text::{Opened, parse_number, slug_from_label};
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Direction, Measure, ProblemKind, Scale, Unit};

pub(super) struct Iai;

impl Adapter for Iai {
    fn tool(&self) -> Tool {
        Tool::Iai
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        source
            .lines()
            .any(|line| metric(&line).is_some_and(|(label, _)| KNOWN.contains(&label)))
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

/// Labels that tell the format.
const KNOWN: &[&str] = &[
    "Instructions",
    "Estimated Cycles",
    "Total bytes",
    "L1 Hits",
    "L1 Accesses",
    "LL Hits",
];

fn read_lines(source: &Opened<'_>, collector: &mut MeasurementCollector<'_>) {
    let mut name: Option<String> = None;
    let mut section = String::new();
    let mut in_metrics = false;
    for line in source.lines() {
        let line = line.trim_end();
        if line.is_empty() {
            name = None;
        } else if let Some(title) = line.strip_prefix("  =======") {
            section = slug_from_label(title);
            in_metrics = true;
        } else if let Some((label, value)) = metric(line) {
            in_metrics = true;
            if let Some(name) = &name {
                push_entry(name, &section, label, value, collector);
            }
        } else if !line.starts_with(' ') && (in_metrics || name.is_none()) {
            in_metrics = false;
            section.clear();
            name = Some(without_arguments(line).to_owned());
        }
    }
}

/// `module::function id:arguments` to `module::function id`.
fn without_arguments(line: &str) -> &str {
    let Some((function, id)) = line.split_once(' ') else {
        return line;
    };
    let id = id.split(':').next().unwrap_or(id);
    line[..function.len() + 1 + id.len()].trim_end()
}

/// `  Label:   value`, indented by two.
fn metric(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '))?;
    let (label, value) = line.split_once(':')?;
    let value = value.trim();
    let starts_well = value.starts_with(|c: char| c.is_ascii_digit()) || value.starts_with("N/A|");
    starts_well.then_some((label, value))
}

fn push_entry(name: &str, section: &str, label: &str, value: &str, collector: &mut MeasurementCollector<'_>) {
    let new = value.split(['|', ' ']).next().unwrap_or(value);
    let measure = measure_of(section, label);
    match parse_number(new) {
        Some(value) => admit_count(name, &measure, value, collector),
        None => collector.report_entry_problem(
            name,
            ProblemKind::Missing,
            format!("{measure} was not measured in this run"),
        ),
    }
}

/// The measure of a label under a tool's heading.
fn measure_of(section: &str, label: &str) -> String {
    match section {
        "" | "callgrind" | "dhat" => slug_from_label(label),
        tool => format!("{tool}-{}", slug_from_label(label)),
    }
}

/// Takes a count in; bytes and rates are told by the measure's name. Shared with the JSON summaries.
pub(super) fn admit_count(name: &str, measure: &str, value: f64, collector: &mut MeasurementCollector<'_>) {
    let scale = if measure.ends_with("rate") {
        Scale {
            unit: Unit::Ratio,
            factor: 0.01,
        }
    } else if measure.ends_with("bytes") {
        Scale::from_base_unit(Unit::Bytes)
    } else {
        Scale::from_base_unit(Unit::Count)
    };
    let direction = if measure.ends_with("hit-rate") {
        Direction::BiggerIsBetter
    } else {
        Direction::SmallerIsBetter
    };
    match Measure::new(measure) {
        Ok(measure) => collector.push(CollectedEntry {
            direction: Some(direction),
            ..CollectedEntry::new(name, measure, scale, value)
        }),
        Err(error) => collector.report_entry_problem(name, ProblemKind::BadName, error.to_string()),
    }
}
