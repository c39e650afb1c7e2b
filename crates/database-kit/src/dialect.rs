//! The few words that SQLite and PostgreSQL do not share. Every other statement has one text for both.

use sqlx::AnyConnection;

use crate::Location;

/// Which of the two databases a statement is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Dialect {
    /// That of the database at `location`.
    #[must_use]
    pub fn of_location(location: &Location) -> Self {
        match location {
            Location::Sqlite(_) => Self::Sqlite,
            Location::Postgres(_) => Self::Postgres,
        }
    }

    /// That of an open connection.
    #[must_use]
    pub fn of_connection(connection: &AnyConnection) -> Self {
        if connection.backend_name() == "SQLite" {
            Self::Sqlite
        } else {
            Self::Postgres
        }
    }

    /// Starts a transaction that will write. SQLite has to be told at once: a lock that is asked for after the first
    /// read fails instead of waiting.
    #[must_use]
    pub fn begin_statement(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// What ends the inner SELECT of a statement that takes work. SQLite has one writer and needs nothing.
    #[must_use]
    pub fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR UPDATE SKIP LOCKED",
        }
    }

    /// Asks how many tables or other things of a name, the parameter `$1`, there are.
    pub(crate) fn count_named(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT COUNT(*) FROM sqlite_master WHERE name = $1",
            Self::Postgres => {
                "SELECT COUNT(*) FROM information_schema.tables
                 WHERE table_name = $1 AND table_schema = current_schema()"
            }
        }
    }
}
