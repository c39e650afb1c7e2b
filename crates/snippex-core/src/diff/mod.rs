//! Comparison of two observations of one case: match, diverged, or inconclusive with the reason.
//!
//! The endpoint comes first; when it differs nothing else can be compared. Then general registers, flags,
//! segment bases, vectors, opmasks, MXCSR, x87 and memory, each under the mask that [`crate::effects`] derives
//! by data flow. What an engine documents to do otherwise is data too: a [`Tolerance`].
//!
//! Everything here is plain data that serialises; nothing is rendered. A difference names the part of the
//! state, both values and the bits that differ and are defined.

mod approximate;
mod class;
mod compare;
mod difference;
mod endpoint;
mod memory;
mod registers;
mod tolerance;

#[cfg(test)]
mod tests;

pub use class::{Class, Culprit, Kind};
pub use compare::{compare, compare_with};
pub use difference::{Comparison, Difference, Divergence, Field, Noted, Reason, Value};
pub use tolerance::{Deviates, Deviation, FaultingUnit, Tolerance};
