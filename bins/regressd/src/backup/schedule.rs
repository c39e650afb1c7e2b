//! Backups from time to time, of which the newest are kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{BackupError, write_backup};
use crate::domain::UnixMillis;
use crate::github::Leases;
use crate::settings;
use crate::state::AppState;

/// How often it is looked whether something is due.
const LOOK: Duration = Duration::from_secs(60);
/// How long one process keeps the others from doing the same. A backup that takes longer is made twice, no more.
const LEASE: Duration = Duration::from_secs(3600);
const NAME: &str = "backup";
const PREFIX: &str = "regressd-backup-";
const SUFFIX: &str = ".jsonl";

/// Works until the service is to end.
pub async fn run_schedule(state: AppState) {
    let holder = uuid::Uuid::now_v7().to_string();
    loop {
        let settings = state.settings.load_full();
        if backup_is_due(&settings.backup, UnixMillis::now()) && held(&state, &holder).await {
            // Another process may have made it while this one waited.
            if backup_is_due(&settings.backup, UnixMillis::now()) {
                make_backup(&state, &settings.backup).await;
            }
            release(&state, &holder).await;
        }
        tokio::select! {
            () = state.ending.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn held(state: &AppState, holder: &str) -> bool {
    matches!(state.database.acquire_lease(NAME, holder, LEASE).await, Ok(None))
}

async fn release(state: &AppState, holder: &str) {
    if let Err(error) = state.database.release_lease(NAME, holder).await {
        tracing::warn!(%error, "the lease on backups is kept until it ends by itself");
    }
}

async fn make_backup(state: &AppState, settings: &settings::Backup) {
    let Some(folder) = &settings.directory else {
        return;
    };
    let path = folder.join(backup_file_name(UnixMillis::now()));
    let made = match std::fs::create_dir_all(folder) {
        Ok(()) => write_backup(&state.database, &path).await,
        Err(source) => Err(BackupError::Write {
            path: path.clone(),
            source,
        }),
    };
    match made {
        Ok(rows) => {
            metrics::counter!("regressd_backups_total", "outcome" => "made").increment(1);
            tracing::info!(path = %path.display(), rows, "a backup is made");
            remove_oldest(folder, settings.keep);
        }
        Err(error) => {
            metrics::counter!("regressd_backups_total", "outcome" => "failed").increment(1);
            tracing::error!(%error, "a backup could not be made; it is tried again in a minute");
        }
    }
}

/// The name of a backup, which sorts by time.
pub(crate) fn backup_file_name(now: UnixMillis) -> String {
    let time: String = now
        .to_string()
        .chars()
        .take(19)
        .map(|c| if c == ':' { '-' } else { c })
        .collect();
    format!("{PREFIX}{time}Z{SUFFIX}")
}

/// The backups of a folder, oldest first.
fn backups(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
    };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(ours).collect();
    found.sort();
    found
}

pub(super) fn backup_is_due(settings: &settings::Backup, now: UnixMillis) -> bool {
    let Some(folder) = &settings.directory else {
        return false;
    };
    let oldest_wanted =
        backup_file_name(now.saturating_sub(Duration::from_secs(settings.every_hours * 3600)));
    let newest = backups(folder).pop();
    let newest = newest
        .as_deref()
        .and_then(Path::file_name)
        .and_then(|name| name.to_str());
    newest.is_none_or(|newest| newest <= oldest_wanted.as_str())
}

/// Keeps the newest `keep`, at least one.
pub(super) fn remove_oldest(folder: &Path, keep: usize) {
    let mut all = backups(folder);
    all.truncate(all.len().saturating_sub(keep.max(1)));
    for path in all {
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "an old backup could not be removed");
        }
    }
}
