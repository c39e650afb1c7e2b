//! Comparison of two observations of one case: match, diverged, or inconclusive with the reason.
//!
//! The endpoint comes first; when it differs nothing else can be compared. Then general registers, flags,
//! segment bases, vectors, opmasks, MXCSR, x87 and memory, each under the mask that [`crate::effects`] derives
//! by data flow. What an engine documents to do otherwise is data too: a [`Tolerance`].
//!
//! Everything here is plain data that serialises; nothing is rendered. A difference names the part of the
//! state, both values and the bits that differ and are defined.
//!
//! ```
//! use std::sync::Arc;
//!
//! use snippex_core::block::{Block, Origin, Terminator};
//! use snippex_core::case::{Case, Placement};
//! use snippex_core::diff::{Comparison, Tolerance, compare_observations};
//! use snippex_core::effects::Rule;
//! use snippex_core::observation::{Endpoint, Observation};
//! use snippex_core::state::{Components, MachineState, rflags};
//!
//! // and rax, rbx
//! let block = Block {
//!     address: 0x1000,
//!     bytes: vec![0x48, 0x21, 0xd8],
//!     instruction_count: 1,
//!     terminator: Terminator::FallThrough,
//!     successors: vec![0x1003],
//!     origin: Origin::Sweep,
//!     unrunnable: None,
//! };
//! let case = Case {
//!     block: Arc::new(block),
//!     placement: Placement { image_base: 0, code_base: 0 },
//!     state: MachineState::default(),
//!     pages: Arc::new([]),
//! };
//! let hardware = Observation {
//!     endpoint: Endpoint::Exit { target: 0x1003 },
//!     state: MachineState { rflags: rflags::INITIAL | rflags::ZF | rflags::PF, ..MachineState::default() },
//!     memory: Vec::new(),
//! };
//! let mut emulator = hardware.clone();
//!
//! // AF is undefined after AND: an emulator that sets it is not wrong.
//! emulator.state.rflags |= rflags::AF;
//! let outcome = compare_observations(&case, &hardware, &emulator, Components::ALL, &Tolerance::none());
//! assert!(matches!(outcome, Comparison::Match(noted) if noted.rules.contains_key(&Rule::LogicAf)));
//!
//! // CF is cleared.
//! emulator.state.rflags |= rflags::CF;
//! let outcome = compare_observations(&case, &hardware, &emulator, Components::ALL, &Tolerance::none());
//! let Comparison::Diverged(divergence) = outcome else { unreachable!() };
//! assert_eq!(divergence.differences[0].name, "CF");
//! assert_eq!(divergence.class.culprit.unwrap().form, "and r64, r64");
//! ```

mod approximate;
mod arm_deviations;
mod class;
mod compare;
mod denormals;
mod difference;
mod endpoint;
mod flag_deviations;
mod float_deviations;
mod leaked;
mod memory;
mod registers;
mod tolerance;
mod vectors;
mod x87;
mod x87_deviations;

#[cfg(test)]
mod tests;

pub use class::{Class, Culprit, DivergenceKind};
pub use compare::{compare_observations, compare_with};
pub use difference::{Comparison, Difference, Divergence, Field, InconclusiveReason, Noted, Value};
pub use tolerance::{Deviates, Deviation, ExcusedBits, FaultingUnit, Tolerance};
