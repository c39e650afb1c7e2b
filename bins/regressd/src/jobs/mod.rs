//! Work that is done after a request was answered.
//!
//! ```text
//! handler --enqueue--> jobs table --take--> worker --JobKind--> one function a kind
//! ```
//!
//! A handler stores what came in and the job that acts on it in one transaction. A worker takes jobs that are due,
//! calls the function of their [`JobKind`](crate::domain::JobKind), and notes how it went: done jobs are removed, failed ones wait and are tried
//! again, and after the last attempt they stay as dead letters. A job may be begun more than once, so each function
//! gives the same result when it is called again.

mod judge;
mod notify;
mod rewrite;
mod webhook;
mod worker;

pub use worker::{JobFailure, run_workers};
