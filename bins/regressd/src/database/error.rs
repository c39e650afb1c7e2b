//! What can go wrong with the database.

use std::sync::Arc;

/// An operation on the database failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The place cannot be understood.
    #[error("{location:?} is not a database: {reason}")]
    Location {
        /// As given, without secrets.
        location: String,
        /// What is wrong, and what to give instead.
        reason: &'static str,
    },
    /// The file or its folder cannot be used.
    #[error("cannot open the database {location}: {source}; name another one with --database")]
    File {
        /// Where.
        location: String,
        /// The system's answer.
        source: Arc<std::io::Error>,
    },
    /// The file is a SQLite database of another program.
    #[error("{location} is a database of another program; name another file with --database")]
    Foreign {
        /// Where.
        location: String,
    },
    /// Written by a newer regressd.
    #[error(
        "the database {location} has schema version {found}, this regressd knows up to {latest}; use a newer regressd"
    )]
    Newer {
        /// Where.
        location: String,
        /// Its version.
        found: i64,
        /// The newest version that is known.
        latest: i64,
    },
    /// The schema is older than this program and this command must not change it.
    #[error("the database {location} has schema version {found} and needs {latest}: run regressd migrate")]
    Outdated {
        /// Where.
        location: String,
        /// Its version.
        found: i64,
        /// The version that is needed.
        latest: i64,
    },
    /// The driver's answer.
    #[error("database: {0}")]
    Driver(Arc<sqlx::Error>),
    /// The writer has ended: the service is shutting down.
    #[error("the database is closed")]
    Closed,
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(Arc::new(error))
    }
}
