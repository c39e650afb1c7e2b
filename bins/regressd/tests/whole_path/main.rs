//! The service as a process, from webhook and upload to what GitHub shows, against the built-in GitHub.
#![expect(clippy::unwrap_used, reason = "tests")]

mod attacks;
mod commands;
mod correlation;
mod findings;
mod full_disk;
mod kill_under_load;
mod outage;
mod reload;
mod rewritten;
mod scenes;
mod service;
mod several;
mod simulate;
#[cfg(feature = "opentelemetry")]
mod spans;
mod tls;
mod tracking;

/// A fresh database, shared with the tests of the service.
#[expect(dead_code, reason = "the other tests use the rest of it")]
#[path = "../service/place.rs"]
mod place;
