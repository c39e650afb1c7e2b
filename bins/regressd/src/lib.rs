//! The service that judges the benchmarks of every pull request.
