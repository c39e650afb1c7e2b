//! Conformance tests as files: found, assembled, run, judged against lists of known failures.
//!
//! What a test is and how it is judged are for `snippex_formats::conformance` and `snippex_exec::conformance_suite`.

pub(crate) mod assemble;
pub(crate) mod case_file;
pub(crate) mod files;
pub(crate) mod judged;
pub(crate) mod known;
