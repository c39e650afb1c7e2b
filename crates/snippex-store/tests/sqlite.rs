//! The suite on fresh SQLite files, and what can be wrong with a file.

#![expect(clippy::unwrap_used, reason = "a test, its helpers included")]

use std::fs;

use snippex_store::{Location, StoreError, StoreHandle};
use tempfile::TempDir;

#[macro_use]
mod suite;

fn fresh() -> (Location, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    // A name that would mean something in a URL, in a directory that is not there yet.
    let path = directory.path().join("not yet").join("a b?mode=ro#%41:.db");
    (Location::from(path.as_path()), directory)
}

every_test!(plain);

/// As [`fresh`], with a name that the suite's own connections understand too.
fn plain() -> (Location, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (
        Location::from(directory.path().join("snippex.db").as_path()),
        directory,
    )
}

#[test]
fn any_path_reaches_the_file_it_names() {
    let (location, directory) = fresh();
    drop(StoreHandle::open(&location).unwrap());
    let names: Vec<_> = fs::read_dir(directory.path().join("not yet")).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(location.file().unwrap().is_file());
}

#[test]
fn a_command_that_only_shows_makes_no_file() {
    let (location, _directory) = plain();
    let error = StoreHandle::open_existing(&location).unwrap_err();
    assert!(matches!(error, StoreError::NoDatabase { .. }), "{error:?}");
    assert!(!location.file().unwrap().exists());
    drop(StoreHandle::open(&location).unwrap());
    StoreHandle::open_existing(&location).unwrap();
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let (location, _directory) = plain();
    let text = "#!/bin/sh\necho hello\n".repeat(100);
    fs::write(location.file().unwrap(), &text).unwrap();
    let error = StoreHandle::open(&location).unwrap_err();
    assert!(matches!(error, StoreError::NotADatabase { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(location.file().unwrap()).unwrap(), text);
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let (location, _directory) = plain();
    fs::write(location.file().unwrap(), "").unwrap();
    suite::execute(&location, "CREATE TABLE runs (id INTEGER)");
    let before = fs::read(location.file().unwrap()).unwrap();
    let error = StoreHandle::open(&location).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error:?}");
    assert_eq!(fs::read(location.file().unwrap()).unwrap(), before);
}

#[test]
fn a_cut_database_is_told() {
    let (location, _directory) = plain();
    drop(StoreHandle::open(&location).unwrap());
    let bytes = fs::read(location.file().unwrap()).unwrap();
    for keep in [50, 4096, 5000, bytes.len() / 2] {
        fs::write(location.file().unwrap(), &bytes[..keep]).unwrap();
        let error = StoreHandle::open(&location).unwrap_err();
        let told = matches!(
            error,
            StoreError::Damaged { .. } | StoreError::NotADatabase { .. }
        );
        assert!(told, "{keep}: {error:?}");
    }
}

#[test]
fn places_that_cannot_be_written_are_told() {
    let (location, directory) = plain();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    // A directory; below a file; where nobody, root included, may write.
    for path in [
        directory.path().to_owned(),
        file.join("x.db"),
        "/sys/snippex.db".into(),
        "/proc/x/y.db".into(),
    ] {
        let error = StoreHandle::open(&Location::Sqlite(path)).unwrap_err();
        assert!(matches!(error, StoreError::File { .. }), "{error:?}");
        assert!(error.hint().unwrap().contains("--database"));
    }
    drop(StoreHandle::open(&location).unwrap());
}

#[test]
fn an_interrupted_first_start_is_taken_up() {
    // Killed after the file was made, and after it was marked as ours.
    let (location, _directory) = plain();
    fs::write(location.file().unwrap(), "").unwrap();
    drop(StoreHandle::open(&location).unwrap());
    let (location, _directory) = plain();
    fs::write(location.file().unwrap(), "").unwrap();
    suite::execute(
        &location,
        "PRAGMA journal_mode = WAL; PRAGMA application_id = 1397641304",
    );
    drop(StoreHandle::open(&location).unwrap());
}

#[test]
fn the_schema_of_bundles_describes_real_ones() {
    let (location, _directory) = plain();
    let store = StoreHandle::open(&location).unwrap();
    suite::bundles::fill(&store);
    let text = suite::bundles::export(&store);
    let schema = include_str!("../../../docs/export.schema.json");
    let schema = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let bundle: serde_json::Value = serde_json::from_str(&text).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&bundle)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert_eq!(errors, Vec::<String>::new());
    // It is no schema that takes everything.
    let mut other = bundle.clone();
    other["blocks"][0]["colour"] = 1.into();
    assert!(!validator.is_valid(&other));
    other = bundle;
    other["results"][0]["runs"] = "64".into();
    assert!(!validator.is_valid(&other));
}
