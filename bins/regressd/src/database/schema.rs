//! The tables of regressd and their versions: every migration is embedded.

use database_kit::{ConnectionSetup, Schema};

/// Entries of `migrations` are never changed after a release, only added.
///
/// With `synchronous = FULL` a commit is on the disk when it returns. Each connection has a cache of its own, which
/// fills up and stays: two MiB are enough beside the system's.
pub(super) const SCHEMA: Schema = Schema {
    program: "regressd",
    // "RGRD"
    application_id: 0x5247_5244,
    setup: ConnectionSetup {
        sqlite: "PRAGMA busy_timeout = 30000; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
                 PRAGMA cache_size = -2000; PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864",
        postgres: "SET application_name = 'regressd'; SET lock_timeout = '30s'",
    },
    sqlite_types: &[("BIGSERIAL PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT")],
    migrations: &[
        include_str!("migrations/0001_initial.sql"),
        include_str!("migrations/0002_landed_and_pace.sql"),
        include_str!("migrations/0003_base_commit.sql"),
        include_str!("migrations/0004_identity_and_rewrites.sql"),
        include_str!("migrations/0005_commit_time.sql"),
        include_str!("migrations/0006_order_of_arrival.sql"),
    ],
};

/// Newest schema version that this build knows.
pub const LATEST: i64 = SCHEMA.latest_version();
