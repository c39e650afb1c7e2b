//! The analytics process: a program of the operator's choice that looks at histories and says what it sees.
//!
//! ```text
//! report --request--> pool --a line of JSON--> process --a line of JSON--> findings --> comment
//! ```
//!
//! It is an extra. It never takes part in a verdict, and nothing waits for it longer than its timeout: when it is
//! missing, slow, broken, floods or dies, its process is ended, the next one is started after a growing wait, and the
//! comment goes out without findings. docs/analytics.md describes the lines; `bins/regressd/analytics` holds a program
//! that speaks them.

mod ask;
mod pool;
mod process;
mod protocol;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};

pub use pool::Pool;
pub use protocol::{Finding, MAX_FINDINGS, MAX_SERIES, MAX_VALUES, PROTOCOL, Request, SeriesValues};
use serde::Serialize;
use utoipa::ToSchema;

use crate::settings;

/// Why there are no findings.
#[derive(Debug, thiserror::Error)]
pub enum AnalyticsError {
    /// The command cannot be run.
    #[error("cannot start {command:?}: {source}; see analytics.command")]
    Start {
        /// The program.
        command: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// It ended instead of answering.
    #[error("the process ended without an answer")]
    Ended,
    /// It took too long.
    #[error("the process did not answer within {0} ms (analytics.timeout_milliseconds)")]
    Slow(u64),
    /// It answered something else.
    #[error("the process does not keep to docs/analytics.md: {0}")]
    Garbage(String),
    /// All its processes are busy.
    #[error("all analytics processes are busy")]
    Busy,
    /// It failed a moment ago and is left alone for a while.
    #[error("it failed {failures} times in a row and is tried again in {seconds} s; the last error: {last}")]
    Resting {
        /// Failures in a row.
        failures: u32,
        /// Until the next attempt.
        seconds: u64,
        /// How it failed.
        last: String,
    },
}

/// How the analytics process does, for `/ready`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Status {
    /// `off` (not configured), `idle` (not asked yet), `ready` or `failing`.
    pub state: String,
    /// Processes that run.
    pub processes: usize,
    /// How it failed, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The processes of the current settings.
#[derive(Debug, Default)]
pub struct Analytics {
    current: Mutex<Option<(settings::AnalyticsSettings, Arc<Pool>)>>,
}

impl Analytics {
    /// The pool for these settings, or `None` when there is no command. New settings make a new pool; what the old one
    /// has in hand is finished, then its processes end.
    #[must_use]
    pub fn pool_for_settings(&self, settings: &settings::AnalyticsSettings) -> Option<Arc<Pool>> {
        let mut current = self
            .current
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if settings.command.is_empty() {
            *current = None;
            return None;
        }
        match &*current {
            Some((known, pool)) if known == settings => Some(Arc::clone(pool)),
            _ => {
                let pool = Arc::new(Pool::new(settings));
                *current = Some((settings.clone(), Arc::clone(&pool)));
                Some(pool)
            }
        }
    }

    /// How it does.
    #[must_use]
    pub fn status(&self, settings: &settings::AnalyticsSettings) -> Status {
        match self.pool_for_settings(settings) {
            Some(pool) => pool.status(),
            None => Status {
                state: "off".to_owned(),
                processes: 0,
                error: None,
            },
        }
    }
}
