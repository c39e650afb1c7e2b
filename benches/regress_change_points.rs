//! Change points of one history. To hold: 1000 points within 5 ms.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use regress_core::detect::{ChangePointSettings, change_points};
use regress_core::stats::rng::Rng;

/// Log-normal noise of 5 % with a step of 10 % in the middle, or without.
fn history(points: usize, step: f64) -> Vec<f64> {
    let mut rng = Rng::new(1);
    (0..points)
        .map(|i| 1000.0 * (0.05 * rng.next_normal()).exp() * if i < points / 2 { 1.0 } else { step })
        .collect()
}

fn change_point_benches(criterion: &mut Criterion) {
    let settings = ChangePointSettings::default();
    let mut group = criterion.benchmark_group("change_points");
    group.sample_size(20);
    for (name, values) in [
        ("30 points", history(30, 1.0)),
        ("100 points", history(100, 1.1)),
        ("1000 points", history(1000, 1.0)),
        ("1000 points, one step", history(1000, 1.1)),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| change_points(black_box(&values), &settings));
        });
    }
    group.finish();
}

criterion_group!(benches, change_point_benches);
criterion_main!(benches);
