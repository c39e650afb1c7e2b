//! JavaScript's timers, `console.timeEnd('sort')`: `sort: 19.047ms`, `1.445s`, `1:05.123 (m:ss.mmm)`.
//!
//! Any program may print such lines, so that the tool has to be named. Of what `console.timeLog` prints on the way to
//! `timeEnd` only the last line of a timer counts.

use std::collections::BTreeMap;

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::text::{Opened, parse_number};
use crate::ingest::{Adapter, Tool};

pub(super) struct ConsoleTime;

impl Adapter for ConsoleTime {
    fn tool(&self) -> Tool {
        Tool::ConsoleTime
    }

    fn recognises(&self, _source: &Opened<'_>) -> bool {
        false
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            let mut timers: BTreeMap<String, f64> = BTreeMap::new();
            let mut order = Vec::new();
            for line in source.lines() {
                let Some((name, milliseconds)) = parse(&line) else {
                    continue;
                };
                if timers.insert(name.to_owned(), milliseconds).is_none() {
                    order.push(name.to_owned());
                }
            }
            for name in order {
                let value = timers.get(&name).copied().unwrap_or(f64::NAN);
                collector.push(CollectedEntry::from_time(&name, 1e6, value));
            }
        }
    }
}

/// The timer's label, and milliseconds.
fn parse(line: &str) -> Option<(&str, f64)> {
    // A label may hold colons, and so may the time: the label ends before the first one that a time follows.
    line.match_indices(": ").find_map(|(at, _)| {
        let (name, rest) = (line[..at].trim(), &line[at + 2..]);
        Some((name, time(rest.split_whitespace().next()?)?)).filter(|(name, _)| !name.is_empty())
    })
}

fn time(word: &str) -> Option<f64> {
    if let Some(value) = word.strip_suffix("ms") {
        return parse_number(value);
    }
    if let Some(value) = word.strip_suffix('s') {
        return Some(parse_number(value)? * 1e3);
    }
    // Minutes and seconds, or hours before them.
    if !word.contains(':') {
        return None;
    }
    let seconds = word
        .split(':')
        .try_fold(0.0, |sum, part| Some(sum * 60.0 + parse_number(part)?))?;
    Some(seconds * 1e3)
}
