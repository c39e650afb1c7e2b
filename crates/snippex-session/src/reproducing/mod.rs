//! Reproducers: which case is to be reproduced, how it has to end, and what its head says about it.
//!
//! Writing one is `snippex_formats::repro`; building and trying it is left to those who have the programs for that.

mod case;
mod error;
mod judged;
mod provenance;
mod story;

pub use case::{CaseName, ReproducedCase, SideNames};
pub use error::ReproduceError;
pub use judged::JudgedCase;
pub use story::{reproducer_notes, reproducer_title};
