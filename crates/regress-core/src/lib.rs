//! Judges benchmark results on noisy machines.
//!
//! ```text
//! bench output --ingest--> measurements --(process runs)--> baseline --detect--> verdict
//! ```
//!
//! The library is sync, reads no file, no environment and no clock: bytes and plain values come in, plain
//! values go out. The one exception is the `suite` module (feature `suite`, on by default), which measures
//! closures with [`std::time::Instant`].
//!
//! The unit of replication is the **process run**: all the samples a tool takes within one process count as one
//! number, because samples of one process agree with each other far better than two processes of the same
//! code do.

pub mod baseline;
pub mod detect;
pub mod environment;
pub mod ingest;
pub mod measurement;
pub mod stats;
#[cfg(feature = "suite")]
pub mod suite;
