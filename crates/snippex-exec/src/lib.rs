//! Run blocks of x86-64 code on engines.

pub mod batch;
pub mod check;
pub mod engine;
mod discovery;
mod lower;
mod memory_source;
mod plan;
mod process;
mod results;
mod shared;

pub use discovery::CaseMaker;
pub use memory_source::MemorySource;
pub use lower::{LowerError, Lowered, lower};
pub use results::{Outcome, Results, Unsupported};
