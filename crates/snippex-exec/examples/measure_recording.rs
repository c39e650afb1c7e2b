//! What a recording costs: its size, and the time beside a run that records nothing.
//!
//! `cargo run --release --workspace --example measure_recording -- [PROGRAM [STEP]]` takes every STEP-th block.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use snippex_blocks::binary::Image;
use snippex_blocks::extract::extract_blocks;
use snippex_core::address_space::place_image;
use snippex_exec::batch::split_into_batches;
use snippex_exec::engine::{Engine, EngineSpec, RunnerEngine};
use snippex_exec::recording::{About, RecordedEngine, RecordedSource, Recorder, Recording};
use snippex_exec::{CaseMaker, MemorySource};

const STATES: u32 = 64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "/bin/bash".into());
    let step: usize = arguments.next().map_or(Ok(1), |step| step.parse())?;
    let bytes = std::fs::read(&path)?;
    let image = Image::parse(&bytes)?;
    let placement = place_image(&image.address_range(), image.position_independent())?;
    let index = extract_blocks(&image);
    let blocks = index.iter().filter(|block| block.unrunnable.is_none());
    let blocks: Vec<_> = blocks.step_by(step).map(Arc::new).collect();
    let runs = blocks.len() as u64 * u64::from(STATES);
    let rate = |took: Duration| runs as f64 / took.as_secs_f64();

    let mut engine = RunnerEngine::start(EngineSpec::native())?;
    let about = About {
        snippex: env!("CARGO_PKG_VERSION").to_owned(),
        engine: engine.identity().clone(),
        source: RecordedSource::Program { name: path },
        placement,
        seed: 1,
        states: STATES,
    };
    let maker = || {
        CaseMaker::new(
            MemorySource::new(Some(&image), placement, 1),
            placement,
            1,
            STATES as usize,
        )
    };
    let run = |engine: &mut dyn Engine| -> Result<Duration, Box<dyn std::error::Error>> {
        let started = Instant::now();
        let mut maker = maker();
        let batches = blocks.len().div_ceil(32);
        for batch in 0..batches {
            let chosen: Vec<_> = (blocks.iter().skip(batch).step_by(batches))
                .map(Arc::clone)
                .collect();
            let groups = maker.make_groups(&chosen, engine)?;
            for range in split_into_batches(&groups) {
                engine.run(&groups[range])?;
            }
        }
        Ok(started.elapsed())
    };
    let alone = run(&mut engine)?;
    let recorder = Recorder {
        about: &about,
        program: Some((&image, &bytes)),
        engine: &|| Ok(Box::new(RunnerEngine::start(EngineSpec::native())?)),
        threads: 1,
        progress: &|_| {},
        cancel: &AtomicBool::new(false),
    };
    let started = Instant::now();
    let (file, recorded) = recorder.record(&blocks, Vec::new())?;
    let recording = started.elapsed();
    let read = run(&mut RecordedEngine::new(Arc::new(Recording::of_bytes(file)?)))?;
    println!("{runs} runs on one thread");
    println!("run:    {:.0} runs/s", rate(alone));
    println!(
        "record: {:.0} runs/s, {:.2} of that",
        rate(recording),
        alone.as_secs_f64() / recording.as_secs_f64()
    );
    println!(
        "read:   {:.0} runs/s, {:.2} of that",
        rate(read),
        alone.as_secs_f64() / read.as_secs_f64()
    );
    println!(
        "{} bytes, {:.2} a run",
        recorded.bytes,
        recorded.bytes as f64 / runs as f64
    );
    Ok(())
}
