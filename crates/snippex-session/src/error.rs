//! What can go wrong in a session, and what mends it.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use snippex_blocks::binary::ImageError;
use snippex_blocks::generate::RequestError;
use snippex_core::address_space::PlacementError;
use snippex_exec::engine::{EngineError, SpecError};
use snippex_exec::recording::RecordingError;
use snippex_store::StoreError;

/// What can go wrong in a session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// There is no such file.
    #[error("cannot read {}", path.display())]
    NoFile {
        /// As it was named.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A device or a pipe could go on for ever.
    #[error("cannot read {}: it is {what}", path.display())]
    NotAFile {
        /// As it was named.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// What is separated by commas shares one check.
    #[error("{first} and {other} are different engines and cannot share one check")]
    DifferentEngines {
        /// The engine that is named first.
        first: String,
        /// One that is not the same.
        other: String,
    },
    /// It is there, but cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// As it was named.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is no program that can be read.
    #[error("cannot use {}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ImageError,
    },
    /// An image of a disk, a file system or an archive cannot be read.
    #[cfg(feature = "images")]
    #[error("cannot read {}", path.display())]
    DiskImage {
        /// The image, or the file in it.
        path: PathBuf,
        /// Why not.
        source: snippex_image::ImageError,
    },
    /// A pattern names no file of an image.
    #[error("there is no {pattern} in {}", path.display())]
    NotInImage {
        /// The image.
        path: PathBuf,
        /// What was asked for.
        pattern: String,
        /// What could not be read of the image.
        problems: Vec<String>,
    },
    /// A pattern names several files where one is wanted.
    #[error("{pattern} names {} files in {}", files.len(), path.display())]
    SeveralInImage {
        /// The image.
        path: PathBuf,
        /// What was asked for.
        pattern: String,
        /// The files.
        files: Vec<String>,
    },
    /// Its blocks have no place to run at.
    #[error("cannot run the blocks of {}", path.display())]
    Placement {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: PlacementError,
    },
    /// The file that stored blocks are of cannot be used any more.
    #[error(transparent)]
    Gone(FileGone),
    /// The file that stored blocks are of is another one now.
    #[error("{path} has changed since its blocks were extracted")]
    Changed {
        /// Name of the binary.
        name: String,
        /// Where it was.
        path: String,
    },
    /// A program holds something else than when it was first read.
    #[error("{} has changed since this check began", .0.display())]
    ChangedMeanwhile(PathBuf),
    /// No stored binary is called so.
    #[error("there is no binary called {0} in the database")]
    UnknownBinary(String),
    /// More than one stored binary is called so.
    #[error("several binaries are called {named}")]
    AmbiguousBinary {
        /// What was asked for.
        named: String,
        /// How the SHA-256 of each begins.
        digests: Vec<String>,
    },
    /// Nothing was extracted yet.
    #[error("there are no blocks in the database")]
    NoBlocks,
    /// None of the blocks that are meant is there.
    #[error("there {what} in the database")]
    NoSuchBlocks {
        /// `is no block 7`, `are no blocks of bash`.
        what: String,
    },
    /// No bug is called so.
    #[error("there is no bug {0} in the database")]
    UnknownBug(String),
    /// More than one bug is called so.
    #[error("{text} is the beginning of {count} bugs")]
    AmbiguousBug {
        /// What was asked for.
        text: String,
        /// How many there are.
        count: usize,
        /// The first of them.
        names: Vec<String>,
    },
    /// Nothing was run on such an engine.
    #[error("no run was done on an engine like {text}")]
    UnknownEngine {
        /// What was asked for.
        text: String,
        /// Those that something was run on.
        engines: Vec<String>,
    },
    /// What to generate makes no sense.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// An engine cannot be named so.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// An engine cannot be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A recording cannot be made or read.
    #[error("cannot use the recording {}", path.display())]
    Recording {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: RecordingError,
    },
    /// A recording is of other start states than are asked for.
    #[error("the recording of {name} is of seed {seed} and {states} start states a block")]
    OtherStarts {
        /// What was recorded.
        name: String,
        /// Its seed.
        seed: u64,
        /// Its number of start states.
        states: u32,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A file that is wanted because blocks of it are stored; it says what the error about the file says.
#[derive(Debug)]
pub struct FileGone {
    /// Name of the binary.
    pub name: String,
    /// Why it cannot be used.
    pub error: Box<SessionError>,
}

impl fmt::Display for FileGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for FileGone {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl SessionError {
    /// What a user can do about it, in the words of the command line.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoFile { .. } | Self::NotAFile { .. } => {
                "name an x86-64 program or shared library, such as /bin/bash".to_owned()
            }
            Self::Read { .. } => "check that you may read it".to_owned(),
            Self::DifferentEngines { first, other } => {
                format!("-e {first} -e {other} compares each; a comma is for one engine on several hosts")
            }
            Self::Image { source, .. } => source.hint().to_owned(),
            #[cfg(feature = "images")]
            Self::DiskImage { .. } => {
                "see `snippex sources show IMAGE` for what is in it, and docs/sources.md for what is read"
                    .to_owned()
            }
            Self::NotInImage { problems, .. } => match problems.first() {
                Some(problem) => format!("not all of it could be read: {problem}"),
                None => "see `snippex sources list IMAGE` for the programs in it".to_owned(),
            },
            Self::SeveralInImage { files, .. } => format!("name one of {}", first_few(files)),
            Self::Placement { .. } => {
                "its blocks can still be looked at: snippex extract, list, disasm, analyze".to_owned()
            }
            Self::Gone(FileGone { name, .. }) | Self::Changed { name, .. } => {
                format!("restore it, or run `snippex extract` on the file as it is now (blocks of {name})")
            }
            Self::ChangedMeanwhile(_) => "check it again, once nothing writes to it".to_owned(),
            Self::UnknownBinary(_) => {
                "see `snippex list --binaries`, or run `snippex extract` on it first".to_owned()
            }
            Self::AmbiguousBinary { digests, .. } => {
                format!("name one by the beginning of its SHA-256: {}", digests.join(", "))
            }
            Self::NoBlocks => "run `snippex extract BINARY` first".to_owned(),
            Self::NoSuchBlocks { .. } => {
                "see `snippex list` and `snippex list --binaries` for what is there".to_owned()
            }
            Self::UnknownBug(_) => {
                "see `snippex bugs`, and `snippex bugs --signatures` for ids of signatures".to_owned()
            }
            Self::AmbiguousBug { count, names, .. } => {
                let more = if *count > names.len() { ", ..." } else { "" };
                format!("write more of one of {}{more}", names.join(", "))
            }
            Self::UnknownEngine { engines, .. } if engines.is_empty() => {
                "there is no run yet: `snippex check PROGRAM -e ENGINE` does one".to_owned()
            }
            Self::UnknownEngine { engines, .. } => format!("there are: {}", engines.join("; ")),
            Self::Request(error) => error.hint().to_owned(),
            Self::Spec(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            Self::Recording { source, .. } => source.hint(),
            Self::OtherStarts { seed, states, .. } => format!("give --seed {seed} --states {states}"),
            Self::Store(error) => return error.hint().map(str::to_owned),
        })
    }
}

/// Some of many, for a hint of one line.
fn first_few(names: &[String]) -> String {
    const FEW: usize = 4;
    let more = if names.len() > FEW { ", ..." } else { "" };
    format!("{}{more}", names[..names.len().min(FEW)].join(", "))
}
