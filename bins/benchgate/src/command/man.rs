//! `benchgate man`: the manual page.

use clap::CommandFactory as _;
use clap_mangen::Man;
use cli_kit::{ExitStatus, Failure, OrFail};

use crate::app::App;
use crate::args::{Cli, ManArgs};
use crate::files;

/// Runs the command.
pub(crate) fn run(app: &App<'_>, args: &ManArgs) -> Result<ExitStatus, Failure> {
    let mut command = Cli::command();
    // Gives the subcommands their full names.
    command.build();
    let Some(directory) = &args.directory else {
        app.printer.text(page(command)?)?;
        return Ok(ExitStatus::NothingFound);
    };
    let directory = app.here.join(directory);
    for subcommand in command
        .get_subcommands()
        .filter(|subcommand| subcommand.get_name() != "help")
    {
        let name = subcommand.get_display_name().unwrap_or(subcommand.get_name());
        files::write(&directory.join(format!("{name}.1")), &page(subcommand.clone())?)?;
    }
    files::write(&directory.join("benchgate.1"), &page(command)?)?;
    Ok(ExitStatus::NothingFound)
}

fn page(command: clap::Command) -> Result<String, Failure> {
    let mut text = Vec::new();
    Man::new(command)
        .render(&mut text)
        .or_fail("cannot write the manual page")?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
