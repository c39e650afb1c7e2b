//! Run blocks of x86-64 code on engines.
#![doc = ""]

pub mod batch;
pub mod engine;
mod lower;
mod plan;
mod process;
mod results;
mod shared;

pub use lower::{LowerError, Lowered, lower};
pub use results::{Outcome, Results, Unsupported};
