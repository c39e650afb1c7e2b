//! The file, read line by line, with everything about it looked at.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{BackupError, FORM, TABLES};
use crate::database::LATEST;

/// The longest line that is read: a row holds one upload, which is smaller than what uploads may be.
const MAX_LINE_BYTES: u64 = 256 << 20;

/// What a good backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSummary {
    /// When it was made.
    pub created: String,
    /// The version of the program that made it.
    pub version: String,
    /// Rows of each table.
    pub rows: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct BackupHeader {
    regressd_backup: u32,
    schema: i64,
    version: String,
    created: String,
}

#[derive(Deserialize)]
struct End {
    end: BTreeMap<String, u64>,
    sha256: String,
}

/// What a line of the middle is.
pub(super) enum BackupLine {
    /// The rows that follow are of this table.
    Table { table: String, columns: Vec<String> },
    /// A row.
    Values(Vec<Value>),
}

#[derive(Deserialize)]
struct TableLine {
    table: String,
    columns: Vec<String>,
}

/// A backup that is being read.
pub(super) struct BackupReader<'a> {
    path: &'a Path,
    lines: BufReader<File>,
    hasher: Sha256,
    number: u64,
    current: Option<(String, usize)>,
    rows: BTreeMap<String, u64>,
    head: BackupHeader,
}

/// Looks at every line of a backup: form, checksum, counts, version.
///
/// # Errors
/// When anything is not as it should be.
pub fn verify_backup(path: &Path) -> Result<BackupSummary, BackupError> {
    let mut reader = BackupReader::open(path)?;
    while reader.next()?.is_some() {}
    Ok(reader.summary())
}

impl<'a> BackupReader<'a> {
    /// Opens the file and looks at its first line.
    pub(super) fn open(path: &'a Path) -> Result<Self, BackupError> {
        let file = File::open(path).map_err(|source| BackupError::Read {
            path: path.to_owned(),
            source,
        })?;
        let mut reader = Self {
            path,
            lines: BufReader::with_capacity(1 << 20, file),
            hasher: Sha256::new(),
            number: 0,
            current: None,
            rows: TABLES.iter().map(|table| ((*table).to_owned(), 0)).collect(),
            head: BackupHeader {
                regressd_backup: 0,
                schema: 0,
                version: String::new(),
                created: String::new(),
            },
        };
        let first = reader.line()?;
        let head: BackupHeader = serde_json::from_str(first.trim_end())
            .map_err(|_| BackupError::damaged(path, "its first line is not that of a backup of regressd"))?;
        let newer = |what| BackupError::Newer {
            path: path.to_owned(),
            version: head.version.chars().take(40).collect(),
            what,
        };
        if head.regressd_backup > FORM {
            return Err(newer("form of backups"));
        }
        if head.schema > LATEST {
            return Err(newer("database schema"));
        }
        reader.hasher.update(first.as_bytes());
        reader.head = head;
        Ok(reader)
    }

    /// The next line; `None` after the last one, when all is well.
    pub(super) fn next(&mut self) -> Result<Option<BackupLine>, BackupError> {
        let text = self.line()?;
        if text.starts_with('[') {
            let values: Vec<Value> =
                serde_json::from_str(text.trim_end()).map_err(|error| self.bad(&error))?;
            let Some((table, columns)) = &self.current else {
                return Err(self.bad(&"a row stands before any table"));
            };
            if values.len() != *columns {
                return Err(self.bad(&"a row has another number of values than its table has columns"));
            }
            *self.rows.entry(table.clone()).or_default() += 1;
            self.hasher.update(text.as_bytes());
            return Ok(Some(BackupLine::Values(values)));
        }
        if let Ok(end) = serde_json::from_str::<End>(text.trim_end()) {
            return self.end(&end).map(|()| None);
        }
        let line: TableLine = serde_json::from_str(text.trim_end()).map_err(|error| self.bad(&error))?;
        // They become part of statements.
        let plain = |name: &String| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if !TABLES.contains(&line.table.as_str()) || !line.columns.iter().all(plain) {
            return Err(self.bad(&"there is no such table or column"));
        }
        self.hasher.update(text.as_bytes());
        self.current = Some((line.table.clone(), line.columns.len()));
        Ok(Some(BackupLine::Table {
            table: line.table,
            columns: line.columns,
        }))
    }

    /// What was read.
    pub(super) fn summary(self) -> BackupSummary {
        BackupSummary {
            created: self.head.created,
            version: self.head.version,
            rows: self.rows,
        }
    }

    fn end(&mut self, end: &End) -> Result<(), BackupError> {
        if hex::encode(self.hasher.clone().finalize()) != end.sha256 {
            return Err(BackupError::damaged(
                self.path,
                "its checksum is wrong: it was changed after it was made",
            ));
        }
        if end.end != self.rows {
            return Err(BackupError::damaged(
                self.path,
                "it has another number of rows than it says",
            ));
        }
        let mut rest = String::new();
        match self.lines.read_line(&mut rest) {
            Ok(0) => Ok(()),
            _ => Err(BackupError::damaged(self.path, "something follows its last line")),
        }
    }

    fn line(&mut self) -> Result<String, BackupError> {
        let mut text = String::new();
        let read = (&mut self.lines)
            .take(MAX_LINE_BYTES)
            .read_line(&mut text)
            .map_err(|source| match source.kind() {
                std::io::ErrorKind::InvalidData => BackupError::damaged(self.path, "it is not text"),
                _ => BackupError::Read {
                    path: self.path.to_owned(),
                    source,
                },
            })?;
        self.number += 1;
        if read as u64 == MAX_LINE_BYTES && !text.ends_with('\n') {
            let reason = format!(
                "line {} is longer than {} MiB, which no backup has",
                self.number,
                MAX_LINE_BYTES >> 20
            );
            return Err(BackupError::damaged(self.path, reason));
        }
        if read == 0 || !text.ends_with('\n') {
            let reason = format!(
                "it ends in line {}, before its last one: the rest is missing",
                self.number
            );
            return Err(BackupError::damaged(self.path, reason));
        }
        Ok(text)
    }

    fn bad(&self, reason: &dyn std::fmt::Display) -> BackupError {
        BackupError::damaged(self.path, format!("line {}: {reason}", self.number))
    }
}
