//! Why a backup cannot be made, or not be used.

use std::path::{Path, PathBuf};

use crate::database::DatabaseError;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file or its folder cannot be used.
    #[error("cannot write the backup {path}: {source}; nothing is left of it")]
    Write {
        /// The file that was to be.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file that is there is never replaced.
    #[error("{0} is there already; give another name")]
    Exists(PathBuf),
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file is no backup, or not the whole of one, or was changed.
    #[error("{path} cannot be used as a backup: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A newer program wrote it.
    #[error(
        "{path} was made by regressd {version}, whose {what} this regressd does not know; use that version or a newer one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The program's version.
        version: String,
        /// What is newer: the schema or the form of the file.
        what: &'static str,
    },
    /// Restoring must not mix two histories.
    #[error("{location} is not empty; restore into a new database (--database), and then serve that one")]
    NotEmpty {
        /// The database.
        location: String,
    },
    /// The database's answer.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl BackupError {
    pub(super) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}
