//! A few processes, each asked one thing at a time, restarted after a growing wait when they fail.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::process::Process;
use super::{AnalyticsError, Finding, Request, Status, protocol};
use crate::backoff::Backoff;
use crate::settings;

const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(300),
};
/// A request is made once more, of a fresh process, when the first one failed: it may only have died of old age.
const ATTEMPTS: u32 = 2;

/// The pool.
#[derive(Debug)]
pub struct Pool {
    command: Vec<String>,
    timeout: Duration,
    places: Semaphore,
    shared: Mutex<Shared>,
    next_id: AtomicU64,
}

#[derive(Debug, Default)]
struct Shared {
    /// Processes that wait for a request.
    idle: Vec<Process>,
    running: usize,
    failures: u32,
    rest_until: Option<Instant>,
    last_error: Option<String>,
    answered: bool,
}

impl Pool {
    /// A pool; processes are started when they are needed.
    #[must_use]
    pub fn new(settings: &settings::AnalyticsSettings) -> Self {
        Self {
            command: settings.command.clone(),
            timeout: Duration::from_millis(settings.timeout_milliseconds),
            places: Semaphore::new(settings.processes),
            shared: Mutex::default(),
            next_id: AtomicU64::new(1),
        }
    }

    /// Asks. The answer, or the reason why there is none, comes within about twice the timeout.
    ///
    /// # Errors
    /// When the process cannot be started, is slow, breaks the protocol or dies.
    pub async fn request_findings(&self, request: &Request) -> Result<Vec<Finding>, AnalyticsError> {
        let place = tokio::time::timeout(self.timeout, self.places.acquire());
        let Ok(Ok(_place)) = place.await else {
            return Err(AnalyticsError::Busy);
        };
        self.may_try()?;
        let mut attempt = 1;
        loop {
            match self.try_once(request).await {
                Ok(findings) => {
                    let mut shared = self.shared();
                    (shared.failures, shared.rest_until, shared.last_error) = (0, None, None);
                    shared.answered = true;
                    return Ok(findings);
                }
                // Slowness and a missing program do not go away by themselves.
                Err(error @ (AnalyticsError::Ended | AnalyticsError::Garbage(_))) if attempt < ATTEMPTS => {
                    tracing::debug!(%error, "asking the analytics process once more");
                    attempt += 1;
                }
                Err(error) => {
                    metrics::counter!("regressd_analytics_failures_total").increment(1);
                    self.note_failure(&error);
                    return Err(error);
                }
            }
        }
    }

    /// How the pool does.
    #[must_use]
    pub fn status(&self) -> Status {
        let shared = self.shared();
        let state = match (&shared.last_error, shared.answered) {
            (Some(_), _) => "failing",
            (None, true) => "ready",
            (None, false) => "idle",
        };
        Status {
            state: state.to_owned(),
            processes: shared.running + shared.idle.len(),
            error: shared.last_error.clone(),
        }
    }

    fn may_try(&self) -> Result<(), AnalyticsError> {
        let shared = self.shared();
        let left = shared
            .rest_until
            .map(|until| until.saturating_duration_since(Instant::now()));
        match left.filter(|left| !left.is_zero()) {
            Some(left) => Err(AnalyticsError::Resting {
                failures: shared.failures,
                seconds: left.as_secs() + 1,
                last: shared.last_error.clone().unwrap_or_default(),
            }),
            None => Ok(()),
        }
    }

    async fn try_once(&self, request: &Request) -> Result<Vec<Finding>, AnalyticsError> {
        let mut process = match self.take_idle() {
            Some(process) => process,
            None => Process::spawn_command(&self.command)?,
        };
        self.shared().running += 1;
        let _running = Running(self);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let line = protocol::write_request(id, request);
        let answer = tokio::time::timeout(self.timeout, process.exchange_line(&line)).await;
        let slow = |_| AnalyticsError::Slow(u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX));
        let findings = protocol::read_findings(id, &answer.map_err(slow)??)?;
        self.shared().idle.push(process);
        Ok(findings)
    }

    fn take_idle(&self) -> Option<Process> {
        self.shared().idle.pop()
    }

    fn note_failure(&self, error: &AnalyticsError) {
        let mut shared = self.shared();
        shared.failures = shared.failures.saturating_add(1);
        let wait = BACKOFF.wait_after_failures(shared.failures, 1.0);
        shared.rest_until = Some(Instant::now() + wait);
        shared.last_error = Some(error.to_string());
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a process that is being asked, also when the asking is given up half-way.
struct Running<'a>(&'a Pool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut shared = self.0.shared();
        shared.running = shared.running.saturating_sub(1);
    }
}
