//! What a program counts about its calls. The client itself knows no metrics.

use std::fmt;

/// Is told what happens. Every method does nothing unless the program says otherwise; none may block.
pub trait Observer: fmt::Debug + Send + Sync {
    /// A request with `method` ended: with an HTTP status, `rate-limited` or `no-answer`.
    fn request_ended(&self, method: &'static str, outcome: &str) {
        let _ = (method, outcome);
    }

    /// How many requests GitHub still takes from an installation this hour.
    fn requests_remaining(&self, installation: u64, remaining: i64) {
        let _ = (installation, remaining);
    }

    /// GitHub asked to wait.
    fn rate_limited(&self) {}

    /// The breaker of `host` opened at this moment.
    fn breaker_opened(&self, host: &str) {
        let _ = host;
    }

    /// The breaker of `host` is closed, after a call that worked.
    fn breaker_closed(&self, host: &str) {
        let _ = host;
    }
}

/// Counts nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoObserver;

impl Observer for NoObserver {}
