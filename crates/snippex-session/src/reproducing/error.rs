//! Why there is nothing to reproduce, and what mends it.

use std::io;
use std::path::PathBuf;

use snippex_exec::engine::{EngineError, SpecError};
use snippex_formats::snip::SnipError;
use snippex_store::StoreError;

use crate::SessionError;

/// Why there is nothing to reproduce.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReproduceError {
    /// There is no such file.
    #[error("cannot read {}", path.display())]
    NoFile {
        /// As it was named.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is too large for a case.
    #[error("{} has {size} bytes: that is no .snip file", path.display())]
    TooLarge {
        /// As it was named.
        path: PathBuf,
        /// In bytes.
        size: u64,
    },
    /// It is there, but cannot be read as text.
    #[error("cannot read {}", path.display())]
    Read {
        /// As it was named.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is text, but no case.
    #[error("cannot read {}", path.display())]
    Snip {
        /// As it was named.
        path: PathBuf,
        /// The line at fault.
        source: SnipError,
    },
    /// No case begins so.
    #[error("there is no case with the SHA-256 {0} in the database")]
    UnknownCase(String),
    /// More than one case begins so.
    #[error("{digits} is the beginning of several cases' SHA-256")]
    AmbiguousCase {
        /// What was asked for.
        digits: String,
        /// Some of them.
        cases: Vec<String>,
    },
    /// The bug was only counted.
    #[error("bug {0} has no case in the database")]
    NoExample(String),
    /// An engine lacks what the case needs.
    #[error("{engine} cannot run the case: {reason}")]
    Unsupported {
        /// Its name.
        engine: String,
        /// What it lacks.
        reason: String,
    },
    /// The emulator does all that it has to.
    #[error("the case ends on {0} as it has to: there is no bug to reproduce")]
    NoBug(String),
    /// Nobody can say who is right.
    #[error("how the case ends on {0} is no bug by the manuals, or cannot be judged")]
    Unjudged(String),
    /// The database or an engine cannot be used.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl From<StoreError> for ReproduceError {
    fn from(error: StoreError) -> Self {
        Self::Session(error.into())
    }
}

impl From<EngineError> for ReproduceError {
    fn from(error: EngineError) -> Self {
        Self::Session(error.into())
    }
}

impl From<SpecError> for ReproduceError {
    fn from(error: SpecError) -> Self {
        Self::Session(error.into())
    }
}

impl ReproduceError {
    /// What a user can do about it, in the words of the command line.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoFile { .. } | Self::TooLarge { .. } => {
                "name a .snip file, the id of a bug (snippex bugs), the number of a divergence, or the SHA-256 of a case"
            }
            Self::Snip { .. } => "correct that line; docs/snip.md describes the form",
            Self::UnknownCase(_) => {
                "write at least six digits of it, as `snippex compare` and `snippex bugs show` give them, or name a \
                 .snip file"
            }
            Self::AmbiguousCase { cases, .. } => {
                return Some(format!("write more of one of {}", cases.join(", ")));
            }
            Self::NoExample(_) => "run the check again, without --no-reduce",
            Self::NoBug(_) | Self::Unjudged(_) => {
                "leave --emulator out for a program that compares all that the case changes"
            }
            Self::Read { .. } | Self::Unsupported { .. } => return None,
            Self::Session(error) => return error.hint(),
        };
        Some(hint.to_owned())
    }
}
