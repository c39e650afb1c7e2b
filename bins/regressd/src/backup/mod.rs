//! Backups: the whole database as one file of JSON lines, the same for SQLite and PostgreSQL, so that a backup of one
//! can be restored into the other.
//!
//! ```text
//! {"regressd_backup":1,"schema":1,"version":"0.1.0","created":"2026-11-21T14:00:00Z"}
//! {"table":"repositories","columns":["id","owner",...]}
//! [1,"octo",...]
//! ...
//! {"end":{"repositories":1,...},"sha256":"of all lines above"}
//! ```
//!
//! A backup is made from one snapshot while the service goes on. Its file appears under its name only when it is whole
//! and on the disk. It is trusted only after its checksum, its counts and its version were looked at.

mod error;
mod file;
mod read;
mod restore;
mod schedule;
mod write;

pub use error::BackupError;
pub use read::{BackupSummary, verify_backup};
pub use restore::{restore_backup, verify_by_restoring};
pub(crate) use schedule::backup_file_name;
pub use schedule::run_schedule;
pub use write::write_backup;

/// The version of the file's form that this program writes, and the newest it reads.
const FORM: u32 = 1;

/// Every table, those that others refer to first. Leases are not kept: they are of running processes.
const TABLES: [&str; 18] = [
    "repositories",
    "environments",
    "streams",
    "series",
    "runs",
    "judgements",
    "rejections",
    "epochs",
    "deliveries",
    "jobs",
    "tokens",
    "audit",
    "pull_requests",
    "confirmations",
    "landed",
    "former_names",
    "rewritten",
    "paces",
];
/// Those that number their rows by themselves.
const NUMBERED: [&str; 7] = [
    "repositories",
    "environments",
    "streams",
    "series",
    "runs",
    "jobs",
    "audit",
];
