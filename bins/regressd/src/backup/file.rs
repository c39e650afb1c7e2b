//! A file that appears when it is whole: written beside its place, flushed to the disk, then named.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::BackupError;

const PREFIX: &str = ".regressd-";
const SUFFIX: &str = ".partial";
/// A part that a killed process left is removed when it is older.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// A file in the making. Dropping it removes it.
pub(super) struct Whole {
    out: BufWriter<NamedTempFile>,
    hasher: Sha256,
    path: PathBuf,
}

impl Whole {
    pub(super) fn create(path: &Path) -> Result<Self, BackupError> {
        if path.exists() {
            return Err(BackupError::Exists(path.to_owned()));
        }
        let folder = folder(path);
        remove_stale(folder);
        // For its owner only, as the database is.
        let file = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(SUFFIX)
            .tempfile_in(folder)
            .map_err(|source| failed(path, source))?;
        Ok(Self {
            out: BufWriter::with_capacity(1 << 20, file),
            hasher: Sha256::new(),
            path: path.to_owned(),
        })
    }

    /// Adds a line to what the checksum covers.
    pub(super) fn write_line(&mut self, text: &str) -> Result<(), BackupError> {
        self.hasher.update(text.as_bytes());
        self.hasher.update(b"\n");
        self.raw(text)
    }

    /// The checksum of the lines so far.
    pub(super) fn checksum(&self) -> String {
        hex::encode(self.hasher.clone().finalize())
    }

    /// Adds the last line, and gives the file its name.
    pub(super) fn finish_with_line(mut self, last: &str) -> Result<(), BackupError> {
        self.raw(last)?;
        let path = self.path;
        let named = || -> io::Result<()> {
            let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist_noclobber(&path).map_err(|error| error.error)?;
            // The name is in the folder, and has to reach the disk too.
            std::fs::File::open(folder(&path))?.sync_all()
        };
        named().map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Exists(path.clone()),
            _ => failed(&path, source),
        })
    }

    fn raw(&mut self, text: &str) -> Result<(), BackupError> {
        let written = self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.write_all(b"\n"));
        written.map_err(|source| failed(&self.path, source))
    }
}

fn failed(path: &Path, source: io::Error) -> BackupError {
    BackupError::Write {
        path: path.to_owned(),
        source,
    }
}

fn folder(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."))
}

/// Removes what processes left that were killed in the middle.
fn remove_stale(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let ours = name
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified
            .ok()
            .and_then(|at| SystemTime::now().duration_since(at).ok());
        if ours && age.is_some_and(|age| age > STALE) {
            // Another process may have been faster.
            drop(std::fs::remove_file(entry.path()));
        }
    }
}
