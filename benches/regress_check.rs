//! A whole check: every benchmark against its history, and every benchmark as two samples. To hold: 10,000 benchmarks
//! with histories of 30 runs within a second on one core.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use regress_core::detect::{GateSettings, Pair, PastRuns, Threshold, judge_history, judge_pairs};
use regress_core::measurement::{BenchmarkId, Direction, Measure, SeriesKey};
use regress_core::stats::rng::Rng;

const BENCHMARKS: usize = 10_000;

fn noise(rng: &mut Rng, count: usize) -> Vec<f64> {
    (0..count)
        .map(|_| 1000.0 * (0.05 * rng.next_normal()).exp())
        .collect()
}

fn key(index: usize) -> SeriesKey {
    let benchmark =
        BenchmarkId::new(&format!("group/benchmark {index}")).expect("the name is short and printable");
    SeriesKey {
        benchmark,
        measure: Measure::LATENCY,
    }
}

fn check_benches(criterion: &mut Criterion) {
    let mut rng = Rng::new(1);
    let data: Vec<(Vec<f64>, Vec<f64>)> = (0..BENCHMARKS)
        .map(|_| (noise(&mut rng, 30), noise(&mut rng, 2)))
        .collect();
    let pasts: Vec<PastRuns<'_>> = data
        .iter()
        .enumerate()
        .map(|(index, (history, runs))| PastRuns {
            key: key(index),
            direction: Direction::SmallerIsBetter,
            history,
            runs,
            told: None,
            comparable: true,
            threshold: Threshold::default(),
        })
        .collect();
    let pairs: Vec<Pair<'_>> = data
        .iter()
        .enumerate()
        .map(|(index, (history, _))| Pair {
            key: key(index),
            direction: Direction::SmallerIsBetter,
            before: &history[..8],
            after: &history[8..16],
            comparable: true,
            threshold: Threshold::default(),
        })
        .collect();
    let mut group = criterion.benchmark_group("check");
    group.sample_size(10);
    group.bench_function("10000 histories of 30 runs", |bencher| {
        bencher.iter(|| judge_history(black_box(&pasts), &GateSettings::default()));
    });
    group.bench_function("10000 pairs of 8 and 8 processes", |bencher| {
        bencher.iter(|| judge_pairs(black_box(&pairs)));
    });
    group.finish();
}

criterion_group!(benches, check_benches);
criterion_main!(benches);
