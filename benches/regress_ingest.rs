//! Reading Criterion's tree: a thousand benchmarks with a hundred samples each. To hold: within a second.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use regress_core::ingest::{IngestOptions, ResultSource, ingest_results};

const BENCHMARKS: usize = 1000;

/// The three files that Criterion writes for a benchmark and that ingest reads, made from one real result.
fn tree() -> Vec<(String, Vec<u8>)> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../fixtures/criterion/criterion/flat/fib 25/new"
    );
    let read = |name: &str| {
        std::fs::read_to_string(format!("{folder}/{name}")).expect("the fixture is in the repository")
    };
    let files = ["benchmark.json", "estimates.json", "sample.json"].map(|name| (name, read(name)));
    let of_one = |index: usize| {
        files.iter().map(move |(name, text)| {
            let path = format!("target/criterion/flat/fib {index}/new/{name}");
            (path, text.replace("fib 25", &format!("fib {index}")).into_bytes())
        })
    };
    (0..BENCHMARKS).flat_map(of_one).collect()
}

fn ingest_benches(criterion: &mut Criterion) {
    let files = tree();
    let sources: Vec<ResultSource<'_>> = files
        .iter()
        .map(|(path, bytes)| ResultSource { path, bytes })
        .collect();
    let options = IngestOptions::default();
    let read = ingest_results(&sources, &options);
    let count: usize = read.processes.iter().map(|run| run.measurements.len()).sum();
    assert_eq!(count, BENCHMARKS, "every benchmark is read");
    let mut group = criterion.benchmark_group("ingest");
    group.sample_size(10);
    group.bench_function("1000 Criterion benchmarks", |bencher| {
        bencher.iter(|| ingest_results(black_box(&sources), &options));
    });
    group.finish();
}

criterion_group!(benches, ingest_benches);
criterion_main!(benches);
