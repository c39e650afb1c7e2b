//! Five processes against five.
//!
//! Of every benchmark with at least ten processes, ten are drawn without repeats, 50 times per seed; the first five are
//! the base, the others the head. A false alarm is a regression among them as they are; detection is the share of the
//! same draws reported when the head is multiplied by 1.10 or 1.20. Each draw is judged as a run of one benchmark.
//!
//! "processes" are those of process files, each with the median of its iterations. "series" takes the points of
//! unchanged stretches (see [`crate::gate`]) for processes: days, not minutes, lie between them, so they are noisier.

use regress_core::detect::{Pair, Threshold, VerdictKind, judge};
use regress_core::measurement::{BenchmarkId, Direction, Measure, SeriesKey};
use regress_core::stats::rng::Rng;
use serde_json::{Value, json};

use crate::{SEEDS, change_points::round, data::Source, gate::stretches};

const SIDE: usize = 5;
const DRAWS: usize = 50;

pub(crate) fn rows(source: &Source) -> Vec<Value> {
    let processes: Vec<&[f64]> = source.processes.iter().map(Vec::as_slice).collect();
    let series: Vec<&[f64]> = source
        .series()
        .flat_map(|series| stretches(&series.values))
        .collect();
    [("processes", &processes), ("series", &series)]
        .iter()
        .filter_map(|(name, samples)| row(name, samples))
        .collect()
}

fn row(name: &str, samples: &[&[f64]]) -> Option<Value> {
    let key = SeriesKey {
        benchmark: BenchmarkId::new("drawn").ok()?,
        measure: Measure::LATENCY,
    };
    let (mut draws, mut reported) = (0_usize, [0_usize; 3]);
    for seed in SEEDS {
        let mut rng = Rng::new(seed);
        for sample in samples.iter().filter(|sample| sample.len() >= 2 * SIDE) {
            for _ in 0..DRAWS {
                let mut drawn = sample.to_vec();
                rng.shuffle(&mut drawn);
                draws += 1;
                for (count, factor) in reported.iter_mut().zip([1.0, 1.1, 1.2]) {
                    let after: Vec<f64> = drawn[SIDE..2 * SIDE].iter().map(|value| value * factor).collect();
                    let pair = Pair {
                        key: key.clone(),
                        direction: Direction::SmallerIsBetter,
                        before: &drawn[..SIDE],
                        after: &after,
                        comparable: true,
                        threshold: Threshold::default(),
                    };
                    *count += judge(&[pair]).count(VerdictKind::Regression);
                }
            }
        }
    }
    let percent = |count: usize| round(count as f64 / draws as f64 * 100.0, 2);
    (draws > 0).then(|| {
        json!({
            "samples": name, "draws": draws, "false_alarms_percent": percent(reported[0]),
            "detected_percent": { "10": percent(reported[1]), "20": percent(reported[2]) },
        })
    })
}
