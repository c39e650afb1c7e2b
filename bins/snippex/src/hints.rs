//! Errors of the libraries as failures with a hint: what the user can do about each.

use std::error::Error;

use cli_kit::Failure;
use snippex_blocks::generate::RequestError;
use snippex_blocks::select::FilterError;
use snippex_exec::engine::{EngineError, SpecError};
use snippex_exec::remote::RemoteError;
use snippex_report::disassembly::DecoderError;
use snippex_report::report::{PdfError, TemplateError};
use snippex_session::{ReproduceError, SessionError};
use snippex_store::{BundleError, StoreError};

/// An error of a library that users can be told about.
pub(crate) trait UserError {
    /// The one line, and the hint.
    fn user_error(&self) -> Failure;
}

/// Turns such errors into failures.
pub(crate) trait OrUserError<T> {
    fn or_user_error(self) -> Result<T, Failure>;
}

impl<T, E: UserError> OrUserError<T> for Result<T, E> {
    fn or_user_error(self) -> Result<T, Failure> {
        self.map_err(|error| error.user_error())
    }
}

/// The error and everything that caused it, on one line.
fn chain(error: &dyn Error) -> Failure {
    match error.source() {
        None => Failure::new(error.to_string()),
        Some(source) => Failure::with_cause(error.to_string(), source),
    }
}

/// The error on one line, and what can be done about it, if anything.
fn with_hint(error: &dyn Error, hint: Option<impl Into<String>>) -> Failure {
    let failure = chain(error);
    match hint {
        None => failure,
        Some(hint) => failure.hint(hint),
    }
}

impl UserError for StoreError {
    fn user_error(&self) -> Failure {
        with_hint(self, self.hint())
    }
}

impl UserError for BundleError {
    fn user_error(&self) -> Failure {
        with_hint(self, self.hint())
    }
}

impl UserError for SpecError {
    fn user_error(&self) -> Failure {
        chain(self).hint(self.hint())
    }
}

impl UserError for EngineError {
    fn user_error(&self) -> Failure {
        chain(self).hint(self.hint())
    }
}

impl UserError for RemoteError {
    fn user_error(&self) -> Failure {
        chain(self).hint(self.hint())
    }
}

impl UserError for ReproduceError {
    fn user_error(&self) -> Failure {
        with_hint(self, self.hint())
    }
}

impl UserError for SessionError {
    fn user_error(&self) -> Failure {
        with_hint(self, self.hint())
    }
}

impl UserError for DecoderError {
    fn user_error(&self) -> Failure {
        chain(self)
    }
}

impl UserError for TemplateError {
    fn user_error(&self) -> Failure {
        chain(self)
    }
}

impl UserError for PdfError {
    fn user_error(&self) -> Failure {
        chain(self)
    }
}

impl UserError for FilterError {
    fn user_error(&self) -> Failure {
        chain(self)
    }
}

impl UserError for RequestError {
    fn user_error(&self) -> Failure {
        chain(self).hint(self.hint())
    }
}
