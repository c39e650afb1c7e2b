//! What can be wrong with an image.

use std::fmt::Display;
use std::io;

/// Why an image, or a part of one, cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The operating system or a decompressor gave up.
    #[error("{what}: {source}")]
    Io {
        /// What was being read.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// The bytes contradict the format that they begin as.
    #[error("damaged {format}: {problem}")]
    Damaged {
        /// The format.
        format: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A form of a format that nothing here reads.
    #[error("{format} {what} cannot be read")]
    Unsupported {
        /// The format.
        format: &'static str,
        /// The form.
        what: String,
    },
    /// More than a sound image has, or than the caller allows.
    #[error("{what} is over the limit of {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// The first bytes are those of nothing that holds files.
    #[error("no disk image, file system, archive or package: {0}")]
    Unknown(String),
    /// There is no such file in the image.
    #[error("no {0} in it")]
    NotFound(String),
}

impl ImageError {
    /// A read that failed.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// A contradiction in a format.
    pub(crate) fn damaged(format: &'static str, problem: impl Display) -> Self {
        Self::Damaged {
            format,
            problem: problem.to_string(),
        }
    }
}
