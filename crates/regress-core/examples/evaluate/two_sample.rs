//! Five processes against five.
//!
//! Of every benchmark with at least ten processes, ten are drawn without repeats, 50 times per seed; the first five are
//! the base, the others the head. A false alarm is a regression among them as they are; detection is the share of the
//! same draws reported when the head is multiplied by 1.10 or 1.20. Each draw is judged as a run of one benchmark.
//!
//! "processes" are those of process files, each with the median of its iterations. "series" takes the points of
//! unchanged stretches (see [`crate::gate`]) for processes: days, not minutes, lie between them, so they are noisier.

use regress_core::detect::{Pair, Threshold, Verdict, VerdictKind, judge_pairs};
use regress_core::measurement::{BenchmarkId, Direction, Measure, SeriesKey};
use regress_core::stats::rng::Rng;
use serde_json::{Value, json};

use crate::{SEEDS, change_points::round_to_decimals, data::Source, gate::find_stable_stretches};

const SIDE: usize = 5;
const DRAWS: usize = 50;

pub(crate) fn evaluate_two_sample(source: &Source) -> Vec<Value> {
    let processes: Vec<&[f64]> = source.processes.iter().map(Vec::as_slice).collect();
    let series: Vec<&[f64]> = source
        .series()
        .flat_map(|series| find_stable_stretches(&series.values))
        .collect();
    [("processes", &processes), ("series", &series)]
        .iter()
        .filter_map(|(name, samples)| row(name, samples))
        .collect()
}

/// Twenty pairs at most, looked at after each from the fifth on as `benchgate ab` does, against all twenty at once: how many
/// are measured, and what is reported.
pub(crate) fn evaluate_sequential(source: &Source) -> Vec<Value> {
    const PAIRS: usize = 20;
    const FIRST_LOOK: usize = 5;
    let Ok(benchmark) = BenchmarkId::new("drawn") else {
        return Vec::new();
    };
    let key = SeriesKey {
        benchmark,
        measure: Measure::LATENCY,
    };
    let verdict = |before: &[f64], after: &[f64]| {
        let pair = Pair {
            key: key.clone(),
            direction: Direction::SmallerIsBetter,
            before,
            after,
            comparable: true,
            threshold: Threshold::default(),
        };
        judge_pairs(&[pair]).verdicts.remove(0)
    };
    let decided = |verdict: &Verdict| match verdict.kind {
        VerdictKind::Regression | VerdictKind::Improvement => verdict.q.is_none_or(|q| q <= 0.005),
        VerdictKind::Unchanged => verdict.confidence >= 0.9,
        _ => false,
    };
    let measure = |factor: f64| {
        let (mut draws, mut pairs, mut early, mut late) = (0_usize, 0, 0, 0);
        for seed in SEEDS {
            let mut rng = Rng::new(seed);
            for sample in source.processes.iter().filter(|sample| sample.len() >= 2 * PAIRS) {
                let mut drawn = sample.clone();
                rng.shuffle(&mut drawn);
                let before = &drawn[..PAIRS];
                let after: Vec<f64> = drawn[PAIRS..2 * PAIRS]
                    .iter()
                    .map(|value| value * factor)
                    .collect();
                let looks =
                    (FIRST_LOOK..=PAIRS).map(|count| (count, verdict(&before[..count], &after[..count])));
                let all = verdict(before, &after);
                let (count, stopped) = looks
                    .into_iter()
                    .find(|(_, verdict)| decided(verdict))
                    .unwrap_or((PAIRS, all.clone()));
                draws += 1;
                pairs += count;
                early += usize::from(stopped.kind == VerdictKind::Regression);
                late += usize::from(all.kind == VerdictKind::Regression);
            }
        }
        let percent = |count: usize| round_to_decimals(count as f64 / draws as f64 * 100.0, 2);
        (draws > 0).then(|| {
            json!({
                "slower_percent": round_to_decimals((factor - 1.0) * 100.0, 0), "mean_pairs": round_to_decimals(pairs as f64 / draws as f64, 1),
                "reported_percent": percent(early), "reported_after_all_20_percent": percent(late),
            })
        })
    };
    [1.0, 1.1, 1.2].into_iter().filter_map(measure).collect()
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
                    *count += judge_pairs(&[pair]).count_verdicts(VerdictKind::Regression);
                }
            }
        }
    }
    let percent = |count: usize| round_to_decimals(count as f64 / draws as f64 * 100.0, 2);
    (draws > 0).then(|| {
        json!({
            "samples": name, "draws": draws, "false_alarms_percent": percent(reported[0]),
            "detected_percent": { "10": percent(reported[1]), "20": percent(reported[2]) },
        })
    })
}
