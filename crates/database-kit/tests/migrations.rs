//! Databases of older, newer and other programs, as files.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::time::Duration;

use database_kit::{ConnectionSetup, Location, MigrationError, Schema};
use sqlx::{AnyConnection, Connection as _};

const SCHEMA: Schema = Schema {
    program: "notes",
    application_id: 0x4e4f_5445,
    setup: ConnectionSetup {
        sqlite: "PRAGMA busy_timeout = 5000",
        postgres: "",
    },
    sqlite_types: &[("BYTEA", "BLOB")],
    migrations: &[
        "CREATE TABLE notes (id BIGINT NOT NULL, text BYTEA)",
        "ALTER TABLE notes ADD COLUMN title BYTEA",
    ],
};

/// What programs wrote before this crate was: the mark, the version's table, the tables.
const VERSION_1: &str = "PRAGMA journal_mode = WAL; PRAGMA application_id = 1313821765;
    CREATE TABLE notes_schema (version BIGINT NOT NULL);
    CREATE TABLE notes (id BIGINT NOT NULL, text BLOB);
    INSERT INTO notes_schema (version) VALUES (1);
    INSERT INTO notes (id, text) VALUES (7, 'kept')";

async fn connect(location: &Location) -> AnyConnection {
    location.create_file(0o600).unwrap();
    let options = location.connect_options("").unwrap();
    AnyConnection::connect_with(&options).await.unwrap()
}

async fn run(location: &Location, statements: &'static str) {
    let mut connection = connect(location).await;
    sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn count(location: &Location, sql: &'static str) -> i64 {
    let mut connection = connect(location).await;
    let count = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count
}

async fn migrate(location: &Location) -> Result<i64, MigrationError> {
    location.create_file(0o600).unwrap();
    let options = location.connect_options("").unwrap();
    SCHEMA
        .bring_up_to_date(location, &options, Duration::from_secs(30))
        .await
}

fn location(folder: &Path) -> Location {
    Location::Sqlite(folder.join("a folder/notes.db"))
}

#[tokio::test]
async fn a_new_database_gets_all_tables_once() {
    let folder = tempfile::tempdir().unwrap();
    let location = location(folder.path());
    assert_eq!(migrate(&location).await.unwrap(), 0);
    assert_eq!(migrate(&location).await.unwrap(), SCHEMA.latest_version());
    assert_eq!(count(&location, "SELECT COUNT(*) FROM notes_schema").await, 1);
    assert_eq!(count(&location, "PRAGMA application_id").await, 0x4e4f_5445);
    let blobs = "SELECT COUNT(*) FROM pragma_table_info('notes') WHERE type = 'BLOB'";
    assert_eq!(count(&location, blobs).await, 2);
}

#[tokio::test]
async fn an_older_database_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let location = location(folder.path());
    run(&location, VERSION_1).await;
    assert_eq!(migrate(&location).await.unwrap(), 1);
    assert_eq!(
        count(&location, "SELECT id FROM notes WHERE title IS NULL").await,
        7
    );
    assert_eq!(count(&location, "SELECT MAX(version) FROM notes_schema").await, 2);
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let location = location(folder.path());
    run(&location, VERSION_1).await;
    run(&location, "INSERT INTO notes_schema (version) VALUES (99)").await;
    let error = migrate(&location).await.unwrap_err();
    assert!(
        matches!(
            error,
            MigrationError::Newer {
                found: 99,
                latest: 2,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error.to_string().contains("99, known are those up to 2"),
        "{error}"
    );
    assert_eq!(
        count(&location, "SELECT MAX(version) FROM notes_schema").await,
        99
    );
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let location = location(folder.path());
    run(&location, "CREATE TABLE theirs (id BIGINT)").await;
    let error = migrate(&location).await.unwrap_err();
    assert!(matches!(error, MigrationError::Foreign { .. }), "{error}");
    assert_eq!(count(&location, "SELECT COUNT(*) FROM sqlite_master").await, 1);
    assert_eq!(count(&location, "PRAGMA application_id").await, 0);
}

#[tokio::test]
async fn several_may_create_the_tables_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let location = location(folder.path());
    let (a, b, c) = tokio::join!(migrate(&location), migrate(&location), migrate(&location));
    let before = [a.unwrap(), b.unwrap(), c.unwrap()];
    assert!(before.contains(&0), "{before:?}");
    assert_eq!(count(&location, "SELECT COUNT(*) FROM notes_schema").await, 1);
}

#[tokio::test]
async fn errors_of_the_driver_do_not_show_the_password() {
    let location: Location = "postgres://me:s3cret@127.0.0.1:1/db?password=s3cret"
        .parse()
        .unwrap();
    let options = location.connect_options("").unwrap();
    let error = SCHEMA
        .bring_up_to_date(&location, &options, Duration::ZERO)
        .await
        .unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(matches!(error, MigrationError::Driver { .. }), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}
