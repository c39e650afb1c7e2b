//! Conformance tests: whole programs with an expected end state, as emulators' own test suites have them.
//!
//! [`header`] reads what a test written for FEX-Emu's unit-test harness says about itself, [`TestProgram`] is what runs,
//! [`ProgramEnd`] how that ended, and [`Expected`] what is compared. Assembling the source and running the program are
//! for other crates.

mod expected;
pub mod header;
mod program;
mod register;

pub use expected::{Expected, Mismatch, Uncovered, find_mismatches};
pub use header::{HeaderError, TestHeader, TestMode};
pub use program::{Area, Extent, MAX_CODE, ProgramEnd, ProgramError, TestProgram};
pub use register::Register;
