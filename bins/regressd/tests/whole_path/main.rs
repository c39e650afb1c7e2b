//! The service as a process, from webhook and upload to what GitHub shows, against the built-in GitHub.
#![expect(clippy::unwrap_used, reason = "tests")]

mod attacks;
mod kill_under_load;
mod outage;
mod scenes;
mod service;
mod tracking;
