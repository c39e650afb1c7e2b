//! Results that own their bytes say what the engine's own say, as fast, and survive being written and read.
#![expect(clippy::unwrap_used, reason = "a test, its helpers included")]

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use snippex_blocks::binary::Image;
use snippex_blocks::extract::extract_blocks;
use snippex_core::address_space::place_image;
use snippex_core::block::Block;
use snippex_core::group::Group;
use snippex_core::seed::Style;
use snippex_exec::batch::split_into_batches;
use snippex_exec::check::{BlockReport, CheckJob, CheckOptions, CheckReport, EngineFactory, check_blocks};
use snippex_exec::engine::{Engine, EngineError, EngineIdentity, EngineSpec, MockEngine, RunnerEngine};
use snippex_exec::{CaseMaker, MemorySource, OwnedResults, Results, ResultsError};

const STATES: usize = 24;

fn native() -> Box<dyn Engine> {
    Box::new(RunnerEngine::start(EngineSpec::native()).unwrap())
}

fn qemu() -> Box<dyn Engine> {
    let spec = EngineSpec::from_preset("qemu-x86_64").expect("install it: cargo xtask test does");
    Box::new(RunnerEngine::start(spec).unwrap())
}

/// Every block of `program` that can run, and the groups of a few from all over it.
fn with_blocks<T>(work: impl FnOnce(&Image<'_>, &[Arc<Block>]) -> T) -> T {
    let bytes = std::fs::read("/bin/bash").unwrap();
    let image = Image::parse(&bytes).unwrap();
    let index = extract_blocks(&image);
    let blocks: Vec<_> = index
        .iter()
        .filter(|block| block.unrunnable.is_none())
        .step_by(97)
        .take(320)
        .map(Arc::new)
        .collect();
    work(&image, &blocks)
}

fn batches() -> Vec<Vec<Group>> {
    with_blocks(|image, blocks| {
        let placement = place_image(&image.address_range(), image.position_independent()).unwrap();
        let mut maker = CaseMaker::new(MemorySource::new(Some(image), placement, 1), placement, 1, STATES);
        let mut native = native();
        let mut batches = Vec::new();
        for chosen in blocks.chunks(16) {
            let groups = maker.make_groups(chosen, native.as_mut()).unwrap();
            batches.extend(
                split_into_batches(&groups)
                    .into_iter()
                    .map(|range| groups[range].to_vec()),
            );
        }
        batches
    })
}

/// Results of an engine, a copy of them, and what was written of it and read back.
fn all_say_the_same(engine: &mut dyn Engine, fast: bool) {
    for groups in batches() {
        let results = engine.run(&groups).unwrap();
        let copy = results.to_owned_results();
        let read = OwnedResults::decode(&copy.encode(), &groups).unwrap();
        assert_eq!(read.encode(), copy.encode());
        let (copy, read) = (copy.view(&groups).unwrap(), read.view(&groups).unwrap());
        for (group, start) in (0..groups.len()).flat_map(|group| (0..STATES).map(move |start| (group, start)))
        {
            let outcome = results.outcome(group, start);
            assert_eq!(copy.outcome(group, start), outcome);
            assert_eq!(read.outcome(group, start), outcome);
            assert_eq!(copy.endpoint(group, start), results.endpoint(group, start));
            let same = results.same_bits(&results, group, start);
            assert!(same || !fast || results.endpoint(group, start).is_none());
            assert_eq!(results.same_bits(&copy, group, start), same);
            assert_eq!(copy.same_bits(&results, group, start), same);
            assert_eq!(copy.same_bits(&read, group, start), same);
        }
    }
}

#[test]
fn a_copy_of_the_cpus_results_says_the_same_by_the_same_fast_comparison() {
    all_say_the_same(native().as_mut(), true);
}

#[test]
fn a_copy_of_qemus_results_says_the_same_by_the_same_fast_comparison() {
    all_say_the_same(qemu().as_mut(), true);
}

#[test]
fn a_copy_of_computed_outcomes_says_the_same() {
    all_say_the_same(&mut MockEngine::with_planted_bug().unwrap(), false);
}

/// Answers with copies of another engine's results.
struct Copying {
    engine: Box<dyn Engine>,
    results: Option<OwnedResults>,
}

impl Engine for Copying {
    fn identity(&self) -> &EngineIdentity {
        self.engine.identity()
    }

    fn run<'e>(&'e mut self, groups: &'e [Group]) -> Result<Results<'e>, EngineError> {
        let copy = self.engine.run(groups)?.to_owned_results();
        Ok(self.results.insert(copy).view(groups)?)
    }

    fn run_fresh<'e>(&'e mut self, groups: &'e [Group]) -> Result<Results<'e>, EngineError> {
        let copy = self.engine.run_fresh(groups)?.to_owned_results();
        Ok(self.results.insert(copy).view(groups)?)
    }

    fn restart(&mut self) -> Result<(), EngineError> {
        self.engine.restart()
    }
}

fn copying() -> Result<Box<dyn Engine>, EngineError> {
    let (engine, results) = (native(), None);
    Ok(Box::new(Copying { engine, results }))
}

fn counts(reference: &EngineFactory<'_>, engine: &EngineFactory<'_>) -> BTreeMap<usize, [u64; 5]> {
    with_blocks(|image, blocks| {
        let job = CheckJob {
            image: Some(image),
            placement: place_image(&image.address_range(), image.position_independent()).unwrap(),
            reference,
            subject: engine,
            style: Style::Compiled,
            options: CheckOptions::default(),
        };
        let (sender, receiver) = sync_channel(blocks.len());
        check_blocks(&job, blocks, &sender, &AtomicBool::new(false)).unwrap();
        drop(sender);
        let verdicts = |report: BlockReport| {
            let counts = [
                report.runs,
                report.completed,
                report.faulted,
                report.matched,
                report.diverged,
            ];
            (report.index, counts)
        };
        receiver
            .into_iter()
            .filter_map(CheckReport::into_block_report)
            .map(verdicts)
            .collect()
    })
}

#[test]
fn an_engine_that_answers_with_copies_gets_the_verdicts_of_the_engine_it_copies() {
    let planted =
        || -> Result<Box<dyn Engine>, EngineError> { Ok(Box::new(MockEngine::with_planted_bug()?)) };
    let start = || Ok(native());
    for engine in [&copying as &EngineFactory<'_>, &planted] {
        let expected = counts(&start, engine);
        assert!(expected.len() > 100);
        assert_eq!(counts(&copying, engine), expected);
    }
    assert_eq!(counts(&start, &copying), counts(&start, &start));
}

/// A small batch, and the bytes of its results.
static SMALL: LazyLock<(Vec<Group>, Vec<u8>)> = LazyLock::new(|| {
    let groups: Vec<Group> = batches().swap_remove(0).into_iter().take(4).collect();
    let bytes = native().run(&groups).unwrap().to_owned_results().encode();
    (groups, bytes)
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damaged_bytes_are_refused(at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let (groups, bytes) = &*SMALL;
        let mut damaged = bytes.clone();
        damaged[at.index(bytes.len())] ^= flip;
        prop_assert!(OwnedResults::decode(&damaged, groups).is_err());
        prop_assert!(OwnedResults::decode(&bytes[..at.index(bytes.len())], groups).is_err());
    }

    #[test]
    fn forged_bytes_are_refused_or_can_be_asked_like_any_others(
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let (groups, bytes) = &*SMALL;
        let mut forged = bytes.clone();
        forged[20 + at.index(bytes.len() - 20)] = value;
        reseal(&mut forged);
        if let Ok(read) = OwnedResults::decode(&forged, groups) {
            let view = read.view(groups).unwrap();
            for (group, start) in (0..groups.len()).flat_map(|group| (0..STATES).map(move |start| (group, start))) {
                let _ = (view.outcome(group, start), view.same_bits(&view, group, start));
            }
        }
    }
}

/// Makes the checksum fit again, as a forger would.
fn reseal(bytes: &mut [u8]) {
    use sha2::{Digest, Sha256};
    let digest = Sha256::new()
        .chain_update(&bytes[4..12])
        .chain_update(&bytes[20..])
        .finalize();
    bytes[12..20].copy_from_slice(&digest[..8]);
}

#[test]
fn results_of_another_batch_are_refused() {
    let (groups, bytes) = &*SMALL;
    let read = OwnedResults::decode(bytes, groups).unwrap();
    let refused = |groups: &[Group]| {
        assert!(matches!(read.view(groups), Err(ResultsError::OtherBatch(_))));
        assert!(OwnedResults::decode(bytes, groups).is_err());
    };
    refused(&groups[1..]);
    let mut fewer = groups.clone();
    fewer[2].starts.pop();
    refused(&fewer);
}
