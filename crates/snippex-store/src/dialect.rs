//! The few statements that SQLite and PostgreSQL do not share: set-up of a connection, the start of a writing
//! transaction, and type words of the schema (and the sign of a parameter in `insert.rs`). Every other statement of this crate has one text for both.

use sqlx::AnyConnection;

use crate::location::Location;

/// Marks a SQLite file as ours (`PRAGMA application_id`): "SNPX".
pub(crate) const APPLICATION_ID: i64 = 0x534e_5058;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    pub(crate) fn of(location: &Location) -> Self {
        match location {
            Location::Sqlite(_) => Self::Sqlite,
            Location::Postgres(_) => Self::Postgres,
        }
    }

    pub(crate) fn of_connection(connection: &AnyConnection) -> Self {
        if connection.backend_name() == "SQLite" {
            Self::Sqlite
        } else {
            Self::Postgres
        }
    }

    /// Run once on every new connection.
    ///
    /// With the write-ahead log, `synchronous = NORMAL` keeps every committed transaction when the process is
    /// killed, and the file whole when the machine loses power (the last transactions may be missing then).
    pub(crate) fn connection_setup(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "PRAGMA busy_timeout = 60000; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;
                 PRAGMA cache_size = -16000"
            }
            Self::Postgres => "SET application_name = 'snippex'; SET lock_timeout = '60s'",
        }
    }

    /// Starts a transaction that will write. SQLite has to be told at once: a lock that is asked for after
    /// the first read fails instead of waiting.
    pub(crate) fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// Keeps two processes from creating the schema at the same time; held until the transaction ends.
    pub(crate) fn lock_schema(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT pg_advisory_xact_lock(1397641304)"),
        }
    }

    /// Whether the table with the schema version is there: one row, one number.
    pub(crate) fn count_schema_tables(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT COUNT(*) FROM sqlite_master WHERE name = 'snippex_schema'",
            Self::Postgres => {
                "SELECT COUNT(*) FROM information_schema.tables
                 WHERE table_name = 'snippex_schema' AND table_schema = current_schema()"
            }
        }
    }

    /// A migration, written for PostgreSQL, with the type words of this database.
    pub(crate) fn translate(self, migration: &str) -> String {
        match self {
            Self::Postgres => migration.to_owned(),
            Self::Sqlite => migration
                .replace("BIGSERIAL PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT")
                .replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY")
                .replace("BYTEA", "BLOB"),
        }
    }
}
