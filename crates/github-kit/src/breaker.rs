//! A circuit breaker for each host: when a host fails again and again, it is left alone for a while.
//!
//! ```text
//!           failures in a row                pause over
//!  closed --------------------> open --------------------> half-open: one call is let through
//!    ^                           ^                            |
//!    |                           +------ it fails ------------+   (and the pause doubles)
//!    +----------------------------------- it succeeds --------+
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How patient a breaker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open at first.
    pub pause: Duration,
    /// The longest it stays open.
    pub longest_pause: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failures: 5,
            pause: Duration::from_secs(10),
            longest_pause: Duration::from_secs(120),
        }
    }
}

/// What a breaker lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// One call, to see whether the host is back.
    HalfOpen,
    /// Nothing.
    Open,
}

impl BreakerState {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

/// The breaker of one host.
#[derive(Debug)]
pub struct Breaker {
    host: String,
    settings: BreakerSettings,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    failures: u32,
    /// When it opened last, and for how long; `None` while closed.
    open: Option<(Instant, Duration)>,
    /// When the one call of the half-open state was let through.
    probe: Option<Instant>,
    opened: u64,
}

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(host: &str, settings: BreakerSettings) -> Self {
        let inner = Inner {
            failures: 0,
            open: None,
            probe: None,
            opened: 0,
        };
        Self {
            host: host.to_owned(),
            settings,
            inner: Mutex::new(inner),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose it is.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What it lets through now.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.state_at(Instant::now())
    }

    fn state_at(&self, now: Instant) -> BreakerState {
        match self.lock().open {
            None => BreakerState::Closed,
            Some((since, pause)) if now - since >= pause => BreakerState::HalfOpen,
            Some(_) => BreakerState::Open,
        }
    }

    /// How long it lets nothing through; `None` when it is not open.
    #[must_use]
    pub fn remaining_pause(&self) -> Option<Duration> {
        let (since, pause) = self.lock().open?;
        let left = pause.saturating_sub(since.elapsed());
        (!left.is_zero()).then_some(left)
    }

    /// How often it opened.
    #[must_use]
    pub fn times_opened(&self) -> u64 {
        self.lock().opened
    }

    /// Asks to make a call.
    ///
    /// # Errors
    /// When it is open: how long to wait before asking again.
    pub fn admit_call(&self) -> Result<(), Duration> {
        self.enter_at(Instant::now())
    }

    fn enter_at(&self, now: Instant) -> Result<(), Duration> {
        let mut inner = self.lock();
        let Some((since, pause)) = inner.open else {
            return Ok(());
        };
        let left = pause.saturating_sub(now - since);
        if !left.is_zero() {
            return Err(left);
        }
        // A probe whose end is never told (its task was dropped) must not block the host for ever.
        let probed = inner.probe.map(|at| self.settings.pause.saturating_sub(now - at));
        match probed.filter(|left| !left.is_zero()) {
            Some(left) => Err(left),
            None => {
                inner.probe = Some(now);
                Ok(())
            }
        }
    }

    /// The host answered.
    pub fn record_success(&self) {
        let mut inner = self.lock();
        if inner.open.take().is_some() {
            tracing::info!(host = %self.host, "the host answers again, the breaker is closed");
        }
        inner.failures = 0;
        inner.probe = None;
    }

    /// The host did not answer, or with an error of its own. Whether that opens the breaker.
    pub fn record_failure(&self) -> bool {
        self.failed_at(Instant::now())
    }

    fn failed_at(&self, now: Instant) -> bool {
        let mut inner = self.lock();
        inner.failures = inner.failures.saturating_add(1);
        let pause = match inner.open {
            // A call that was under way when it opened says nothing new.
            Some((since, pause)) if now - since < pause => return false,
            Some((_, pause)) => (pause * 2).min(self.settings.longest_pause),
            None if inner.failures < self.settings.failures => return false,
            None => self.settings.pause,
        };
        inner.open = Some((now, pause));
        inner.probe = None;
        inner.opened += 1;
        tracing::warn!(host = %self.host, failures = inner.failures, pause_s = pause.as_secs_f64(), "the breaker is open");
        true
    }
}

/// The breakers of all hosts that are talked to.
#[derive(Debug, Default)]
pub struct Breakers {
    settings: BreakerSettings,
    of: Mutex<BTreeMap<String, Arc<Breaker>>>,
}

impl Breakers {
    /// Breakers with these settings.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            of: Mutex::default(),
        }
    }

    /// The breaker of `host`.
    #[must_use]
    pub fn breaker_for_host(&self, host: &str) -> Arc<Breaker> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            of.entry(host.to_owned())
                .or_insert_with(|| Arc::new(Breaker::new(host, self.settings))),
        )
    }

    /// Every host that was talked to, with the state of its breaker.
    #[must_use]
    pub fn states(&self) -> Vec<(String, BreakerState)> {
        let of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        of.iter()
            .map(|(host, breaker)| (host.clone(), breaker.state()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> Breaker {
        let settings = BreakerSettings {
            failures: 3,
            pause: 10 * SECOND,
            longest_pause: 30 * SECOND,
        };
        Breaker::new("api.example", settings)
    }

    #[test]
    fn opens_half_opens_and_closes() {
        let (breaker, now) = (breaker(), Instant::now());
        breaker.failed_at(now);
        breaker.failed_at(now);
        breaker.record_success();
        breaker.failed_at(now);
        breaker.failed_at(now);
        assert_eq!(
            breaker.state_at(now),
            BreakerState::Closed,
            "only failures in a row count"
        );
        breaker.failed_at(now);
        assert_eq!(breaker.state_at(now), BreakerState::Open);
        assert_eq!(breaker.enter_at(now + SECOND), Err(9 * SECOND));
        let now = now + 10 * SECOND;
        assert_eq!(breaker.state_at(now), BreakerState::HalfOpen);
        assert_eq!(breaker.enter_at(now), Ok(()));
        assert!(breaker.enter_at(now).is_err(), "one call is let through, no more");
        breaker.record_success();
        assert_eq!(
            (breaker.state_at(now), breaker.enter_at(now)),
            (BreakerState::Closed, Ok(()))
        );
        assert_eq!(breaker.times_opened(), 1);
    }

    #[test]
    fn a_failed_probe_doubles_the_pause_up_to_a_limit() {
        let (breaker, mut now) = (breaker(), Instant::now());
        (0..3).for_each(|_| {
            breaker.failed_at(now);
        });
        for pause in [10, 20, 30, 30] {
            assert_eq!(breaker.enter_at(now), Err(pause * SECOND));
            now += pause * SECOND;
            assert_eq!(breaker.enter_at(now), Ok(()));
            breaker.failed_at(now);
        }
    }

    #[test]
    fn a_probe_that_never_ends_does_not_block_the_host() {
        let (breaker, now) = (breaker(), Instant::now());
        (0..3).for_each(|_| {
            breaker.failed_at(now);
        });
        assert_eq!(breaker.enter_at(now + 10 * SECOND), Ok(()));
        assert_eq!(breaker.enter_at(now + 20 * SECOND), Ok(()));
    }
}
