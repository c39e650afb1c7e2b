//! `snippex config show`: the settings in force.

use cli_kit::{ExitStatus, Failure};

use crate::app::App;

pub(crate) fn run(app: &App<'_>) -> Result<ExitStatus, Failure> {
    app.print_answer(&app.settings.origins, || {
        app.printer.print_line(app.settings.origins_view())
    })?;
    Ok(ExitStatus::NothingFound)
}
