//! What can go wrong with the database.

use std::sync::Arc;

use database_kit::{LocationError, MigrationError};

/// An operation on the database failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The place cannot be understood.
    #[error(transparent)]
    Location(#[from] LocationError),
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

impl From<MigrationError> for DatabaseError {
    fn from(error: MigrationError) -> Self {
        match error {
            MigrationError::Foreign { location } => Self::Foreign {
                location: location.to_string(),
            },
            MigrationError::Newer {
                location,
                found,
                latest,
            } => Self::Newer {
                location: location.to_string(),
                found,
                latest,
            },
            MigrationError::Driver { source, .. } => source.into(),
        }
    }
}
