//! Measures what a run costs in the process for batches, in a fresh one, and in one that is started for it:
//! `cargo run --release -p snippex-exec --example measure_fresh`.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{Case, Placement};
use snippex_core::group::Group;
use snippex_core::state::MachineState;
use snippex_exec::affinity;
use snippex_exec::engine::{Engine, EngineError, EngineSpec, RunnerEngine};

/// A way to run, and how often it is measured.
type Way = (
    &'static str,
    usize,
    fn(&mut RunnerEngine, &[Group]) -> Result<(), EngineError>,
);

const WAYS: [Way; 3] = [
    ("process for batches", 2000, |engine, groups| {
        engine.run(groups).map(|_| ())
    }),
    ("fresh process", 1000, |engine, groups| {
        engine.run_fresh(groups).map(|_| ())
    }),
    ("started process", 100, |engine, groups| {
        engine.restart()?;
        engine.run(groups).map(|_| ())
    }),
];

fn main() -> Result<(), Box<dyn Error>> {
    // inc rax
    let block = Block {
        address: 0x1000,
        bytes: vec![0x48, 0xff, 0xc0],
        instruction_count: 1,
        terminator: Terminator::FallThrough,
        successors: vec![],
        origin: Origin::Entry,
        unrunnable: None,
    };
    let groups = [Group::from_case(&Case {
        block: Arc::new(block),
        placement: Placement {
            image_base: 0x2_0000_0000,
            code_base: 0x2_4000_0000,
        },
        state: MachineState::default(),
        pages: [].into(),
    })];
    affinity::stay_here();
    for spec in [EngineSpec::native(), EngineSpec::from_preset("qemu-x86_64")?] {
        let mut engine = RunnerEngine::start(spec)?;
        for (name, count, run) in WAYS {
            let mut times = Vec::with_capacity(count);
            for _ in 0..count {
                let started = Instant::now();
                run(&mut engine, &groups)?;
                times.push(started.elapsed().as_micros());
            }
            times.sort_unstable();
            let engine = &engine.identity().name;
            println!("{engine:12} {name:20} median {:6} us", times[count / 2]);
        }
    }
    Ok(())
}
