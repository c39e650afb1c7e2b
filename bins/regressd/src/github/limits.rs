//! What GitHub's answers say about its rate limits, and the memory of it.
//!
//! Two kinds: the primary limit counts requests an hour, the secondary one looks at how fast and how much is created.
//! Both come as 403 or 429: `retry-after`, else the time in `x-ratelimit-reset`, else a minute, doubled each time.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The first wait when GitHub does not say how long.
const UNSAID: Duration = Duration::from_secs(60);
/// The longest wait that is believed: limits are of an hour.
const LONGEST: Duration = Duration::from_secs(3700);

/// What an answer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing.
    Nothing,
    /// To wait this long.
    Wait(Duration),
    /// To wait, without saying how long.
    WaitUnsaid,
}

/// Reads a status, its headers and, for limits that come in words only, its message.
pub(super) fn asked(status: u16, header: impl Fn(&str) -> Option<i64>, message: &str, now: i64) -> Asked {
    if status != 403 && status != 429 {
        return Asked::Nothing;
    }
    let seconds = header("retry-after").or_else(|| {
        let used_up = header("x-ratelimit-remaining") == Some(0);
        // A second more: the reset is a whole second, our clock is not.
        header("x-ratelimit-reset")
            .filter(|_| used_up)
            .map(|reset| reset.saturating_sub(now).saturating_add(1))
    });
    match seconds {
        Some(seconds) => Asked::Wait(
            Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).clamp(Duration::from_secs(1), LONGEST),
        ),
        None if status == 429 || message.to_lowercase().contains("rate limit") => Asked::WaitUnsaid,
        None => Asked::Nothing,
    }
}

/// Until when nothing is asked, by installation. GitHub bans those who go on asking.
#[derive(Debug, Default)]
pub(super) struct Waits {
    of: Mutex<HashMap<Option<u64>, Wait>>,
}

#[derive(Debug, Clone, Copy)]
struct Wait {
    until: Instant,
    unsaid: u32,
}

impl Waits {
    /// How long `installation` still has to wait.
    pub(super) fn left(&self, installation: Option<u64>, now: Instant) -> Option<Duration> {
        let waits = self.of.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let left = waits.get(&installation)?.until.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Notes what an answer asked for and gives the wait.
    pub(super) fn note(&self, installation: Option<u64>, asked: Asked, now: Instant) -> Option<Duration> {
        let mut waits = self.of.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let unsaid = waits.get(&installation).map_or(0, |wait| wait.unsaid);
        let (wait, unsaid) = match asked {
            Asked::Nothing => {
                waits.remove(&installation);
                return None;
            }
            Asked::Wait(wait) => (wait, unsaid),
            Asked::WaitUnsaid => ((UNSAID * (1 << unsaid.min(5))).min(LONGEST), unsaid + 1),
        };
        let until = now + wait;
        waits.insert(installation, Wait { until, unsaid });
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, headers: &[(&str, i64)], message: &str) -> Asked {
        let header = |name: &str| {
            headers
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| *value)
        };
        asked(status, header, message, 1_000)
    }

    #[test]
    fn waits_are_those_that_github_asks_for() {
        let seconds = |seconds| Asked::Wait(Duration::from_secs(seconds));
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
            Asked::Nothing
        );
        assert_eq!(
            of(403, &[("x-ratelimit-remaining", 0), ("x-ratelimit-reset", 5)], ""),
            seconds(1)
        );
        assert_eq!(of(403, &[("retry-after", i64::MAX)], ""), seconds(3700));
        assert_eq!(of(429, &[], ""), Asked::WaitUnsaid);
        assert_eq!(
            of(403, &[], "You have exceeded a secondary rate limit"),
            Asked::WaitUnsaid
        );
        assert_eq!(
            of(403, &[], "Resource not accessible by integration"),
            Asked::Nothing
        );
        assert_eq!(of(500, &[("retry-after", 7)], ""), Asked::Nothing);
    }

    #[test]
    fn unsaid_waits_double_until_an_answer_comes() {
        let (waits, now) = (Waits::default(), Instant::now());
        let note = |asked| waits.note(Some(1), asked, now).map(|wait| wait.as_secs());
        assert_eq!(
            [note(Asked::WaitUnsaid), note(Asked::WaitUnsaid)],
            [Some(60), Some(120)]
        );
        assert_eq!(
            waits.left(Some(2), now),
            None,
            "another installation need not wait"
        );
        assert_eq!(
            waits.left(Some(1), now + Duration::from_secs(119)),
            Some(Duration::from_secs(1))
        );
        assert_eq!(waits.left(Some(1), now + Duration::from_secs(120)), None);
        note(Asked::Nothing);
        assert_eq!(note(Asked::WaitUnsaid), Some(60));
    }
}
