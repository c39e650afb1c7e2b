//! `config`: the settings in force.

use cli_kit::Printer;

use super::CommandError;
use crate::settings::SettingsSources;

/// Shows every setting with its origin.
pub(super) fn show(sources: &SettingsSources) -> Result<(), CommandError> {
    let table = sources.table(&sources.resolve()?);
    let printer = Printer::standard();
    printer
        .line(table)
        .and_then(|()| printer.flush())
        .map_err(CommandError::new)
}
