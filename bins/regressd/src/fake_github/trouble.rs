//! Failures on command.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What goes wrong, for some time or some requests; for both: until the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What.
    pub kind: TroubleKind,
    /// For how long.
    #[serde(default)]
    pub milliseconds: Option<u64>,
    /// For how many requests.
    #[serde(default)]
    pub requests: Option<u32>,
    /// Only for requests that make or change something.
    #[serde(default)]
    pub only_writes: bool,
}

/// A kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TroubleKind {
    /// Every request is answered with 503 and does nothing.
    Outage,
    /// Every request is answered with 500 and does nothing.
    ServerErrors,
    /// The request does its work, but the answer is a 502.
    LostAnswers,
    /// The answer comes after two seconds.
    Slow,
    /// 403 with `x-ratelimit-remaining: 0` and a reset in two seconds.
    PrimaryLimit,
    /// 403 with `retry-after: 1`.
    SecondaryLimit,
    /// 403 with words only.
    SecondaryLimitUnsaid,
    /// Tokens are refused with 401.
    Unauthorized,
}

/// The trouble that is going on.
#[derive(Debug, Default)]
pub(super) struct Troubles(Option<(Trouble, Option<Instant>)>);

impl Troubles {
    /// Begins, or ends with `None`.
    pub(super) fn set_trouble(&mut self, trouble: Option<Trouble>) {
        let until = |trouble: Trouble| {
            trouble
                .milliseconds
                .map(|milliseconds| Instant::now() + Duration::from_millis(milliseconds))
        };
        self.0 = trouble.map(|trouble| (trouble, until(trouble)));
    }

    /// What happens to the next request.
    pub(super) fn next(&mut self, writes: bool) -> Option<TroubleKind> {
        let (trouble, until) = self.0.as_mut()?;
        if until.is_some_and(|until| until <= Instant::now()) || trouble.requests == Some(0) {
            self.0 = None;
            return None;
        }
        if trouble.only_writes && !writes {
            return None;
        }
        let kind = trouble.kind;
        if let Some(requests) = &mut trouble.requests {
            *requests -= 1;
        }
        Some(kind)
    }
}
