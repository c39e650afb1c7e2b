//! Cases as text that people read and send.
//!
//! [`snip`] is snippex's own form of a case; [`repro`] writes a case as a test for FEX-Emu, a C file or an assembler
//! file; [`conformance`] reads tests that are whole programs and compares what they list. The crate does no IO: files
//! and assemblers are the caller's.

pub mod conformance;
pub mod repro;
pub mod snip;
