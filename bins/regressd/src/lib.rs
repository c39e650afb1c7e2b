//! The service that judges the benchmarks of every pull request.
//!
//! ```text
//! GitHub --webhook--> delivery --\
//!                                 +--> database --> job --> worker --> verdicts --> comment, check run
//! CI ----/analyze---> run -------/                                \--> pages, API, badge
//! ```
//!
//! A request is answered when what it brought is in the database. All judgement is `regress-core`'s; this crate stores
//! runs, finds the history each is judged by, and says what came out of it where people look.

mod accepting;
pub mod access;
mod administering;
pub mod analytics;
pub mod args;
pub mod auth;
pub mod backoff;
pub mod backup;
pub mod command;
pub mod correlation;
pub mod database;
pub mod directory;
pub mod domain;
pub mod fake_github;
pub mod free_memory;
pub mod github;
pub mod job_requests;
pub mod jobs;
pub mod judging;
pub mod load_shedding;
pub mod maintenance;
mod pages;
pub mod problem;
pub mod reload;
pub mod request_limits;
pub mod run_cache;
mod same_origin;
pub mod series_directory;
pub mod server;
pub mod settings;
pub mod simulate;
pub mod state;
pub mod telemetry;
pub mod webhook;
