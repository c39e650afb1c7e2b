//! Runs one block on the machine's own CPU and prints its end state:
//! `cargo run -p snippex-exec --example run_block -- 4801d8`, the bytes of `add rax, rbx`.

use std::error::Error;
use std::sync::Arc;

use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{Case, Placement};
use snippex_core::group::Group;
use snippex_core::state::{GPR_NAMES, MachineState, rflags};
use snippex_exec::RunOutcome;
use snippex_exec::engine::{Engine, EngineSpec, RunnerEngine};

fn main() -> Result<(), Box<dyn Error>> {
    let hex = std::env::args().nth(1).unwrap_or_else(|| "4801d8".into());
    let bytes = (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16))
        .collect::<Result<Vec<u8>, _>>()?;
    let block = Block {
        address: 0x1000,
        bytes,
        instruction_count: 1,
        terminator: Terminator::FallThrough,
        successors: vec![],
        origin: Origin::Entry,
        unrunnable: None,
    };
    let mut state = MachineState::default();
    state.gpr[0] = 0x7fff_ffff_ffff_ffff;
    state.gpr[3] = 1;
    let placement = Placement {
        image_base: 0x2_0000_0000,
        code_base: 0x2_1d60_0000,
    };
    let case = Case {
        block: Arc::new(block),
        placement,
        state,
        pages: [].into(),
    };

    let mut engine = RunnerEngine::start(EngineSpec::native())?;
    println!("engine: {}", engine.identity().name_and_version());
    let groups = [Group::from_case(&case)];
    let results = engine.run(&groups)?;
    match results.outcome(0, 0) {
        RunOutcome::Unsupported(reason) => println!("not run: {reason:?}"),
        RunOutcome::Ran(observation) => {
            println!("endpoint: {:x?}", observation.endpoint);
            for (name, value) in GPR_NAMES.iter().zip(observation.state.gpr) {
                println!("{name:4} {value:016x}");
            }
            let flags = rflags::NAMES
                .iter()
                .filter(|(_, bit)| observation.state.rflags & bit != 0);
            println!(
                "flags {}",
                flags.map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
            );
        }
    }
    Ok(())
}
