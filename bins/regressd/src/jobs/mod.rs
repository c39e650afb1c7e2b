//! Work that is done after a request was answered.
//!
//! ```text
//! handler --enqueue--> jobs table --take--> worker --Kind--> one function a kind
//! ```
//!
//! A handler stores what came in and the job that acts on it in one transaction. A worker takes jobs that are due,
//! calls the function of their [`Kind`], and notes how it went: done jobs are removed, failed ones wait and are tried
//! again, and after the last attempt they stay as dead letters. A job may be begun more than once, so each function
//! gives the same result when it is called again.

mod backoff;
mod judge;
mod kind;
mod tell;
mod webhook;
mod worker;

pub use backoff::Backoff;
pub use kind::{Kind, UnknownKind};
pub use webhook::AboutDelivery;
pub use worker::{Failure, run_workers};

use serde::Serialize;

use crate::database::jobs::NewJob;
use crate::domain::Moment;

/// A job that is due at once.
///
/// # Panics
/// When the payload is not plain data.
#[must_use]
pub fn job(kind: Kind, key: &str, payload: &impl Serialize, correlation: &str) -> NewJob {
    NewJob {
        kind: kind.as_str(),
        key: format!("{kind}:{key}"),
        payload: serde_json::to_string(payload).expect("a payload is plain data"),
        correlation: correlation.to_owned(),
        due: Moment::now(),
    }
}
