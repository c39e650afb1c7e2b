//! `backup` and `restore`.

use std::path::{Path, PathBuf};

use super::{CommandError, print_line};
use crate::backup::{self, BackupSummary};
use crate::database::Database;
use crate::domain::UnixMillis;
use crate::settings::Settings;

/// Makes a backup.
pub(super) async fn make_backup(
    database: &Database,
    settings: &Settings,
    file: Option<&Path>,
) -> Result<(), CommandError> {
    if file == Some(Path::new("-")) {
        return Err(CommandError::new(
            "a backup is written to a file and renamed when it is whole: name one, or ./- if that is its name",
        ));
    }
    let named = || {
        let folder = settings
            .backup
            .directory
            .clone()
            .unwrap_or_else(|| PathBuf::from("."));
        folder.join(backup::backup_file_name(UnixMillis::now()))
    };
    let path = file.map_or_else(named, Path::to_owned);
    let rows = backup::write_backup(database, &path)
        .await
        .map_err(CommandError::new)?;
    print_line(format_args!("{}: {rows} rows", path.display()))
}

/// Restores a backup into an empty database.
pub(super) async fn restore_backup(database: &Database, file: &Path) -> Result<(), CommandError> {
    let summary = backup::restore_backup(database, file)
        .await
        .map_err(CommandError::new)?;
    show(&summary)?;
    print_line(format_args!("restored into {}", database.location()))
}

/// Proves that a backup can be restored, without touching the database.
pub(super) async fn verify_backup(file: &Path) -> Result<(), CommandError> {
    let summary = backup::verify_by_restoring(file)
        .await
        .map_err(CommandError::new)?;
    show(&summary)?;
    print_line(format_args!("{} is whole and can be restored", file.display()))
}

fn show(summary: &BackupSummary) -> Result<(), CommandError> {
    print_line(format_args!(
        "made {} by regressd {}",
        summary.created, summary.version
    ))?;
    for (table, rows) in summary.rows.iter().filter(|(_, rows)| **rows > 0) {
        print_line(format_args!("{rows:>10} {table}"))?;
    }
    Ok(())
}
