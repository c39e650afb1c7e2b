//! The expected error: what the user is told, and how the process ends.
//!
//! Libraries return typed errors; at the edge of a command they become a [`Failure`], one line that
//! says what could not be done and why, and a hint that says what to do.

use std::error::Error;
use std::fmt;

use crate::ExitStatus;

/// An error that a user can understand and mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    status: ExitStatus,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    /// The command could not do its job. `message` is lower case, without a full stop.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Failure {
        Failure {
            status: ExitStatus::CouldNot,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
        }
    }

    /// As [`new`](Failure::new), with `cause` and everything that caused it.
    #[must_use]
    pub fn with_cause(message: impl Into<String>, cause: &dyn Error) -> Failure {
        let mut failure = Failure::new(message);
        let mut next = Some(cause);
        while let Some(error) = next {
            let text = error.to_string();
            // Some errors repeat their source in their own text.
            let repeated = failure.causes.last().is_some_and(|last| last.ends_with(&text));
            if !repeated {
                failure.causes.push(text);
            }
            next = error.source();
        }
        failure
    }

    /// The user interrupted the command; `message` says what was kept.
    #[must_use]
    pub fn interrupted(message: impl Into<String>) -> Failure {
        Failure {
            status: ExitStatus::Interrupted,
            ..Failure::new(message)
        }
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// How the process ends with this failure.
    #[must_use]
    pub fn status(&self) -> ExitStatus {
        self.status
    }

    /// What the user can do about it, on one line.
    #[must_use]
    pub fn hint_text(&self) -> Option<String> {
        self.hint.as_deref().map(one_line)
    }
}

/// The message and its causes on one line, as in `cannot read a.toml: permission denied`.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(&self.message))?;
        self.causes
            .iter()
            .try_for_each(|cause| write!(f, ": {}", one_line(cause)))
    }
}

/// Turns errors of libraries into failures.
pub trait OrFail<T> {
    /// On an error, a failure with this message, caused by the error.
    ///
    /// # Errors
    /// The failure made of the error.
    fn or_fail(self, message: impl Into<String>) -> Result<T, Failure>;

    /// As [`or_fail`](OrFail::or_fail), with the message made only when it is needed.
    ///
    /// # Errors
    /// The failure made of the error.
    fn or_fail_with<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T, Failure>;
}

impl<T, E: Error + 'static> OrFail<T> for Result<T, E> {
    fn or_fail(self, message: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| Failure::with_cause(message, &error))
    }

    fn or_fail_with<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T, Failure> {
        self.map_err(|error| Failure::with_cause(message(), &error))
    }
}

/// `text` without line breaks and control characters: paths and messages of other programs may hold
/// anything, and must not be able to move the cursor or fake a second line.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for part in text.lines().map(str::trim).filter(|part| !part.is_empty()) {
        if !line.is_empty() {
            line.push_str("; ");
        }
        line.extend(part.chars().map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        }));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Layered(&'static str, Option<Box<Layered>>);

    impl fmt::Display for Layered {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Layered {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|source| source as &dyn Error)
        }
    }

    #[test]
    fn the_whole_chain_is_on_one_line() {
        let error = Layered(
            "segment 3 is truncated",
            Some(Box::new(Layered("end of file", None))),
        );
        let failure = Err::<(), _>(error).or_fail("failed to open a.out").unwrap_err();
        assert_eq!(
            failure.to_string(),
            "failed to open a.out: segment 3 is truncated: end of file"
        );
        assert_eq!(failure.status(), ExitStatus::CouldNot);
    }

    #[test]
    fn a_cause_that_its_parent_already_told_is_not_repeated() {
        let error = Layered(
            "cannot read x: end of file",
            Some(Box::new(Layered("end of file", None))),
        );
        assert_eq!(
            Failure::with_cause("failed", &error).to_string(),
            "failed: cannot read x: end of file"
        );
    }

    #[test]
    fn a_path_cannot_fake_a_second_line_or_move_the_cursor() {
        let failure = Failure::new("cannot read a\nerror: \u{1b}[2Jgone").hint("try\n\nagain");
        assert_eq!(failure.to_string(), "cannot read a; error: \u{fffd}[2Jgone");
        assert_eq!(failure.hint_text().as_deref(), Some("try; again"));
    }

    #[test]
    fn an_interruption_has_its_own_code() {
        assert_eq!(
            Failure::interrupted("stopped after 3 of 8 runs").status().code(),
            130
        );
    }
}
