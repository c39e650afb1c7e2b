//! What GitHub's answers say about its rate limits, and the memory of it.
//!
//! Two kinds: the primary limit counts requests an hour, the secondary one looks at how fast and how much is created.
//! Both come as 403 or 429: `retry-after`, else the time in `x-ratelimit-reset`, else a minute, doubled each time.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::locked;

/// The first wait when GitHub does not say how long.
const FIRST_UNSPECIFIED_WAIT: Duration = Duration::from_secs(60);
/// The longest wait that is believed: limits are of an hour.
const MAX_WAIT: Duration = Duration::from_secs(3700);

/// What an answer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestedWait {
    /// Nothing.
    None,
    /// To wait this long.
    For(Duration),
    /// To wait, without saying how long.
    Unspecified,
}

/// Reads a status, its headers and, for limits that come in words only, its message.
pub(super) fn requested_wait(
    status: u16,
    header: impl Fn(&str) -> Option<i64>,
    message: &str,
    now: i64,
) -> RequestedWait {
    if status != 403 && status != 429 {
        return RequestedWait::None;
    }
    let seconds = header("retry-after").or_else(|| {
        let used_up = header("x-ratelimit-remaining") == Some(0);
        // A second more: the reset is a whole second, our clock is not.
        header("x-ratelimit-reset")
            .filter(|_| used_up)
            .map(|reset| reset.saturating_sub(now).saturating_add(1))
    });
    match seconds {
        Some(seconds) => RequestedWait::For(
            Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).clamp(Duration::from_secs(1), MAX_WAIT),
        ),
        None if status == 429 || message.to_lowercase().contains("rate limit") => RequestedWait::Unspecified,
        None => RequestedWait::None,
    }
}

/// Until when nothing is asked, by installation. GitHub bans those who go on asking, so this is no cache: nothing may
/// be forgotten for want of room.
#[derive(Debug, Default)]
pub(super) struct RequestedWaits {
    of: Mutex<HashMap<Option<u64>, Wait>>,
}

#[derive(Debug, Clone, Copy)]
struct Wait {
    until: Instant,
    unspecified: u32,
}

impl RequestedWaits {
    /// How long `installation` still has to wait.
    pub(super) fn remaining_wait(&self, installation: Option<u64>, now: Instant) -> Option<Duration> {
        let waits = locked(&self.of);
        let left = waits.get(&installation)?.until.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Notes what an answer asked for and gives the wait.
    pub(super) fn record_wait(
        &self,
        installation: Option<u64>,
        asked: RequestedWait,
        now: Instant,
    ) -> Option<Duration> {
        let mut waits = locked(&self.of);
        let unspecified = waits.get(&installation).map_or(0, |wait| wait.unspecified);
        let (wait, unspecified) = match asked {
            RequestedWait::None => {
                waits.remove(&installation);
                return None;
            }
            RequestedWait::For(wait) => (wait, unspecified),
            RequestedWait::Unspecified => (
                (FIRST_UNSPECIFIED_WAIT * (1 << unspecified.min(5))).min(MAX_WAIT),
                unspecified + 1,
            ),
        };
        let until = now + wait;
        waits.insert(installation, Wait { until, unspecified });
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, headers: &[(&str, i64)], message: &str) -> RequestedWait {
        let header = |name: &str| {
            headers
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| *value)
        };
        requested_wait(status, header, message, 1_000)
    }

    #[test]
    fn waits_are_those_that_github_asks_for() {
        let seconds = |seconds| RequestedWait::For(Duration::from_secs(seconds));
        assert_eq!(
            of(403, &[("retry-after", 7), ("x-ratelimit-reset", 9)], ""),
            seconds(7)
        );
        assert_eq!(
            of(
                429,
                &[("x-ratelimit-remaining", 0), ("x-ratelimit-reset", 1_030)],
                ""
            ),
            seconds(31)
        );
        assert_eq!(
            of(
                403,
                &[("x-ratelimit-remaining", 9), ("x-ratelimit-reset", 1_030)],
                ""
            ),
            RequestedWait::None
        );
        assert_eq!(
            of(403, &[("x-ratelimit-remaining", 0), ("x-ratelimit-reset", 5)], ""),
            seconds(1)
        );
        assert_eq!(of(403, &[("retry-after", i64::MAX)], ""), seconds(3700));
        assert_eq!(of(429, &[], ""), RequestedWait::Unspecified);
        assert_eq!(
            of(403, &[], "You have exceeded a secondary rate limit"),
            RequestedWait::Unspecified
        );
        assert_eq!(
            of(403, &[], "Resource not accessible by integration"),
            RequestedWait::None
        );
        assert_eq!(of(500, &[("retry-after", 7)], ""), RequestedWait::None);
    }

    #[test]
    fn unspecified_waits_double_until_an_answer_comes() {
        let (waits, now) = (RequestedWaits::default(), Instant::now());
        let note = |asked| waits.record_wait(Some(1), asked, now).map(|wait| wait.as_secs());
        assert_eq!(
            [note(RequestedWait::Unspecified), note(RequestedWait::Unspecified)],
            [Some(60), Some(120)]
        );
        assert_eq!(
            waits.remaining_wait(Some(2), now),
            None,
            "another installation need not wait"
        );
        assert_eq!(
            waits.remaining_wait(Some(1), now + Duration::from_secs(119)),
            Some(Duration::from_secs(1))
        );
        assert_eq!(
            waits.remaining_wait(Some(1), now + Duration::from_secs(120)),
            None
        );
        note(RequestedWait::None);
        assert_eq!(note(RequestedWait::Unspecified), Some(60));
    }
}
