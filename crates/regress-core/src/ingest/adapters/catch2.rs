//! Catch2's benchmark table: three lines per benchmark, of which the first has the name, samples, iterations and
//! the estimate of the time it takes, the second mean, low mean and high mean, the third standard deviations.
//!
//! A long name is broken at spaces, and the numbers stand behind its last part; it may also go on in the second line's first
//! column. A benchmark that failed has `Benchmark failed (why)` in place of its numbers. The test case above the table is put in front of the
//! name, as several test cases may repeat one. Lines of the table are cut where at least two spaces stand.

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::text::{Opened, parse_number};
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Estimator, Interval, Measure, ProblemKind, Scale, Unit};

pub(super) struct Catch2;

impl Adapter for Catch2 {
    fn tool(&self) -> Tool {
        Tool::Catch2
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        source.lines().any(|line| is_heading(&line))
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            read_lines(source, collector);
        }
    }
}

fn is_heading(line: &str) -> bool {
    line.starts_with("benchmark name ") && line.contains("samples") && line.contains("iterations")
}

fn is_rule(line: &str) -> bool {
    line.len() > 20 && line.bytes().all(|b| b == b'-')
}

/// Where in the output a line stands.
enum Place {
    Outside,
    /// Below a rule: the test case and its sections, until the next rule.
    Title(Vec<String>),
    /// In the heading, with so many lines to go.
    Heading(u8),
    /// In the table, with the parts of a name so far whose numbers have not come.
    Table(Vec<String>),
    /// Below a benchmark's first line.
    Means(String, u64),
    /// Below its second.
    Deviations(String, u64, [f64; 3]),
}

/// Lines over which a name may go.
const MAX_NAME_LINES: usize = 32;

fn read_lines(source: &Opened<'_>, collector: &mut MeasurementCollector<'_>) {
    let mut place = Place::Outside;
    let mut case = String::new();
    for line in source.lines() {
        // The table is as wide as the terminal, other lines are not.
        let padded = line.ends_with(' ');
        let line = line.trim_end();
        place = match place {
            Place::Title(parts) if is_rule(line) => {
                case = parts.join("/");
                Place::Outside
            }
            Place::Title(mut parts) if !line.is_empty() && parts.len() < 12 => {
                parts.push(line.trim().to_owned());
                Place::Title(parts)
            }
            Place::Heading(1) => Place::Table(Vec::new()),
            Place::Heading(left) => Place::Heading(left - 1),
            Place::Means(name, samples) => match times(line) {
                Some((more, means)) => Place::Deviations(format!("{name} {more}"), samples, means),
                None => {
                    collector.report_entry_problem(&name, ProblemKind::Failed, line.trim());
                    Place::Table(Vec::new())
                }
            },
            Place::Deviations(name, samples, means) => {
                push_entry(
                    &name,
                    samples,
                    means,
                    times(line).map(|(_, deviations)| deviations[0]),
                    collector,
                );
                Place::Table(Vec::new())
            }
            _ if is_heading(line) => Place::Heading(3),
            _ if is_rule(line) => Place::Title(Vec::new()),
            Place::Table(mut parts) => {
                if let Some((name, samples)) = first_line(line) {
                    parts.push(name.to_owned());
                    Place::Means(format!("{case}::{}", parts.join(" ")), samples)
                } else if let Some((name, why)) = failure(line) {
                    parts.push(name.to_owned());
                    let name = format!("{case}::{}", parts.join(" "));
                    collector.report_entry_problem(&name, ProblemKind::Failed, why);
                    Place::Table(Vec::new())
                } else {
                    match line.trim() {
                        "" => parts.clear(),
                        // What the program prints between two benchmarks is no part of a name.
                        _ if !padded => {}
                        _ if parts.len() >= MAX_NAME_LINES => parts.clear(),
                        part => parts.push(part.to_owned()),
                    }
                    Place::Table(parts)
                }
            }
            Place::Outside | Place::Title(_) => Place::Outside,
        };
    }
    match place {
        Place::Means(name, _) => {
            collector.report_entry_problem(&name, ProblemKind::Missing, "the output ends before its mean");
        }
        Place::Deviations(name, samples, means) => push_entry(&name, samples, means, None, collector),
        _ => {}
    }
}

/// `Fibonacci 10      100      76353      7.1968 ms`: name and samples.
fn first_line(line: &str) -> Option<(&str, u64)> {
    let mut from_end = line.trim_end().rsplit(' ').filter(|word| !word.is_empty());
    Scale::parse(from_end.next()?)?;
    parse_number(from_end.next()?)?;
    from_end.next()?.parse::<u64>().ok()?;
    let samples = from_end.next()?;
    let name = line.split("  ").next()?.trim();
    Some((name, samples.parse().ok()?)).filter(|(name, _)| !name.is_empty())
}

/// `parse      Benchmark failed (no such file)`: name and why.
fn failure(line: &str) -> Option<(&str, &str)> {
    let (name, why) = line.split_once("  ")?;
    let why = why.trim().strip_prefix("Benchmark failed (")?;
    Some((name.trim(), why.strip_suffix(')').unwrap_or(why)))
}

/// The three times of a line and what stands before them.
fn times(line: &str) -> Option<(String, [f64; 3])> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let start = words.len().checked_sub(6)?;
    let time = |at: usize| {
        let scale = Scale::parse(words.get(at + 1)?).filter(|scale| scale.unit == Unit::Nanoseconds)?;
        Some(parse_number(words.get(at)?)? * scale.factor)
    };
    Some((
        words[..start].join(" "),
        [time(start)?, time(start + 2)?, time(start + 4)?],
    ))
}

fn push_entry(
    name: &str,
    samples: u64,
    means: [f64; 3],
    deviation: Option<f64>,
    collector: &mut MeasurementCollector<'_>,
) {
    let [mean, low, high] = means;
    collector.push(CollectedEntry {
        estimator: Estimator::Mean,
        std_dev: deviation,
        interval: Some(Interval {
            low,
            high,
            level: Some(0.95),
        }),
        samples: Some(samples),
        ..CollectedEntry::new(
            name.trim(),
            Measure::LATENCY,
            Scale::from_base_unit(Unit::Nanoseconds),
            mean,
        )
    });
}
