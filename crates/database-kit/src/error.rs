//! What can go wrong before a database is ready. Programs turn these into errors of their own, which name their flags.

use thiserror::Error;

use crate::{Dialect, Location};

/// A text that does not say where a database is, or a place that the driver does not take.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{location:?} is not a database: {reason}")]
pub struct LocationError {
    /// What was given, without anything that could be a password.
    pub location: String,
    /// What is wrong with it, and what to give instead.
    pub reason: &'static str,
}

/// Why the schema could not be brought up to date.
#[derive(Debug, Error)]
pub enum MigrationError {
    /// A SQLite file of another program. It is left as it is.
    #[error("{location} is a database of another program; name another file")]
    Foreign {
        /// The file.
        location: Location,
    },
    /// Written by a newer version of the program. It is left as it is.
    #[error(
        "the database {location} has schema version {found}, known are those up to {latest}; use a newer program"
    )]
    Newer {
        /// The database.
        location: Location,
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        latest: i64,
    },
    /// The driver's answer.
    #[error("failed to {doing} in the database {location}")]
    Driver {
        /// The operation.
        doing: &'static str,
        /// The database.
        location: Location,
        /// What the database or the network says.
        #[source]
        source: sqlx::Error,
    },
}

impl MigrationError {
    /// Whether another process has the database at this moment, so that trying again makes sense.
    pub(crate) fn is_busy(&self) -> bool {
        match self {
            Self::Driver { location, source, .. } => is_busy(Dialect::of_location(location), source),
            Self::Foreign { .. } | Self::Newer { .. } => false,
        }
    }
}

/// Whether an answer of the driver says that another connection holds a lock.
///
/// SQLite: <https://www.sqlite.org/rescode.html>, where the low byte is the primary code (`BUSY` and `LOCKED`).
/// PostgreSQL: `lock_not_available` and `deadlock_detected`.
#[must_use]
pub fn is_busy(dialect: Dialect, error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    let Some(code) = code else { return false };
    match dialect {
        Dialect::Sqlite => code.parse().is_ok_and(|code: i32| matches!(code & 0xff, 5 | 6)),
        Dialect::Postgres => matches!(&*code, "55P03" | "40P01"),
    }
}
