//! Whole runs of the program, as a user starts them, with a benchmark command of a few lines.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test they help")]

#[cfg(feature = "github")]
mod comment;
mod commits;
mod completions;
mod hostile;
mod judge;
mod measure;
mod metrics;
mod project;
#[cfg(feature = "service")]
mod push;
mod tools;
mod unknown_names;
