//! `completions`: a script for a shell.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{CommandError, print_line};
use crate::args::Cli;

/// Prints the script.
pub(super) fn print_completions(shell: Shell) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "regressd", &mut script);
    print_line(format_args!("{}", String::from_utf8_lossy(&script).trim_end()))
}
