//! Reads fixtures for the tests of ingest.

use std::fs;
use std::path::{Path, PathBuf};

use regress_core::ingest::{IngestOptions, Ingested, ResultSource, ingest_results};

/// A file with its path below `fixtures/`.
pub(crate) type File = (String, Vec<u8>);

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// All files below a folder or the one file at `path`, in a stable order.
pub(crate) fn files(path: &str) -> Vec<File> {
    let mut found = Vec::new();
    let mut waiting = vec![fixtures().join(path)];
    while let Some(next) = waiting.pop() {
        if next.is_dir() {
            waiting.extend(fs::read_dir(&next).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let name = next
                .strip_prefix(fixtures())
                .unwrap()
                .to_string_lossy()
                .replace('\\', "/");
            found.push((name, fs::read(&next).unwrap()));
        }
    }
    found.sort();
    found
}

pub(crate) fn ingest_files(files: &[File], options: &IngestOptions) -> Ingested {
    let sources: Vec<ResultSource<'_>> = files
        .iter()
        .map(|(path, bytes)| ResultSource { path, bytes })
        .collect();
    ingest_results(&sources, options)
}
