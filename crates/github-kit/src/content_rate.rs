//! Content is made no faster than GitHub allows: 80 requests a minute, 500 an hour, for each installation.
//!
//! A program of several processes counts in a place that they share. Where GitHub says no all the same, it is obeyed.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use crate::SharedStateError;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Requests that make content, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentLimits {
    /// In any minute.
    pub a_minute: usize,
    /// In any hour.
    pub an_hour: usize,
}

impl Default for ContentLimits {
    fn default() -> Self {
        Self {
            a_minute: 80,
            an_hour: 500,
        }
    }
}

/// Where it is counted what each installation made.
pub trait ContentRateLimiter: fmt::Debug + Send + Sync {
    /// Takes a place for one request that is made now; else says for how many milliseconds there is none.
    ///
    /// # Errors
    /// The future fails when it cannot be counted.
    fn reserve_content_request(
        &self,
        installation: u64,
        limits: ContentLimits,
    ) -> BoxFuture<'_, Result<Option<u64>, SharedStateError>>;
}

/// Counted within this process alone, for as many installations as there are: forgetting one would pass its limit.
#[derive(Debug, Default)]
pub struct MemoryContentRate(Mutex<HashMap<u64, Vec<i64>>>);

impl ContentRateLimiter for MemoryContentRate {
    fn reserve_content_request(
        &self,
        installation: u64,
        limits: ContentLimits,
    ) -> BoxFuture<'_, Result<Option<u64>, SharedStateError>> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = reserve_request(
            made.entry(installation).or_default(),
            limits,
            Timestamp::now().as_millisecond(),
        );
        Box::pin(std::future::ready(Ok(wait)))
    }
}

/// Takes a place at `now`; `made` are the times of the requests before, oldest first. Times are milliseconds.
#[must_use]
pub fn reserve_request(made: &mut Vec<i64>, limits: ContentLimits, now: i64) -> Option<u64> {
    // Clocks of several machines differ a little, and may be set back.
    made.retain(|at| now - HOUR < *at && *at <= now + MINUTE);
    made.sort_unstable();
    let full = |most: usize, span: i64| {
        let first = made
            .len()
            .checked_sub(most.max(1))
            .and_then(|index| made.get(index))?;
        u64::try_from(first + span - now).ok().filter(|left| *left > 0)
    };
    let wait = full(limits.an_hour, HOUR).max(full(limits.a_minute, MINUTE));
    if wait.is_none() {
        made.push(now);
    }
    wait
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_limit_is_ever_passed() {
        let limits = ContentLimits::default();
        let (mut kept, mut made, mut now) = (Vec::new(), Vec::new(), 0_i64);
        while made.len() < 1200 {
            match reserve_request(&mut kept, limits, now) {
                None => made.push(now),
                Some(wait) => now += i64::try_from(wait).unwrap(),
            }
        }
        let within = |span: i64, most: usize| made.windows(most + 1).all(|some| some[most] - some[0] >= span);
        assert!(within(MINUTE, 80) && within(HOUR, 500));
        assert!(made[499] < 420_000, "and no slower than needed: {}", made[499]);
        assert!(kept.len() <= 500, "what is older than an hour is forgotten");
    }

    #[tokio::test]
    async fn each_installation_has_its_own() {
        let limiter = MemoryContentRate::default();
        let one = ContentLimits {
            a_minute: 1,
            an_hour: 5,
        };
        assert_eq!(limiter.reserve_content_request(7, one).await.unwrap(), None);
        assert!(
            limiter
                .reserve_content_request(7, one)
                .await
                .unwrap()
                .is_some_and(|wait| wait > 50_000)
        );
        assert_eq!(limiter.reserve_content_request(8, one).await.unwrap(), None);
    }
}
