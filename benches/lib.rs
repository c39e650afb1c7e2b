//! Criterion benches of the workspace, one file per stage of a pipeline: `cargo bench -p benches --bench STAGE`.
//!
//! This library is empty: cargo wants a package to have a target that is not a bench.
