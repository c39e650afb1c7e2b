//! `snippex completions`: what a shell needs to complete the command line.

use clap::CommandFactory;
use cli_kit::{ExitStatus, Failure};

use crate::app::App;
use crate::args::{Cli, CompletionsArgs};

pub(crate) fn run(app: &App<'_>, args: &CompletionsArgs) -> Result<ExitStatus, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "snippex", &mut script);
    app.printer.text(String::from_utf8_lossy(&script))?;
    Ok(ExitStatus::NothingFound)
}
