//! Run blocks of x86-64 code on engines.

pub mod batch;
pub mod check;
pub mod conformance;
pub mod culprit;
mod discovery;
pub mod engine;
mod lower;
mod memory_source;
mod plan;
mod process;
mod results;
mod shared;

pub use discovery::CaseMaker;
pub use lower::{LowerError, Lowered, lower};
pub use memory_source::MemorySource;
pub use results::{Outcome, Results, Unsupported};

/// Both sides must mean the same by "the runner's own addresses".
const _: () = {
    use snippex_core::address_space::RUNNER;
    use snippex_runner::layout::{RUNNER_BASE, RUNNER_END, SHARED_BASE, SHARED_END};
    assert!(RUNNER[0].start == RUNNER_BASE && RUNNER[0].end == RUNNER_END);
    assert!(RUNNER[1].start == SHARED_BASE && RUNNER[1].end == SHARED_END);
};
