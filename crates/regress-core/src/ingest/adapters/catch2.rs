//! Catch2's benchmark table: three lines per benchmark, of which the first has the name, samples, iterations and
//! the estimate of the time it takes, the second mean, low mean and high mean, the third standard deviations.
//!
//! A long name goes on in the second line's first column. The test case above the table is put in front of the
//! name, as several test cases may repeat one. Lines of the table are cut where at least two spaces stand.

use std::borrow::Cow;

use crate::ingest::door::{Door, Entry};
use crate::ingest::text::{Opened, number};
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

    fn read(&self, sources: &[&Opened<'_>], door: &mut Door<'_>) {
        for source in sources {
            door.enter(source.path);
            read_lines(source, door);
        }
    }
}

fn is_heading(line: &str) -> bool {
    line.starts_with("benchmark name ") && line.contains("samples") && line.contains("iterations")
}

fn is_rule(line: &str) -> bool {
    line.len() > 20 && line.bytes().all(|b| b == b'-')
}

/// The test case and its sections between two rules, and how many lines it takes.
fn title(lines: &[Cow<'_, str>]) -> Option<(String, usize)> {
    let end = lines.iter().take(12).position(|line| is_rule(line.trim_end()))?;
    let parts: Vec<&str> = lines[..end].iter().map(|line| line.trim()).collect();
    let is_title = !parts.is_empty() && parts.iter().all(|part| !part.is_empty());
    is_title.then(|| (parts.join("/"), end + 1))
}

fn read_lines(source: &Opened<'_>, door: &mut Door<'_>) {
    let lines: Vec<_> = source.lines().collect();
    let mut in_table = false;
    let mut case = String::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        at += 1;
        if is_heading(line) {
            in_table = true;
            at += 3;
        } else if is_rule(line.trim_end()) {
            in_table = false;
            if let Some((title, length)) = title(&lines[at..]) {
                case = title;
                at += length;
            }
        } else if in_table && let Some((name, samples)) = first_line(line) {
            let name = format!("{case}::{name}");
            let (second, third) = (lines.get(at), lines.get(at + 1));
            match second.and_then(|line| times(line)) {
                Some((more, means)) => {
                    let deviation = third.and_then(|line| times(line)).map(|(_, times)| times[0]);
                    admit(&format!("{name} {more}"), samples, means, deviation, door);
                    at += 2;
                }
                None => door.report(&name, ProblemKind::Failed, second.map_or("", |line| line.trim())),
            }
        }
    }
}

/// `Fibonacci 10      100      76353      7.1968 ms`: name and samples.
fn first_line(line: &str) -> Option<(&str, u64)> {
    let mut from_end = line.trim_end().rsplit(' ').filter(|word| !word.is_empty());
    Scale::parse(from_end.next()?)?;
    number(from_end.next()?)?;
    from_end.next()?.parse::<u64>().ok()?;
    let samples = from_end.next()?;
    let name = line.split("  ").next()?.trim();
    Some((name, samples.parse().ok()?)).filter(|(name, _)| !name.is_empty())
}

/// The three times of a line and what stands before them.
fn times(line: &str) -> Option<(String, [f64; 3])> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let start = words.len().checked_sub(6)?;
    let time = |at: usize| {
        let scale = Scale::parse(words.get(at + 1)?).filter(|scale| scale.unit == Unit::Nanoseconds)?;
        Some(number(words.get(at)?)? * scale.factor)
    };
    Some((
        words[..start].join(" "),
        [time(start)?, time(start + 2)?, time(start + 4)?],
    ))
}

fn admit(name: &str, samples: u64, means: [f64; 3], deviation: Option<f64>, door: &mut Door<'_>) {
    let [mean, low, high] = means;
    door.admit(Entry {
        estimator: Estimator::Mean,
        std_dev: deviation,
        interval: Some(Interval {
            low,
            high,
            level: Some(0.95),
        }),
        samples: Some(samples),
        ..Entry::new(
            name.trim(),
            Measure::LATENCY,
            Scale::base(Unit::Nanoseconds),
            mean,
        )
    });
}
