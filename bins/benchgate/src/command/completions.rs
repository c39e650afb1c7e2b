//! `benchgate completions`: a script for a shell.

use clap::CommandFactory as _;
use cli_kit::{ExitStatus, Failure};

use crate::app::App;
use crate::args::{Cli, CompletionsArgs};

/// Runs the command.
pub(crate) fn run(app: &App<'_>, args: &CompletionsArgs) -> Result<ExitStatus, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "benchgate", &mut script);
    app.printer.print_text(String::from_utf8_lossy(&script))?;
    Ok(ExitStatus::NothingFound)
}
