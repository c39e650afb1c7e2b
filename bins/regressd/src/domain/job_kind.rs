//! The kinds of work that are done after a request was answered.

use std::fmt;
use std::str::FromStr;

/// A kind of job. The comment says what its key is made of: two jobs with the same key are never done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Act on a webhook (its delivery id).
    Webhook,
    /// Judge a run (its number).
    Judge,
    /// Write the comment of a pull request (repository and number).
    Comment,
    /// Write the check run of a commit (repository and commit).
    Check,
    /// End the check run of a commit if it still waits (repository, commit and reason). It is due long after it was asked
    /// for.
    EndCheck,
    /// Ask for a confirming run (stream and commit).
    Confirm,
    /// Open or update the issue of what a commit made slower for good (repository, branch and commit).
    Issue,
    /// Take the commits that a forced push left behind out of the history (repository, branch and both commits).
    Rewrite,
}

impl JobKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Webhook,
        Self::Judge,
        Self::Comment,
        Self::Check,
        Self::EndCheck,
        Self::Confirm,
        Self::Issue,
        Self::Rewrite,
    ];

    /// Its name in the database and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Judge => "judge",
            Self::Comment => "comment",
            Self::Check => "check",
            Self::EndCheck => "end-check",
            Self::Confirm => "confirm",
            Self::Issue => "issue",
            Self::Rewrite => "rewrite",
        }
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no kind of job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no work of the kind {0:?} in this version")]
pub struct UnknownJobKind(String);

impl FromStr for JobKind {
    type Err = UnknownJobKind;

    fn from_str(text: &str) -> Result<Self, UnknownJobKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| UnknownJobKind(text.to_owned()))
    }
}

/// A kind as it stands in the database. While a service is upgraded, a newer process may enqueue kinds that an older
/// one does not know: such a job fails by itself, and keeps none of the others from being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredJobKind {
    /// One of ours.
    Known(JobKind),
    /// One of another version.
    Unknown(String),
}

impl StoredJobKind {
    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(kind) => kind.as_str(),
            Self::Unknown(name) => name,
        }
    }

    /// The kind of work.
    ///
    /// # Errors
    /// When this version has no such work.
    pub fn known_kind(&self) -> Result<JobKind, UnknownJobKind> {
        match self {
            Self::Known(kind) => Ok(*kind),
            Self::Unknown(name) => Err(UnknownJobKind(name.clone())),
        }
    }
}

impl From<String> for StoredJobKind {
    fn from(name: String) -> Self {
        name.parse().map_or_else(|_| Self::Unknown(name), Self::Known)
    }
}

impl fmt::Display for StoredJobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
