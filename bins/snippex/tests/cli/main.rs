//! The program as users run it: whole processes, real engines, real databases.
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests, too")]

mod arm64;
mod bad_input;
mod bugs;
mod cache;
mod cases;
mod checks;
mod completions;
mod conformance;
mod databases;
mod engines;
mod export;
mod extracting;
mod generated;
mod host_sessions;
mod hosts;
mod interrupted;
#[cfg(feature = "github")]
mod issues;
mod json_documents;
mod observations;
mod recordings;
mod regression;
mod reports;
mod repro;
mod sandbox;
mod snapshots;
mod sources;
mod ssh_server;
mod stats;
mod stored_blocks;
mod told_early;
