//! What can go wrong with a database, and what the user does about it.

use std::io;
use std::sync::Arc;

use database_kit::{Location, LocationError, MigrationError};
use snippex_core::codec::CodecError;
use thiserror::Error;

use crate::driver_error::DriverError;

/// Why the store could not do what it was asked. [`StoreError::hint`] says what to do about it.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The text does not say where a database is.
    #[error(transparent)]
    BadLocation(#[from] LocationError),
    /// There is no database, and none was to be made.
    #[error("there is no database at {location}")]
    NoDatabase {
        /// Where it should be.
        location: Location,
    },
    /// The file cannot be opened, or not for writing.
    #[error("the database {location} cannot be opened for writing")]
    File {
        /// The file.
        location: Location,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file is not a SQLite database.
    #[error("{location} is not a database")]
    NotADatabase {
        /// The file.
        location: Location,
    },
    /// A database of another program.
    #[error("{location} is a database, but not one of snippex")]
    Foreign {
        /// The database.
        location: Location,
    },
    /// Written by a newer snippex.
    #[error("the database {location} has schema version {found}, this snippex knows up to {latest}")]
    NewerSchema {
        /// The database.
        location: Location,
        /// Its version.
        found: i64,
        /// The newest version of such a database that this program knows.
        latest: i64,
    },
    /// It can be read but not written.
    #[error("the database {location} is read-only")]
    ReadOnly {
        /// The database.
        location: Location,
        /// What the database says.
        #[source]
        source: DriverError,
    },
    /// No space is left.
    #[error("the disk is full: nothing more can be written to {location}")]
    Full {
        /// The database.
        location: Location,
        /// What the database says.
        #[source]
        source: DriverError,
    },
    /// Another process kept the database locked for longer than [`BUSY_TIMEOUT`](crate::BUSY_TIMEOUT).
    #[error("the database {location} is busy")]
    Busy {
        /// The database.
        location: Location,
        /// What the database says.
        #[source]
        source: DriverError,
    },
    /// The content of the file is damaged.
    #[error("the database {location} is damaged")]
    Damaged {
        /// The database.
        location: Location,
        /// What the database says.
        #[source]
        source: DriverError,
    },
    /// The server does not answer, or the connection broke.
    #[error("the server of {location} cannot be reached")]
    Unreachable {
        /// The database.
        location: Location,
        /// What the network says.
        #[source]
        source: DriverError,
    },
    /// The server answers, but does not let us in: user, password, database name, rights.
    #[error("the server of {location} refuses")]
    Refused {
        /// The database.
        location: Location,
        /// What the server says.
        #[source]
        source: DriverError,
    },
    /// A row that this one belongs to is not there (any more).
    #[error("failed to {doing}: what it belongs to is not in the database {location}")]
    Orphan {
        /// The operation.
        doing: &'static str,
        /// The database.
        location: Location,
        /// What the database says.
        #[source]
        source: DriverError,
    },
    /// There is nothing with this number.
    #[error("there is no {what} {number} in the database {location}")]
    Missing {
        /// What was asked for: "block", "run", ...
        what: &'static str,
        /// Its number.
        number: i64,
        /// The database.
        location: Location,
    },
    /// A value in the database is not one that snippex writes.
    #[error("the database {location} holds an unknown {what}: {value:?}")]
    Value {
        /// The database.
        location: Location,
        /// What the value should be.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// A stored case or observation does not decode.
    #[error("the database {location} holds a {what} that cannot be read")]
    Codec {
        /// The database.
        location: Location,
        /// "case" or "observation".
        what: &'static str,
        /// Why.
        #[source]
        source: CodecError,
    },
    /// A stored case or observation cannot be unpacked.
    #[error("the database {location} holds a {what} that is damaged")]
    Packed {
        /// The database.
        location: Location,
        /// "case" or "observation".
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Any other answer of the database.
    #[error("failed to {doing} in the database {location}")]
    Query {
        /// The operation.
        doing: &'static str,
        /// The database.
        location: Location,
        /// What the database says.
        #[source]
        source: DriverError,
    },
    /// A batch that was handed over earlier could not be saved.
    #[error("failed to save results")]
    Unsaved(#[source] Arc<StoreError>),
    /// The thread that writes has ended.
    #[error("the thread that writes to the database has ended")]
    Ended,
    /// The runtime or the thread of the blocking handle could not be started.
    #[error("failed to start the thread that writes to the database")]
    Start(#[source] io::Error),
}

impl StoreError {
    /// What the user can do, as a sentence without a full stop.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::BadLocation(_) => "give --database a file path or postgres://user@host/database",
            Self::NoDatabase { .. } => {
                "run `snippex extract` or `snippex check` first, or name another file with --database"
            }
            Self::File { .. } => {
                "check that the path is right and that you may write there, or name another file with --database"
            }
            Self::NotADatabase { .. } | Self::Foreign { .. } => {
                "name another file with --database; snippex leaves this one as it is"
            }
            Self::NewerSchema { .. } => {
                "use the newer snippex that wrote it, or name another file with --database"
            }
            Self::ReadOnly { .. } => {
                "make the file and its directory writable, or name another file with --database"
            }
            Self::Full { .. } => "free some space and run the command again; what was saved so far is kept",
            Self::Busy { .. } => "wait for the other snippex to finish, or use PostgreSQL for many writers",
            Self::Damaged { .. } => "restore it from a copy, or delete the file and run the command again",
            Self::Unreachable { .. } => "check host and port in --database and that the server runs",
            Self::Refused { .. } => {
                "check user, password and database name in --database, and the user's rights"
            }
            Self::Orphan { .. } => "another command removed it meanwhile; run this command again",
            Self::Missing { what: "run", .. } => "see `snippex list --runs` for what is there",
            Self::Missing {
                what: "divergence", ..
            } => "see `snippex list --divergences RUN` for those of a run, and `snippex list --runs`",
            Self::Missing {
                what: "observation", ..
            } => "`snippex simulate` keeps observations; `snippex list --observations` lists them",
            Self::Missing { what: "binary", .. } => "see `snippex list --binaries` for what is there",
            Self::Missing { .. } => "see `snippex list` for what is there",
            Self::Value { .. } | Self::Codec { .. } | Self::Packed { .. } => {
                "it was changed by another program or a newer snippex; remove the block and run it again"
            }
            Self::Unsaved(earlier) => return earlier.hint(),
            Self::Query { .. } | Self::Ended | Self::Start(_) => return None,
        })
    }

    /// Sorts an answer of the driver by what the user can do about it.
    pub(crate) fn of_driver(location: &Location, doing: &'static str, source: sqlx::Error) -> Self {
        let location = location.clone();
        let source = DriverError(source);
        match (&location, &source.0) {
            (_, sqlx::Error::Io(_) | sqlx::Error::Tls(_)) => Self::Unreachable { location, source },
            (_, sqlx::Error::PoolTimedOut) => Self::Busy { location, source },
            (Location::Sqlite(_), sqlx::Error::Database(error)) => {
                let code = error.code().and_then(|code| code.parse().ok()).unwrap_or(0);
                Self::of_sqlite(code, location, doing, source)
            }
            (Location::Postgres(_), sqlx::Error::Database(error)) => {
                let code = error.code().unwrap_or_default().into_owned();
                Self::of_postgres(&code, location, doing, source)
            }
            _ => Self::Query {
                doing,
                location,
                source,
            },
        }
    }

    /// Result codes: <https://www.sqlite.org/rescode.html>. The low byte is the primary code.
    fn of_sqlite(code: i32, location: Location, doing: &'static str, source: DriverError) -> Self {
        const FOREIGN_KEY: i32 = 787;
        const NO_SPACE_FOR_SHARED_MEMORY: i32 = 4874;
        match (code, code & 0xff) {
            (FOREIGN_KEY, _) => Self::Orphan {
                doing,
                location,
                source,
            },
            (NO_SPACE_FOR_SHARED_MEMORY, _) | (_, 13) => Self::Full { location, source },
            (_, 5 | 6) => Self::Busy { location, source },
            (_, 3 | 8 | 14) => Self::ReadOnly { location, source },
            (_, 11) => Self::Damaged { location, source },
            (_, 26) => Self::NotADatabase { location },
            _ => Self::Query {
                doing,
                location,
                source,
            },
        }
    }

    /// SQLSTATE codes: PostgreSQL manual, appendix A.
    fn of_postgres(code: &str, location: Location, doing: &'static str, source: DriverError) -> Self {
        match code {
            "23503" => Self::Orphan {
                doing,
                location,
                source,
            },
            // A table is there before we made it.
            "42P07" => Self::Foreign { location },
            "53100" => Self::Full { location, source },
            "25006" => Self::ReadOnly { location, source },
            "55P03" | "40P01" => Self::Busy { location, source },
            "3D000" | "42501" | "53300" => Self::Refused { location, source },
            "57P01" | "57P02" | "57P03" => Self::Unreachable { location, source },
            _ if code.starts_with("28") => Self::Refused { location, source },
            _ if code.starts_with("XX") => Self::Damaged { location, source },
            _ => Self::Query {
                doing,
                location,
                source,
            },
        }
    }
}

impl From<MigrationError> for StoreError {
    fn from(error: MigrationError) -> Self {
        match error {
            MigrationError::Foreign { location } => Self::Foreign { location },
            MigrationError::Newer {
                location,
                found,
                latest,
            } => Self::NewerSchema {
                location,
                found,
                latest,
            },
            MigrationError::Driver {
                doing,
                location,
                source,
            } => Self::of_driver(&location, doing, source),
        }
    }
}
