//! `benchgate man`: the manual pages.

use clap::CommandFactory as _;
use cli_kit::{ExitStatus, Failure, OrFail, manual_pages};

use crate::app::App;
use crate::args::{Cli, ManArgs};
use crate::files;

/// Runs the command.
pub(crate) fn run(app: &App<'_>, args: &ManArgs) -> Result<ExitStatus, Failure> {
    let pages = manual_pages(Cli::command()).or_fail("cannot write the manual page")?;
    match &args.directory {
        Some(directory) => {
            let directory = app.here.join(directory);
            for (name, text) in &pages {
                files::write_file(&directory.join(name), text)?;
            }
        }
        // The program's own is the first.
        None => pages
            .iter()
            .take(1)
            .try_for_each(|(_, text)| app.printer.print_text(text))?,
    }
    Ok(ExitStatus::NothingFound)
}
