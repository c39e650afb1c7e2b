//! A suite of conformance tests on one engine: each runs, and what it lists is compared.
//!
//! Tests come from files that others have read ([`snippex_formats::conformance`]). Those that want the engine in another
//! environment get engines of their own. A test that fails is tried again alone in a fresh process before it is said to
//! fail. What an engine lacks makes a test unsupported, which is neither passed nor failed.
//!
//! This is not [`crate::engine_check`], which says whether an engine is wired up right at all.

mod run;
mod test;

pub use run::{EngineIn, Engines, Reference, SuiteReport, run_conformance_tests};
pub use test::{CaseTest, ConformanceTest, TestBody, TestFailure, TestVerdict};
