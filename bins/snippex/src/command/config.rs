//! `snippex config show`: the settings in force.

use cli_kit::{ExitStatus, Failure, Format};

use crate::app::App;

pub(crate) fn run(app: &App<'_>) -> Result<ExitStatus, Failure> {
    match app.format {
        Format::Human => app.printer.line(app.settings.view())?,
        Format::Json => app.printer.json(&app.settings.origins)?,
        Format::Jsonl => app.printer.json_line(&app.settings.origins)?,
    }
    Ok(ExitStatus::NothingFound)
}
