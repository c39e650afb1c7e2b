//! The times that are stored in databases.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A point in time as the databases keep it: milliseconds since 1970-01-01 00:00 UTC. 64 bits of them are enough for
/// 292 million years, compare like the times they stand for, and are the same in both databases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// Now, by this machine's clock.
    #[must_use]
    pub fn now() -> Self {
        Self(Timestamp::now().as_millisecond())
    }

    /// This time and `wait` more, to whole milliseconds; stays within the range.
    #[must_use]
    pub fn saturating_add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(whole_milliseconds(wait)))
    }

    /// This time less `back`, to whole milliseconds; stays within the range.
    #[must_use]
    pub fn saturating_sub(self, back: Duration) -> Self {
        Self(self.0.saturating_sub(whole_milliseconds(back)))
    }
}

fn whole_milliseconds(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for UnixMillis {
    /// RFC 3339 in UTC; the bare number where a calendar has no such year.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_millisecond(self.0) {
            Ok(time) => time.fmt(f),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_utc_and_stays_in_its_range() {
        assert_eq!(UnixMillis(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(UnixMillis(i64::MAX).to_string(), "9223372036854775807 ms");
        assert_eq!(
            UnixMillis(1).saturating_sub(Duration::from_millis(3)),
            UnixMillis(-2)
        );
        assert_eq!(
            UnixMillis(i64::MAX).saturating_add(Duration::MAX),
            UnixMillis(i64::MAX)
        );
        assert_eq!(
            UnixMillis(i64::MIN).saturating_sub(Duration::MAX),
            UnixMillis(i64::MIN)
        );
    }
}
