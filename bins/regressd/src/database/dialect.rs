//! The few words that SQLite and PostgreSQL do not share: set-up of a connection, the start of a writing transaction,
//! the lock of work that is taken, and type words of the schema. Every other statement has one text for both.

use super::Location;

/// Marks a SQLite file as ours (`PRAGMA application_id`): "RGRD".
pub(crate) const APPLICATION_ID: i64 = 0x5247_5244;

/// Which of the two databases a statement is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Dialect {
    pub(crate) fn of(location: &Location) -> Self {
        match location {
            Location::Sqlite(_) => Self::Sqlite,
            Location::Postgres(_) => Self::Postgres,
        }
    }

    /// Run once on every new connection. With `synchronous = FULL` a commit is on the disk when it returns. Each
    /// connection has a cache of its own, which fills up and stays: two MiB are enough beside the system's.
    pub(crate) fn connection_setup(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "PRAGMA busy_timeout = 30000; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
                 PRAGMA cache_size = -2000; PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864"
            }
            Self::Postgres => "SET application_name = 'regressd'; SET lock_timeout = '30s'",
        }
    }

    /// Starts a transaction that will write. SQLite has to be told at once: a lock that is asked for after the first
    /// read fails instead of waiting.
    pub(crate) fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// What ends the inner SELECT of a statement that takes work. SQLite has one writer and needs nothing.
    pub(crate) fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR UPDATE SKIP LOCKED",
        }
    }

    /// Keeps two processes from creating the schema at the same time; held until the transaction ends.
    pub(crate) fn lock_schema(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some("SELECT pg_advisory_xact_lock(1380405828)"),
        }
    }

    /// Whether the table with the schema version is there: one row, one number.
    pub(crate) fn count_schema_tables(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT COUNT(*) FROM sqlite_master WHERE name = 'regressd_schema'",
            Self::Postgres => {
                "SELECT COUNT(*) FROM information_schema.tables
                 WHERE table_name = 'regressd_schema' AND table_schema = current_schema()"
            }
        }
    }

    /// A migration, written for PostgreSQL, with the type words of this database.
    pub(crate) fn translate(self, migration: &str) -> String {
        match self {
            Self::Postgres => migration.to_owned(),
            Self::Sqlite => migration.replace("BIGSERIAL PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT"),
        }
    }
}
