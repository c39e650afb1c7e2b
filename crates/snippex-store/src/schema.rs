//! The tables of snippex and their versions: every migration is embedded, and applied when a database is opened.

use database_kit::{ConnectionSetup, Schema};

/// Entries of `migrations` are never changed after a release, only added.
///
/// With the write-ahead log, `synchronous = NORMAL` keeps every committed transaction when the process is killed, and
/// the file whole when the machine loses power (the last transactions may be missing then).
pub(crate) const SCHEMA: Schema = Schema {
    program: "snippex",
    // "SNPX"
    application_id: 0x534e_5058,
    setup: ConnectionSetup {
        sqlite: "PRAGMA busy_timeout = 60000; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;
                 PRAGMA cache_size = -64000",
        postgres: "SET application_name = 'snippex'; SET lock_timeout = '60s'",
    },
    sqlite_types: &[
        ("BIGSERIAL PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT"),
        ("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY"),
        ("BYTEA", "BLOB"),
        ("/* WITHOUT ROWID */", "WITHOUT ROWID"),
    ],
    migrations: &[
        include_str!("migrations/0001_initial.sql"),
        include_str!("migrations/0002_bugs.sql"),
        include_str!("migrations/0003_causes.sql"),
        include_str!("migrations/0004_run_summaries.sql"),
        include_str!("migrations/0005_failing_blocks.sql"),
        include_str!("migrations/0006_reported_issues.sql"),
        include_str!("migrations/0007_statistics.sql"),
        include_str!("migrations/0008_extremes.sql"),
        include_str!("migrations/0009_packed.sql"),
        include_str!("migrations/0010_one_tree.sql"),
    ],
};
