//! How often one token, and one address without a token, may ask.

use std::net::IpAddr;
use std::num::NonZeroU32;

use axum::http::StatusCode;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::problem::Problem;
use crate::settings::Server;

/// Keys that are remembered before those that did not ask lately are forgotten.
const MANY: usize = 10_000;

/// The limits that the settings ask for.
#[derive(Debug, Default)]
pub struct RequestLimits {
    principals: Option<DefaultKeyedRateLimiter<String>>,
    addresses: Option<DefaultKeyedRateLimiter<IpAddr>>,
}

impl RequestLimits {
    /// The limits of the settings; everybody starts anew.
    #[must_use]
    pub fn new(settings: &Server) -> Self {
        let quota = |count| NonZeroU32::new(count).map(Quota::per_minute);
        Self {
            principals: quota(settings.requests_per_token_minute).map(RateLimiter::keyed),
            addresses: quota(settings.requests_per_address_minute).map(RateLimiter::keyed),
        }
    }

    /// Counts a request of somebody known.
    pub(crate) fn check_principal_limit(&self, name: &str) -> Result<(), Problem> {
        check(self.principals.as_ref(), &name.to_owned(), "token")
    }

    /// Counts a request of an address without a valid token.
    pub(crate) fn check_address_limit(&self, address: IpAddr) -> Result<(), Problem> {
        check(self.addresses.as_ref(), &address, "address")
    }
}

fn check<K: Clone + std::hash::Hash + Eq>(
    limiter: Option<&DefaultKeyedRateLimiter<K>>,
    key: &K,
    what: &'static str,
) -> Result<(), Problem> {
    let Some(limiter) = limiter else {
        return Ok(());
    };
    if limiter.len() > MANY {
        limiter.retain_recent();
    }
    limiter.check_key(key).map_err(|until| {
        let wait = until.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
        metrics::counter!("regressd_rate_limited_total", "by" => what).increment(1);
        let detail = format!("too many requests of this {what}; wait {wait} s");
        Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).with_retry_after(wait)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_token_does_not_use_up_the_others() {
        let limits = RequestLimits::new(&Server {
            requests_per_token_minute: 2,
            ..Server::default()
        });
        assert!(limits.check_principal_limit("a").is_ok() && limits.check_principal_limit("a").is_ok());
        let problem = limits.check_principal_limit("a").unwrap_err();
        assert!(problem.status == 429 && problem.retry_after.is_some());
        assert!(limits.check_principal_limit("b").is_ok());
        assert!(
            RequestLimits::default().check_principal_limit("a").is_ok(),
            "no limit"
        );
    }
}
