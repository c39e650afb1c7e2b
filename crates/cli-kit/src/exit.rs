//! How a command ends, as its exit code says it.

use std::process::ExitCode;

use crate::{Failure, OutputArgs, Printer};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It did its job and found nothing: no divergence, no regression. Code 0.
    NothingFound,
    /// It did its job and found something. Code 1.
    Found,
    /// It could not do its job. Code 2, as clap has it for wrong usage.
    CouldNot,
    /// The user interrupted it. Code 130, as shells have it for SIGINT.
    Interrupted,
    /// It stopped since nobody read its answer any more (`| head`). Code 141, as shells have it for SIGPIPE.
    ReaderGone,
}

impl ExitStatus {
    /// The exit code of the process.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            ExitStatus::NothingFound => 0,
            ExitStatus::Found => 1,
            ExitStatus::CouldNot => 2,
            ExitStatus::Interrupted => 130,
            ExitStatus::ReaderGone => 141,
        }
    }

    /// [`Found`](ExitStatus::Found) if `found`, else [`NothingFound`](ExitStatus::NothingFound).
    #[must_use]
    pub fn from_found(found: bool) -> ExitStatus {
        if found {
            ExitStatus::Found
        } else {
            ExitStatus::NothingFound
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> ExitCode {
        ExitCode::from(status.code())
    }
}

/// Runs a command with a printer made from `args`, prints its failure if it fails, and gives the exit
/// code for `main` to return.
pub fn run_command(
    args: &OutputArgs,
    command: impl FnOnce(&Printer) -> Result<ExitStatus, Failure>,
) -> ExitCode {
    let printer = match Printer::new(args) {
        Ok(printer) => printer,
        Err(failure) => {
            Printer::on_standard_streams().print_failure(&failure);
            return failure.status().into();
        }
    };
    // What is buffered has to be out before the answer counts as given: a full disk shows up here.
    let ended = command(&printer);
    crate::interrupt::leave_end_to_signal();
    let flushed = printer.flush();
    match ended.and_then(|status| flushed.map(|()| status)) {
        Ok(status) => status.into(),
        Err(failure) => {
            printer.print_failure(&failure);
            failure.status().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_what_scripts_rely_on() {
        use ExitStatus::*;
        assert_eq!(
            [NothingFound, Found, CouldNot, Interrupted, ReaderGone].map(ExitStatus::code),
            [0, 1, 2, 130, 141]
        );
        assert_eq!(ExitStatus::from_found(true), Found);
        assert_eq!(ExitStatus::from_found(false), NothingFound);
    }
}
