//! Bundles: all that a database holds as one JSON document, which another database takes.
//!
//! A record stands on a line, and what it refers to stands before it, so that both ends work on a stream. Numbers of
//! blocks, runs and the like are those of the database that was exported; [`Store::import_bundle`] keeps them where they are
//! free, and gives new ones where not. `docs/export.md` describes the document, `docs/export.schema.json` is its schema.
//!
//! Does not decide where a bundle is written to or read from.

mod export;
mod import;
mod read;
mod records;
mod write;

use std::fmt;
use std::io;

use thiserror::Error;

use crate::error::StoreError;
use read::MAX_RECORD;

pub use export::ExportedBundle;
pub use import::ImportReport;

/// The version of the document that this build writes, and the only one that it reads.
pub const BUNDLE_VERSION: u32 = 1;

/// A part of a bundle: an array of records of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Machines.
    Hosts,
    /// Engines as they ran.
    Engines,
    /// Files that blocks are from.
    Binaries,
    /// Blocks.
    Blocks,
    /// Runs with what they came to.
    Runs,
    /// Counts for each run, block and engine.
    Results,
    /// Cases that are evidence.
    Cases,
    /// Divergences in full.
    Divergences,
    /// Observations.
    Observations,
    /// Bugs by signature.
    Bugs,
    /// How often runs met them.
    Sightings,
    /// Their plainest cases.
    Examples,
    /// Those that the people of an engine know of.
    KnownBugs,
}

impl Section {
    /// All of them, in the order in which they stand.
    pub const ALL: [Self; 13] = [
        Self::Hosts,
        Self::Engines,
        Self::Binaries,
        Self::Blocks,
        Self::Runs,
        Self::Results,
        Self::Cases,
        Self::Divergences,
        Self::Observations,
        Self::Bugs,
        Self::Sightings,
        Self::Examples,
        Self::KnownBugs,
    ];

    /// The key in the document.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
            Self::Engines => "engines",
            Self::Binaries => "binaries",
            Self::Blocks => "blocks",
            Self::Runs => "runs",
            Self::Results => "results",
            Self::Cases => "cases",
            Self::Divergences => "divergences",
            Self::Observations => "observations",
            Self::Bugs => "bugs",
            Self::Sightings => "sightings",
            Self::Examples => "examples",
            Self::KnownBugs => "known_bugs",
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// Why a bundle was not taken. Nothing of it is in the database then.
#[derive(Debug, Error)]
pub enum BundleError {
    /// The database does not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file, or whatever it is, cannot be read.
    #[error("the bundle cannot be read")]
    Read(#[source] io::Error),
    /// It ends before it is whole.
    #[error("the bundle is cut: it ends in the middle (line {line})")]
    Truncated {
        /// The last line, from 1.
        line: usize,
    },
    /// It is no bundle, or one whose form is broken.
    #[error("this is not a bundle that can be read")]
    Malformed(#[source] serde_json::Error),
    /// One record is longer than any that snippex writes.
    #[error("the bundle has a record of more than {} MiB", MAX_RECORD >> 20)]
    TooLong,
    /// A record breaks a rule of what it stands for.
    #[error("{section}[{index}] in the bundle is not valid: {reason}")]
    Invalid {
        /// The part.
        section: Section,
        /// Which record of it, from 0.
        index: u64,
        /// Which rule.
        reason: String,
    },
    /// The bundle and the database disagree about what has to be the same.
    #[error("{section}[{index}] in the bundle contradicts the database: {reason}")]
    Contradiction {
        /// The part.
        section: Section,
        /// Which record of it, from 0.
        index: u64,
        /// In what.
        reason: String,
    },
}

impl BundleError {
    /// What the user can do, as a sentence without a full stop.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Read(_) => Some("check the path, or give - to read standard input"),
            Self::Truncated { .. } => Some("copy it again, or export it again; the database is as it was"),
            Self::Malformed(_) => {
                Some("give a file that `snippex export json` has written; the database is as it was")
            }
            Self::TooLong | Self::Invalid { .. } => {
                Some("it was changed after it was exported; export it again. The database is as it was")
            }
            Self::Contradiction { .. } => {
                Some("one of the two was changed by hand; import into another database with --database")
            }
        }
    }
}

/// What happened to the records of one part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SectionCounts {
    /// Records in the bundle.
    pub records: u64,
    /// Those that were not there and are now.
    pub added: u64,
}
