//! Comparing end states: the test for equal bits that settles almost every run, and the mask for the rest.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use snippex_blocks::binary::Image;
use snippex_blocks::extract::extract_blocks;
use snippex_core::address_space::place_image;
use snippex_core::block::Block;
use snippex_core::effects::BlockEffects;
use snippex_exec::engine::{Engine, EngineSpec, RunnerEngine};
use snippex_exec::{CaseMaker, MemorySource, RunOutcome};

const STATES: usize = 64;
const BLOCKS: usize = 16;

fn comparison(criterion: &mut Criterion) {
    let bytes = std::fs::read("/bin/bash").expect("bash is installed");
    let image = Image::parse(&bytes).expect("bash is a program file");
    let placement = place_image(&image.address_range(), image.position_independent()).expect("bash is small");
    let index = extract_blocks(&image);
    let step = index.len() / (2 * BLOCKS);
    let blocks: Vec<Arc<Block>> = index
        .iter()
        .step_by(step)
        .filter(|block| block.unrunnable.is_none())
        .take(BLOCKS)
        .map(Arc::new)
        .collect();
    let start = || RunnerEngine::start(EngineSpec::native()).expect("an x86-64 machine");
    let (mut first, mut second) = (start(), start());
    let source = MemorySource::new(Some(&image), placement, 1);
    let groups = CaseMaker::new(source, placement, 1, STATES)
        .make_groups(&blocks, &mut first)
        .expect("it runs");
    let expected = first.run(&groups).expect("it runs");
    let actual = second.run(&groups).expect("it runs");

    let mut group = criterion.benchmark_group("compare");
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements((groups.len() * STATES) as u64));
    group.bench_function("same bits", |bencher| {
        bencher.iter(|| {
            let runs = (0..groups.len()).flat_map(|group| (0..STATES).map(move |state| (group, state)));
            runs.filter(|&(group, state)| expected.same_bits(&actual, group, state))
                .count()
        });
    });
    group.throughput(Throughput::Elements(groups.len() as u64));
    let ends: Vec<_> = (0..groups.len())
        .map(|index| match expected.outcome(index, 0) {
            RunOutcome::Ran(observation) => (groups[index].case_at(0), observation),
            RunOutcome::Unsupported(reason) => panic!("{reason}"),
        })
        .collect();
    group.bench_function("effects and mask", |bencher| {
        bencher.iter(|| {
            for (case, end) in &ends {
                black_box(BlockEffects::new(&case.block).mask_at_endpoint(case, &end.endpoint, &end.state));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, comparison);
criterion_main!(benches);
