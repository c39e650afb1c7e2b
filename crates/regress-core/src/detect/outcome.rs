//! What the verdicts on all benchmarks come to together.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::VerdictKind;

/// The verdict over all benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// At least one benchmark is slower, none faster.
    Regression,
    /// Some are slower, some faster.
    Mixed,
    /// At least one is faster, none slower.
    Improvement,
    /// None is known to be slower, at least one is suspected: another run of the commit would decide. Never a success.
    Suspected,
    /// Nothing changed.
    Unchanged,
    /// Nothing could be judged.
    NotJudged,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 6] = [
        Self::Regression,
        Self::Mixed,
        Self::Improvement,
        Self::Suspected,
        Self::Unchanged,
        Self::NotJudged,
    ];

    /// The outcome that these verdicts have together.
    #[must_use]
    pub fn of_verdicts(verdicts: impl IntoIterator<Item = VerdictKind>) -> Self {
        let (mut slower, mut faster, mut suspected, mut unchanged) = (false, false, false, false);
        for verdict in verdicts {
            slower |= verdict == VerdictKind::Regression;
            suspected |= verdict == VerdictKind::Suspected;
            faster |= verdict == VerdictKind::Improvement;
            unchanged |= verdict == VerdictKind::Unchanged;
        }
        match (slower, faster) {
            (true, true) => Self::Mixed,
            (true, false) => Self::Regression,
            (false, _) if suspected => Self::Suspected,
            (false, true) => Self::Improvement,
            (false, false) if unchanged => Self::Unchanged,
            (false, false) => Self::NotJudged,
        }
    }

    /// Whether something got slower: the reason to fail a build.
    #[must_use]
    pub fn has_regression(self) -> bool {
        matches!(self, Self::Regression | Self::Mixed)
    }

    /// Whether something got slower or faster.
    #[must_use]
    pub fn has_change(self) -> bool {
        self.has_regression() || self == Self::Improvement
    }

    /// Its name where programs read it: `not-judged`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::Mixed => "mixed",
            Self::Improvement => "improvement",
            Self::Suspected => "suspected",
            Self::Unchanged => "unchanged",
            Self::NotJudged => "not-judged",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no outcome; those are regression, mixed, improvement, suspected, unchanged and not-judged")]
pub struct UnknownOutcome(String);

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, UnknownOutcome> {
        let found = Self::ALL.into_iter().find(|outcome| outcome.as_str() == text);
        found.ok_or_else(|| UnknownOutcome(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_change_outweighs_what_did_not_change_or_was_not_judged() {
        use VerdictKind::{EnvironmentChanged, Improvement, NotEnoughData, Regression, Unchanged};
        let of = |verdicts: &[VerdictKind]| Outcome::of_verdicts(verdicts.iter().copied()).as_str();
        assert_eq!(of(&[]), "not-judged");
        assert_eq!(of(&[NotEnoughData, EnvironmentChanged]), "not-judged");
        assert_eq!(of(&[NotEnoughData, Unchanged]), "unchanged");
        assert_eq!(of(&[Unchanged, Regression, NotEnoughData]), "regression");
        assert_eq!(of(&[Unchanged, Improvement]), "improvement");
        assert_eq!(of(&[Regression, Improvement]), "mixed");
        let suspected = VerdictKind::Suspected;
        assert_eq!(of(&[Unchanged, Improvement, suspected]), "suspected");
        assert_eq!(of(&[suspected, Regression]), "regression");
    }

    #[test]
    fn names_are_read_back_and_others_refused() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.to_string().parse(), Ok(outcome));
        }
        assert!("no change".parse::<Outcome>().is_err());
    }
}
