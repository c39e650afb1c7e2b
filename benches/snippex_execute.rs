//! Running blocks: bash's blocks at 64 states each, complete state, memory reset and compared, one core. To hold on a
//! quiet machine: native 1.5 M runs/s, qemu-x86_64 300 k runs/s. Criterion's "elem/s" are runs/s.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use snippex_blocks::binary::Image;
use snippex_blocks::extract::extract_blocks;
use snippex_core::address_space::place_image;
use snippex_core::block::Block;
use snippex_core::group::Group;
use snippex_exec::batch::split_into_batches;
use snippex_exec::engine::{Engine, EngineSpec, RunnerEngine};
use snippex_exec::{CaseMaker, MemorySource, Results, affinity};

const STATES: usize = 64;
/// Blocks in a batch, as in a check.
const BATCH: usize = 16;
/// Batches; their blocks are spread over the whole file.
const BATCHES: usize = 32;

/// Batches of groups from all over bash, their pages found.
fn batches(native: &mut RunnerEngine) -> Vec<Vec<Group>> {
    let bytes = std::fs::read("/bin/bash").expect("bash is installed");
    let image = Image::parse(&bytes).expect("bash is a program file");
    let placement = place_image(&image.address_range(), image.position_independent()).expect("bash is small");
    let mut maker = CaseMaker::new(
        MemorySource::new(Some(&image), placement, 1),
        placement,
        1,
        STATES,
    );
    let index = extract_blocks(&image);
    let blocks: Vec<Arc<Block>> = index
        .iter()
        .filter(|block| block.unrunnable.is_none())
        .map(Arc::new)
        .collect();
    let step = blocks.len() / (BATCH * BATCHES);
    let chosen: Vec<_> = blocks.into_iter().step_by(step).take(BATCH * BATCHES).collect();
    (0..BATCHES)
        .flat_map(|batch| {
            let blocks: Vec<_> = chosen.iter().skip(batch).step_by(BATCHES).cloned().collect();
            let groups = maker
                .make_groups(&blocks, native)
                .expect("the native engine runs");
            split_into_batches(&groups)
                .into_iter()
                .map(|range| groups[range].to_vec())
                .collect::<Vec<_>>()
        })
        .collect()
}

fn execution(criterion: &mut Criterion) {
    affinity::stay_here();
    let mut native = RunnerEngine::start(EngineSpec::native()).expect("an x86-64 machine");
    let batches = batches(&mut native);
    let runs: usize = batches.iter().flatten().map(|group| group.starts.len()).sum();
    let qemu = EngineSpec::from_preset("qemu-x86_64").expect("install it: cargo xtask demo does");
    let qemu = RunnerEngine::start(qemu).expect("qemu-x86_64 runs the runner");

    let mut group = criterion.benchmark_group("execute");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5))
        .throughput(Throughput::Elements(runs as u64));
    for mut engine in [native, qemu] {
        let name = engine.identity().name.clone();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for batch in &batches {
                    engine.run(batch).expect("the engine runs");
                }
            });
        });
    }
    group.finish();
}

/// What it costs that results outlive their batch: read where the guest left them, copied, and copied and encoded as a
/// recording or another host gets them. The three are to be compared with each other within one run.
fn results(criterion: &mut Criterion) {
    affinity::stay_here();
    let mut native = RunnerEngine::start(EngineSpec::native()).expect("an x86-64 machine");
    let batches = batches(&mut native);
    let runs: usize = batches.iter().flatten().map(|group| group.starts.len()).sum();
    let mut group = criterion.benchmark_group("results");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5))
        .throughput(Throughput::Elements(runs as u64));
    let mut measure = |name: &str, use_results: fn(&Results<'_>) -> usize| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let each = |batch: &Vec<Group>| use_results(&native.run(batch).expect("the engine runs"));
                batches.iter().map(each).sum::<usize>()
            });
        });
    };
    measure("borrowed", |_| 0);
    measure("owned", |results| {
        size_of_val(&black_box(results.to_owned_results()))
    });
    measure("encoded", |results| results.to_owned_results().encode().len());
    group.finish();
}

criterion_group!(benches, execution, results);
criterion_main!(benches);
