//! Backups: whole, restorable into either database, and refused when anything is wrong with them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use regressd::backup::{
    BackupError, restore_backup, run_schedule, verify_backup, verify_by_restoring, write_backup,
};
use regressd::database::runs;
use regressd::database::{Database, tokens};
use regressd::domain::{HistoryPlace, RepositoryId, RunId, StreamId, UnixMillis};

use crate::databases::{accepted, new_run, stream};
use crate::place::Place;
use crate::running::Running;

/// A database with a repository, a history and a name that is hard to write.
async fn filled(place: &Place) -> Database {
    let database = Database::open(&place.location).await.unwrap();
    let whose = stream(&database).await;
    for number in 0..150 {
        let mut run = new_run(whose, &format!("{number:040x}"), UnixMillis::now());
        run.key = format!("it's \"odd\" \n\u{1F980} {number}");
        accepted(&database, run).await;
    }
    database
}

async fn history(database: &Database) -> Vec<(RunId, String, String)> {
    let mut connection = database.acquire_reader().await.unwrap();
    let streams = regressd::database::streams::of_repository(&mut connection, RepositoryId(1));
    let stream = streams.await.unwrap()[0].id;
    runs::list_history_runs(&mut connection, stream, "main", HistoryPlace::LAST, 1000)
        .await
        .unwrap()
}

pub(crate) async fn a_backup_holds_everything_and_fits_both_databases(place: Place) {
    let database = filled(&place).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backup.jsonl");
    // Somebody writes meanwhile.
    let whose = (RepositoryId(1), StreamId(1));
    let writing = tokio::spawn({
        let database = database.clone();
        async move {
            for number in 1000..1050 {
                accepted(
                    &database,
                    new_run(whose, &format!("{number:040x}"), UnixMillis::now()),
                )
                .await;
            }
        }
    });
    write_backup(&database, &path).await.unwrap();
    writing.await.unwrap();
    let summary = verify_backup(&path).unwrap();
    assert!((150..=200).contains(&summary.rows["runs"]), "{summary:?}");
    assert_eq!(
        summary.rows["runs"], summary.rows["judgements"],
        "one snapshot: {summary:?}"
    );
    assert_eq!(verify_by_restoring(&path).await.unwrap(), summary);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "it may hold private results");
    for other in [Place::sqlite(), Place::postgres().await] {
        let restored = Database::open(&other.location).await.unwrap();
        assert_eq!(restore_backup(&restored, &path).await.unwrap(), summary);
        let (old, new) = (history(&database).await, history(&restored).await);
        assert_eq!(new[..], old[old.len() - new.len()..]);
        // New rows get new numbers.
        let next = accepted(&restored, new_run(whose, &"f".repeat(40), UnixMillis::now())).await;
        assert!(next > new[0].0, "{next:?}");
        restored.close().await;
    }
    assert!(matches!(
        write_backup(&database, &path).await,
        Err(BackupError::Exists(_))
    ));
    database.close().await;
}

pub(crate) async fn what_is_damaged_newer_or_not_empty_is_refused(place: Place) {
    let database = filled(&place).await;
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good.jsonl");
    write_backup(&database, &good).await.unwrap();
    let error = restore_backup(&database, &good).await.unwrap_err();
    assert!(error.to_string().contains("is not empty"), "{error}");
    let text = fs::read_to_string(&good).unwrap();
    let last = text.trim_end().rfind('\n').unwrap() + 1;
    let bad = folder.path().join("bad.jsonl");
    for (damaged, says) in [
        (text[..text.len() / 2].to_owned(), "the rest is missing"),
        (text[..last].to_owned(), "the rest is missing"),
        (text.replacen("main", "evil", 1), "checksum"),
        (text.replacen("\"runs\":150", "\"runs\":151", 1), "number of rows"),
        (format!("{text}more\n"), "follows its last line"),
        (text.replacen("\"schema\":", "\"schema\":9", 1), "newer"),
        (
            text.replacen("\"regressd_backup\":1", "\"regressd_backup\":2", 1),
            "newer",
        ),
        (
            text.replacen("\"table\":\"runs\"", "\"table\":\"runs; --\"", 1),
            "no such table",
        ),
        (String::new(), "the rest is missing"),
        ("something else\n".to_owned(), "first line"),
        ("x".repeat(300 << 20), "longer than 256 MiB"),
    ] {
        fs::write(&bad, damaged).unwrap();
        let error = verify_by_restoring(&bad).await.unwrap_err().to_string();
        assert!(
            error.contains(says) && error.contains("bad.jsonl"),
            "{says}: {error}"
        );
    }
    let nowhere = write_backup(&database, Path::new("/proc/none/backup.jsonl"))
        .await
        .unwrap_err();
    assert!(nowhere.to_string().contains("/proc/none"), "{nowhere}");
    let no_folder = write_backup(&database, Path::new("/dev/full/backup.jsonl"))
        .await
        .unwrap_err();
    assert!(matches!(no_folder, BackupError::Write { .. }), "{no_folder}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    database.close().await;
}

pub(crate) async fn scheduled_backups_are_made_and_kept_in_number(place: Place) {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().to_str().unwrap().to_owned();
    for day in 1..=5 {
        let old = format!("regressd-backup-2026-01-0{day}T00-00-00Z.jsonl");
        fs::write(folder.path().join(old), "old").unwrap();
    }
    let service = Running::with(place, &[("backup.directory", &text), ("backup.keep", "3")]).await;
    service.token("octo/*", "read").await;
    let one = tokio::spawn(run_schedule(service.state.clone()));
    let two = tokio::spawn(run_schedule(service.state.clone()));
    let names = || {
        let entries = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    for _ in 0..200 {
        if names().len() == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let names = names();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(
        names[1].contains("2026-01-05"),
        "one backup was made, not two: {names:?}"
    );
    let summary = verify_backup(&folder.path().join(&names[2])).unwrap();
    assert_eq!(summary.rows["tokens"], 1);
    let mut connection = service.state.database.acquire_reader().await.unwrap();
    assert_eq!(tokens::list_tokens(&mut connection).await.unwrap().len(), 1);
    drop(connection);
    service.state.ending.cancel();
    one.await.unwrap();
    two.await.unwrap();
}
