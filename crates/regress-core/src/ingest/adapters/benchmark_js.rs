//! benchmark.js's line of a finished benchmark: `NAME x 5,596,749 ops/sec ±75.94% (6 runs sampled)`.
//!
//! What follows `±` is the margin of error of the mean, at 95 %. A benchmark that threw has a line of its name alone, which
//! cannot be told from what else a script prints: it is missing, and a gate says so by its baseline.

use crate::ingest::collector::{CollectedEntry, MeasurementCollector};
use crate::ingest::text::{Opened, parse_number};
use crate::ingest::{Adapter, Tool};
use crate::measurement::{Estimator, Interval, Measure, Scale, Unit};

pub(super) struct BenchmarkJs;

impl Adapter for BenchmarkJs {
    fn tool(&self) -> Tool {
        Tool::BenchmarkJs
    }

    fn recognises(&self, source: &Opened<'_>) -> bool {
        source.shape.is_none() && source.lines().any(|line| parse(&line).is_some())
    }

    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>) {
        for source in sources {
            collector.set_source(source.path);
            for line in source.lines() {
                let Some(cycle) = parse(&line) else { continue };
                let scale = Scale::from_base_unit(Unit::OperationsPerSecond);
                collector.push(CollectedEntry {
                    estimator: Estimator::Mean,
                    interval: cycle.interval,
                    samples: cycle.samples,
                    ..CollectedEntry::new(cycle.name, Measure::THROUGHPUT, scale, cycle.rate)
                });
            }
        }
    }
}

/// A finished benchmark.
struct Cycle<'a> {
    name: &'a str,
    rate: f64,
    interval: Option<Interval>,
    samples: Option<u64>,
}

fn parse(line: &str) -> Option<Cycle<'_>> {
    let (before, after) = line.split_once(" ops/sec")?;
    let (name, rate) = before.rsplit_once(" x ")?;
    let rate = parse_number(rate)?;
    let margin = after
        .split_once('±')
        .and_then(|(_, rest)| parse_number(rest.split('%').next()?));
    // Beyond 100 % there is no lower end that a rate can have.
    let margin = margin.filter(|margin| (0.0..100.0).contains(margin));
    let samples = after
        .split_once('(')
        .and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    Some(Cycle {
        name: name.trim(),
        rate,
        interval: margin.map(|percent| Interval {
            level: Some(0.95),
            low: rate * (1.0 - percent / 100.0),
            high: rate * (1.0 + percent / 100.0),
        }),
        samples,
    })
}
