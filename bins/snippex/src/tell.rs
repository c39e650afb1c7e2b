//! Errors of the libraries as failures with a hint: what the user can do about each.

use std::error::Error;

use cli_kit::Failure;
use snippex_blocks::generate::RequestError;
use snippex_blocks::select::FilterError;
use snippex_exec::engine::{EngineError, SpecError};
use snippex_report::disassembly::DecoderError;
use snippex_session::{ReproduceError, SessionError};
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
        chain(self).hint(self.hint())
    }
}

impl Tell for EngineError {
    fn tell(&self) -> Failure {
        chain(self).hint(self.hint())
    }
}

impl Tell for ReproduceError {
    fn tell(&self) -> Failure {
        let failure = chain(self);
        match self.hint() {
            None => failure,
            Some(hint) => failure.hint(hint),
        }
    }
}

impl Tell for SessionError {
    fn tell(&self) -> Failure {
        let failure = chain(self);
        match self.hint() {
            None => failure,
            Some(hint) => failure.hint(hint),
        }
    }
}

impl Tell for DecoderError {
    fn tell(&self) -> Failure {
        chain(self)
    }
}

impl Tell for FilterError {
    fn tell(&self) -> Failure {
        chain(self)
    }
}

impl Tell for RequestError {
    fn tell(&self) -> Failure {
        chain(self).hint(self.hint())
    }
}
