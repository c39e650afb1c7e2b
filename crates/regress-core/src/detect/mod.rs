//! From statistics to judgements: did it change, when, by how much, and how sure is that?
//!
//! Three questions, three families, all over plain values (one per process run):
//! - this commit against that one: `two_sample`;
//! - this run against the history: `rolling` limits, `gate` with confirming runs, `creep` against an older anchor;
//! - the history alone: [`change_points`], [`divisive`], and `machine_shift` across the benchmarks of a machine.
//!
//! `threshold` says which change matters for which benchmark, `verdict` puts it all into words. Nothing here knows a
//! tool's format, a file, or the time.

pub mod change_points;
pub mod divisive;
pub mod kernel;

pub use change_points::{ChangePoint, ChangePointSettings, change_points};
