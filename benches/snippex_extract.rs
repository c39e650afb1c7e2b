//! Finding the blocks of a file. To hold: libcrypto within a second on one core.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use snippex_blocks::binary::Image;
use snippex_blocks::extract::extract_blocks;

fn extraction(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("extract");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    for path in ["/bin/bash", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3"] {
        let bytes = std::fs::read(path).expect("the file is part of the distribution");
        let name = path.rsplit('/').next().expect("a path has a last part");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let image = Image::parse(black_box(&bytes)).expect("a program file");
                extract_blocks(&image).len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, extraction);
criterion_main!(benches);
