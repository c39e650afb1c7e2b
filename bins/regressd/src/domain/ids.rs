//! The numbers that the database gives to what it stores, and the order of histories.

use database_kit::UnixMillis;
use serde::{Deserialize, Serialize};

/// The number of a repository in this database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RepositoryId(pub i64);

/// The number of a stream: a component of a repository in one environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamId(pub i64);

/// The number of a series: a benchmark's measure in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeriesId(pub i64);

/// The number of a run; later runs have higher ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub i64);

/// Where a run stands in a history: by the time of its commit where the upload told it, else by when it arrived; of two at
/// the same time, the one that was stored first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HistoryPlace {
    /// The time.
    pub at: UnixMillis,
    /// The run.
    pub run: RunId,
}

impl HistoryPlace {
    /// Before every run.
    pub const FIRST: Self = Self {
        at: UnixMillis(i64::MIN),
        run: RunId(i64::MIN),
    };
    /// After every run.
    pub const LAST: Self = Self {
        at: UnixMillis(i64::MAX),
        run: RunId(i64::MAX),
    };
}
