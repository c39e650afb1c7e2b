//! Runs blocks of x86-64 code on engines: the machine's own CPU, qemu-user, FEX-Emu, or any command.
//!
//! ```
//! use std::sync::Arc;
//! use snippex_core::block::{Block, Origin, Terminator};
//! use snippex_core::case::{Case, Placement};
//! use snippex_core::group::Group;
//! use snippex_core::state::MachineState;
//! use snippex_exec::RunOutcome;
//! use snippex_exec::engine::{Engine, EngineSpec, RunnerEngine};
//!
//! // add rax, rbx
//! let block = Block {
//!     address: 0x1000,
//!     bytes: vec![0x48, 0x01, 0xd8],
//!     instruction_count: 1,
//!     terminator: Terminator::FallThrough,
//!     successors: vec![0x1003],
//!     origin: Origin::Entry,
//!     unrunnable: None,
//! };
//! let mut state = MachineState::default();
//! (state.gpr[0], state.gpr[3]) = (40, 2);
//! let placement = Placement { image_base: 0x2_0000_0000, code_base: 0x2_1d60_0000 };
//! let case = Case { block: Arc::new(block), placement, state, pages: [].into() };
//!
//! let mut engine = RunnerEngine::start(EngineSpec::native())?;
//! let groups = [Group::from_case(&case)];
//! let RunOutcome::Ran(observation) = engine.run(&groups)?.outcome(0, 0) else { panic!("not supported") };
//! assert_eq!(observation.state.gpr[0], 42);
//! # Ok::<(), snippex_exec::engine::EngineError>(())
//! ```
//!
//! [`engine`] has the engines and the trait they share; [`CaseMaker`] makes cases of blocks found in a file; [`check`]
//! is the whole pipeline over two engines; [`reduce`] makes what it finds small. An engine of one's own implements
//! [`engine::Engine`] or is made by [`engine::MockEngine`]; [`engine_check`] says whether it is wired up right. [`conformance_suite`]
//! runs tests that are whole programs.
//!
//! This crate knows no database and no command line.

pub mod abilities;
pub mod affinity;
pub mod batch;
pub mod check;
mod code_window;
pub mod conformance_suite;
mod discovery;
mod end_state;
pub mod engine;
pub mod engine_check;
mod engine_family;
mod guest_space;
mod loaded_pools;
mod lower;
mod memory_source;
mod page_cache;
mod plan;
mod process;
mod program_plan;
#[cfg(feature = "recordings")]
pub mod recording;
pub mod reduce;
#[cfg(feature = "remote")]
pub mod remote;
mod results;
mod shared;
mod shared_layout;
mod stall;
mod store_targets;
mod stores;
mod untouched;
mod warm_up;

pub use discovery::{CaseMaker, CaseOrigin};
pub use engine_family::recognize_family;
pub use lower::{LowerError, Lowered, lower_block};
pub use memory_source::MemorySource;
pub use results::{OwnedResults, Results, ResultsError, RunOutcome, Unsupported};

/// Both sides must mean the same by "the runner's own addresses".
const _: () = {
    use snippex_core::address_space::RUNNER;
    use snippex_runner::layout::{RUNNER_BASE, RUNNER_END, SHARED_BASE, SHARED_END};
    assert!(RUNNER[0].start == RUNNER_BASE && RUNNER[0].end == RUNNER_END);
    assert!(RUNNER[1].start == SHARED_BASE && RUNNER[1].end == SHARED_END);
};
