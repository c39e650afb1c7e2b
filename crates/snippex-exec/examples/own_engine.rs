//! Adds an engine of one's own: a model of a single instruction in Rust, checked against the machine's CPU on random
//! states. The model of `adc` forgets the carry when the other operand is all ones, and is caught.
//! `cargo run --release -p snippex-exec --example own_engine`

use std::error::Error;
use std::sync::Arc;

use snippex_core::address_space::{CODE_DISTANCE, IMAGE_BASE};
use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{Case, Placement};
use snippex_core::diff::{Comparison, Tolerance, compare_observations};
use snippex_core::observation::{Endpoint, Observation};
use snippex_core::state::{Components, rflags};
use snippex_exec::engine::{Engine, EngineSpec, MockEngine, RunnerEngine};
use snippex_exec::{CaseMaker, MemorySource, RunOutcome};

/// `adc rax, rbx`, nearly right.
fn model(case: &Case) -> RunOutcome {
    let mut state = case.state.clone();
    let (a, b) = (state.gpr[0], state.gpr[3]);
    let carry = state.rflags & rflags::CF;
    let sum = a.wrapping_add(b).wrapping_add(carry);
    // The bug: b plus carry has wrapped to zero, and nothing is carried out.
    let carried = a.checked_add(b.wrapping_add(carry)).is_none();
    let flags = [
        (rflags::CF, carried),
        (rflags::PF, (sum as u8).count_ones().is_multiple_of(2)),
        (rflags::AF, (a ^ b ^ sum) & 0x10 != 0),
        (rflags::ZF, sum == 0),
        (rflags::SF, sum >> 63 != 0),
        (rflags::OF, ((a ^ sum) & (b ^ sum)) >> 63 != 0),
    ];
    state.gpr[0] = sum;
    state.rflags &= !rflags::STATUS;
    state.rflags |= flags
        .iter()
        .filter(|(_, set)| *set)
        .fold(0, |all, (bit, _)| all | bit);
    let target = case.code_address() + case.block.bytes.len() as u64;
    RunOutcome::Ran(Box::new(Observation {
        endpoint: Endpoint::Exit { target },
        state,
        memory: vec![],
    }))
}

fn main() -> Result<(), Box<dyn Error>> {
    let block = Arc::new(Block {
        address: 0x1000,
        bytes: vec![0x48, 0x11, 0xd8],
        instruction_count: 1,
        terminator: Terminator::FallThrough,
        successors: vec![0x1003],
        origin: Origin::Entry,
        unrunnable: None,
    });
    let placement = Placement {
        image_base: IMAGE_BASE,
        code_base: IMAGE_BASE + CODE_DISTANCE,
    };
    let mut native = RunnerEngine::start(EngineSpec::native())?;
    let mut mine = MockEngine::new("my model", model);

    let states = 1000;
    let mut maker = CaseMaker::new(MemorySource::new(None, placement, 1), placement, 1, states);
    let groups = maker.make_groups(&[block], &mut native)?;
    let (expected, actual) = (native.run(&groups)?, mine.run(&groups)?);
    let mut wrong = 0;
    for index in 0..states {
        let (RunOutcome::Ran(expected), RunOutcome::Ran(actual)) =
            (expected.outcome(0, index), actual.outcome(0, index))
        else {
            continue;
        };
        let case = groups[0].case_at(index);
        if let Comparison::Diverged(divergence) =
            compare_observations(&case, &expected, &actual, Components::ALL, &Tolerance::none())
        {
            wrong += 1;
            if wrong == 1 {
                let (a, b) = (case.state.gpr[0], case.state.gpr[3]);
                println!("rax {a:#x}, rbx {b:#x}, CF {}:", case.state.rflags & rflags::CF);
                for difference in &divergence.differences {
                    println!(
                        "  {}: {:?}, should be {:?}",
                        difference.name, difference.actual, difference.expected
                    );
                }
            }
        }
    }
    println!("{wrong} of {states} states differ");
    Ok(())
}
