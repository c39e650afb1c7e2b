//! Chooses blocks: filters say which count, a strategy says which of them are taken, a report says why.
//!
//! Third stage of the flow, between extraction and seeding. Pure and deterministic: the same index, filter and
//! request give the same blocks in the same order on every machine.
//!
//! Does not do: parsing of flags beyond single values, running, storing.

mod category;
mod features;
mod filter;
mod greedy;
mod report;
mod strategy;

pub use category::Category;
pub use features::{Features, block_features};
pub use filter::{Filter, FilterError, FilterOptions, address_range, instruction_types};
pub use report::{Chosen, ComplexityBucket, ExclusionReason, SelectionReport};
pub use strategy::{Selection, SelectionRequest, Strategy, matching, select_blocks};
