//! Recordings: how an engine ended the cases of some blocks, in one file that stands in for the engine elsewhere.
//!
//! A reference without its CPU: the cases of a program or of the instruction set are run once where the reference is, and
//! compared anywhere. Start states and made-up memory follow from the seed, so the file holds the program, the blocks, which
//! pages each needs, and how its runs ended; `end` says what of them counts, `ends`
//! packs that against the starts. `container` is the form of the file,
//! [`Recorder`] fills one, [`Recording`] reads it, [`RecordedEngine`] answers from it as an [`Engine`](crate::engine::Engine).
//!
//! What is read was checked before: every part by its SHA-256, every group of cases by its
//! [`GroupId`](snippex_core::codec::GroupId), which is made anew from the cases that are asked for. Nothing here compares or
//! judges.

mod columns;
pub(crate) mod container;
pub(crate) mod end;
pub(crate) mod ends;
mod engine;
mod packed_lines;
mod packed_vectors;
mod recorder;
pub(crate) mod streams;
mod terms;

pub use container::{About, RecordedSource, Recording, RecordingId};
pub use engine::RecordedEngine;
pub use recorder::{Recorded, Recorder};

use std::io;

use snippex_core::codec::CodecError;
use thiserror::Error;

use crate::engine::EngineError;

/// Why a recording cannot be made or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file cannot be read or written.
    #[error("failed to read or write the file of a recording")]
    File(#[from] io::Error),
    /// The file is something else.
    #[error("this is not a recording: its first bytes are not \"SNIPXREC\"")]
    NotARecording,
    /// A recording is to be written where something else is.
    #[error("there is a file already, and it is not a recording")]
    OtherFile,
    /// It is of a form that is not known.
    #[error("the recording has format version {0}, this snippex reads version 1")]
    Version(u32),
    /// Its end is missing.
    #[error("the recording is cut short: its end is missing")]
    Truncated,
    /// A part of it is not what was written.
    #[error("the recording is damaged: {0} is not what was written")]
    Damaged(&'static str),
    /// Its parts are whole, and make no sense.
    #[error("the recording is not valid: {0}")]
    Invalid(&'static str),
    /// A part is not as it is encoded.
    #[error("the recording is not valid")]
    Codec(#[from] CodecError),
    /// A block of it is started otherwise here.
    #[error(
        "the recording has other cases of the block at {address:#x} than snippex {here} makes: it is of snippex {there}"
    )]
    OtherCases {
        /// Address of the block in its file.
        address: u64,
        /// Version of this snippex.
        here: &'static str,
        /// Version of the one that recorded.
        there: String,
    },
    /// The engine computes how cases end, and leaves nothing that could be written.
    #[error("engine {0} cannot be recorded: it has no processes that run the cases")]
    NoProcesses(String),
    /// The engine to be recorded cannot be used.
    #[error("failed to record")]
    Engine(#[source] Box<EngineError>),
}

impl From<EngineError> for RecordingError {
    fn from(error: EngineError) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl RecordingError {
    /// What mends it, in the words of the command line.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::File(_) => "check that it is there, that you may use it, and that there is room".to_owned(),
            Self::NotARecording => "name a file that snippex record has written".to_owned(),
            Self::OtherFile => "name a new file, or a recording, which is replaced".to_owned(),
            Self::Version(_) => "use the snippex that wrote it, or record again".to_owned(),
            Self::Truncated | Self::Damaged(_) => "copy it again from where it was recorded".to_owned(),
            Self::Invalid(_) | Self::Codec(_) | Self::OtherCases { .. } => {
                "record again with this version of snippex".to_owned()
            }
            Self::NoProcesses(_) => "record native, or an emulator".to_owned(),
            Self::Engine(error) => error.hint(),
        }
    }
}
