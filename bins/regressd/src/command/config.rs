//! `config`: the settings in force.

use cli_kit::Printer;

use super::CommandError;
use crate::settings::SettingsSources;

/// Shows every setting with its origin.
pub(super) fn print_settings(sources: &SettingsSources) -> Result<(), CommandError> {
    let table = sources.origins_table(&sources.resolve_settings()?);
    let printer = Printer::on_standard_streams();
    printer
        .print_line(table)
        .and_then(|()| printer.flush())
        .map_err(CommandError::new)
}
