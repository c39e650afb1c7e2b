//! Content is made no faster than GitHub allows: 80 requests a minute, 500 an hour, for each installation.
//!
//! Each process counts for itself. With several workers GitHub may still say no, and is then obeyed: see
//! [`limits`](super::limits).

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// When each installation made content during the last hour.
#[derive(Debug)]
pub struct ContentPace {
    a_minute: usize,
    an_hour: usize,
    made: Mutex<HashMap<u64, VecDeque<Instant>>>,
}

impl Default for ContentPace {
    fn default() -> Self {
        Self::new(80, 500)
    }
}

impl ContentPace {
    /// At most so many requests a minute and an hour.
    #[must_use]
    pub fn new(a_minute: usize, an_hour: usize) -> Self {
        Self {
            a_minute: a_minute.max(1),
            an_hour: an_hour.max(1),
            made: Mutex::default(),
        }
    }

    /// Takes a place for one request made at `now`.
    ///
    /// # Errors
    /// When there is none: how long until there is.
    pub fn take(&self, installation: u64, now: Instant) -> Result<(), Duration> {
        let mut made = self
            .made
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let made = made.entry(installation).or_default();
        while made.front().is_some_and(|first| now - *first >= HOUR) {
            made.pop_front();
        }
        let full = |most: usize, span: Duration| {
            let first = made.len().checked_sub(most).and_then(|index| made.get(index))?;
            let left = (*first + span).saturating_duration_since(now);
            (!left.is_zero()).then_some(left)
        };
        match full(self.an_hour, HOUR).max(full(self.a_minute, MINUTE)) {
            Some(wait) => Err(wait),
            None => {
                made.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_limit_is_ever_passed() {
        let pace = ContentPace::default();
        let mut made = Vec::new();
        let start = Instant::now();
        let mut now = start;
        while made.len() < 1200 {
            match pace.take(7, now) {
                Ok(()) => made.push(now - start),
                Err(wait) => now += wait,
            }
        }
        let within =
            |span: Duration, most: usize| made.windows(most + 1).all(|some| some[most] - some[0] >= span);
        assert!(within(MINUTE, 80) && within(HOUR, 500));
        assert!(
            made[499] < Duration::from_secs(420),
            "and no slower than needed: {:?}",
            made[499]
        );
        assert_eq!(pace.take(8, now), Ok(()), "another installation has its own");
    }
}
