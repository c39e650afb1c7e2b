//! Errors of the libraries as failures with a hint: what the user can do about each.

use std::error::Error;
use std::io::ErrorKind;

use cli_kit::Failure;
use snippex_blocks::binary::ImageError;
use snippex_blocks::generate::RequestError;
use snippex_blocks::select::FilterError;
use snippex_exec::engine::{EngineError, SpecError};
use snippex_store::StoreError;

/// An error of a library that users can be told about.
pub(crate) trait Tell {
    /// The one line, and the hint.
    fn tell(&self) -> Failure;
}

/// Turns such errors into failures.
pub(crate) trait OrTell<T> {
    fn or_tell(self) -> Result<T, Failure>;
}

impl<T, E: Tell> OrTell<T> for Result<T, E> {
    fn or_tell(self) -> Result<T, Failure> {
        self.map_err(|error| error.tell())
    }
}

/// The error and everything that caused it, on one line.
fn chain(error: &dyn Error) -> Failure {
    match error.source() {
        None => Failure::new(error.to_string()),
        Some(source) => Failure::because(error.to_string(), source),
    }
}

impl Tell for StoreError {
    fn tell(&self) -> Failure {
        let failure = chain(self);
        match self.hint() {
            None => failure,
            Some(hint) => failure.hint(hint),
        }
    }
}

impl Tell for SpecError {
    fn tell(&self) -> Failure {
        let failure = chain(self);
        match self {
            Self::Unknown { .. } => failure.hint(
                "snippex engines list shows them; an engine of your own is given with --engine-command 'PROGRAM \
                 {runner}', or added with snippex engines add",
            ),
            Self::UnknownConfiguration { engine, .. } => {
                failure.hint(format!("snippex engines show {engine} lists its configurations"))
            }
            Self::Contradiction { .. } => failure.hint("name only one of the configurations that set it"),
            Self::NoCommand(name) => failure.hint(format!("add command = \"PROGRAM {{runner}}\" to [engines.{name}]")),
            Self::Missing { .. } => {
                failure.hint("or name another engine with --emulator or --engine-command")
            }
            Self::EmptyCommand | Self::OpenQuote(_) => {
                failure.hint("correct --engine-command, or the command of the engine's entry in the settings")
            }
        }
    }
}

impl Tell for EngineError {
    fn tell(&self) -> Failure {
        let failure = chain(self);
        match self {
            Self::Start { program, .. } => {
                failure.hint(format!("check that {program} is installed and executable, and on the PATH"))
            }
            Self::Handshake { .. } => failure.hint(
                "the engine has to run the x86-64 program that is named where {runner} stands, and pass its standard \
                 input and output on; try the command by hand",
            ),
            Self::NotNative { .. } => failure.hint("run this on an x86-64 machine, or name another engine"),
            Self::Changed { .. } => failure.hint("do not update the engine while it is in use"),
            Self::KeepsDying { .. } => {
                failure.hint("the engine is broken, or its machine is out of memory; try it with --count 1")
            }
            Self::Prepare { source, .. } if source.kind() != ErrorKind::OutOfMemory => failure.hint(format!(
                "make room in {}, or name another folder in the variable TMPDIR",
                std::env::temp_dir().display()
            )),
            Self::Prepare { .. } | Self::Talk { .. } => failure.hint("free memory, and try again"),
            Self::Batch(_) => failure.hint("give fewer --states"),
            // The text says what to do.
            Self::Results(_) => failure,
        }
    }
}

impl Tell for FilterError {
    fn tell(&self) -> Failure {
        chain(self)
    }
}

impl Tell for RequestError {
    fn tell(&self) -> Failure {
        let failure = chain(self);
        match self {
            Self::Extension { .. } => {
                failure.hint("see `snippex generate --dry-run` for the names of all extensions")
            }
            Self::Mnemonic { .. } => {
                failure.hint("give mnemonics as the manuals write them, separated by commas")
            }
            Self::Nothing => failure.hint("relax --isa or --instruction"),
            Self::Range { .. } => failure.hint("correct --per-form or --sequence"),
        }
    }
}

/// What to do about a file that is not a program we can read.
pub(crate) fn hint_on_image(error: &ImageError) -> &'static str {
    match error {
        ImageError::UnknownFormat { .. } | ImageError::NotLinked { .. } => {
            "name an x86-64 program or shared library, such as /bin/bash"
        }
        ImageError::WrongMachine { .. } => "name a program for x86-64, whatever machine this is",
        ImageError::Truncated { .. } => "the copy is incomplete: fetch the file again",
        ImageError::Malformed { .. } => {
            "the file is damaged or made to mislead; no loader would take it either"
        }
        ImageError::NoCode => {
            "name a program with code; if this is debug information, the program that it is of"
        }
    }
}
