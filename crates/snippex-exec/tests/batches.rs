//! What a run gives does not depend on the runs and blocks around it: not on pages, code and state that engines keep
//! from one block to the next, and not on what they leave out of a run.
#![expect(clippy::unwrap_used, reason = "a test, its helpers included")]

use std::sync::Arc;

use snippex_blocks::binary::Image;
use snippex_blocks::extract::extract_blocks;
use snippex_core::address_space::{CODE_DISTANCE, IMAGE_BASE, place_image};
use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{Case, Placement};
use snippex_core::group::Group;
use snippex_core::observation::Endpoint;
use snippex_core::state::MachineState;
use snippex_exec::batch::split_into_batches;
use snippex_exec::engine::{Engine, EngineSpec, RunnerEngine};
use snippex_exec::{CaseMaker, MemorySource, RunOutcome};

const BLOCKS: usize = 640;
const BATCH: usize = 16;
const STATES: usize = 24;

/// Blocks from all over a program, with their pages found.
fn batches(program: &str) -> Vec<Vec<Group>> {
    let bytes = std::fs::read(program).unwrap();
    let image = Image::parse(&bytes).unwrap();
    let placement = place_image(&image.address_range(), image.position_independent()).unwrap();
    let index = extract_blocks(&image);
    let runnable: Vec<Block> = index.iter().filter(|block| block.unrunnable.is_none()).collect();
    let step = (runnable.len() / BLOCKS).max(1);
    let blocks: Vec<Arc<Block>> = runnable.into_iter().step_by(step).map(Arc::new).collect();
    let mut native = RunnerEngine::start(EngineSpec::native()).unwrap();
    let source = MemorySource::new(Some(&image), placement, 1);
    let mut maker = CaseMaker::new(source, placement, 1, STATES);
    let count = blocks.len().div_ceil(BATCH);
    let mut batches = Vec::new();
    for batch in 0..count {
        let chosen: Vec<_> = blocks.iter().skip(batch).step_by(count).cloned().collect();
        let groups = maker.make_groups(&chosen, &mut native).unwrap();
        batches.extend(
            split_into_batches(&groups)
                .into_iter()
                .map(|range| groups[range].to_vec()),
        );
    }
    batches
}

fn outcomes(engine: &mut RunnerEngine, groups: &[Group]) -> Vec<Vec<RunOutcome>> {
    let results = engine.run(groups).unwrap();
    groups
        .iter()
        .enumerate()
        .map(|(index, group)| {
            (0..group.starts.len())
                .map(|start| results.outcome(index, start))
                .collect()
        })
        .collect()
}

fn alone_and_together(spec: &EngineSpec, program: &str) {
    let thorough = EngineSpec {
        shortcuts: false,
        ..spec.clone()
    };
    let mut together = RunnerEngine::start(spec.clone()).unwrap();
    let mut alone = RunnerEngine::start(thorough).unwrap();
    let mut runs = 0;
    for groups in batches(program) {
        for (group, batch) in groups.iter().zip(outcomes(&mut together, &groups)) {
            let single = outcomes(&mut alone, std::slice::from_ref(group)).remove(0);
            assert_eq!(
                batch, single,
                "block at {:#x}: {:02x?}",
                group.block.address, group.block.bytes
            );
            runs += single.len();
        }
    }
    assert!(runs > BLOCKS * STATES / 2);
}

#[test]
fn a_block_of_bash_does_the_same_alone_on_the_cpu() {
    alone_and_together(&EngineSpec::native(), "/bin/bash");
}

#[test]
fn a_block_of_libm_does_the_same_alone_on_the_cpu() {
    alone_and_together(&EngineSpec::native(), "/lib/x86_64-linux-gnu/libm.so.6");
}

#[test]
fn a_block_of_bash_does_the_same_alone_under_qemu() {
    alone_and_together(&EngineSpec::from_preset("qemu-x86_64").unwrap(), "/bin/bash");
}

/// In a batch all around the blocks is INT3; alone nothing is there.
#[test]
fn a_jump_beside_the_blocks_goes_to_its_target() {
    let block = |address| {
        Arc::new(Block {
            address,
            bytes: vec![0xff, 0xe0], // jmp rax
            instruction_count: 1,
            terminator: Terminator::IndirectJmp,
            successors: vec![],
            origin: Origin::Symbol,
            unrunnable: None,
        })
    };
    let code_base = IMAGE_BASE + CODE_DISTANCE;
    let group = |address, target| {
        let mut state = MachineState::default();
        state.gpr[0] = target;
        Group::from_case(&Case {
            block: block(address),
            placement: Placement {
                image_base: IMAGE_BASE,
                code_base,
            },
            state,
            pages: [].into(),
        })
    };
    // Near the block, far from it, and in front of the other one.
    for target in [0x1080, 0x5_0000, 0x1_1fff].map(|offset| code_base + offset) {
        let groups = [group(0x1000, target), group(0x1_2000, target)];
        for name in ["native", "qemu-x86_64"] {
            let mut engine = RunnerEngine::start(EngineSpec::from_preset(name).unwrap()).unwrap();
            let together = outcomes(&mut engine, &groups);
            let alone = outcomes(&mut engine, &groups[..1]);
            for outcome in [&together[0][0], &together[1][0], &alone[0][0]] {
                let RunOutcome::Ran(observation) = outcome else {
                    panic!("{name}: {outcome:?}");
                };
                assert_eq!(observation.endpoint, Endpoint::Exit { target }, "{name}");
            }
        }
    }
}
