//! The suite on a real PostgreSQL, a fresh database for each test.

#![expect(clippy::unwrap_used, reason = "a test, its helpers included")]

use std::sync::atomic::{AtomicU32, Ordering};

use snippex_store::{Location, StoreError, StoreHandle};

#[macro_use]
mod suite;

/// URL of a server on which this user may create databases; `cargo xtask test` sets it.
const VARIABLE: &str = "SNIPPEX_TEST_POSTGRES";

/// A database of one test; removed at its end.
struct Database {
    server: Location,
    name: String,
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop_it = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        suite::execute(&self.server, drop_it.leak());
    }
}

fn server() -> String {
    std::env::var(VARIABLE).unwrap_or_else(|_| panic!("{VARIABLE} is not set: run `cargo xtask test`"))
}

/// `url` with another database name, its query kept.
fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url
        .split_once('?')
        .map_or((url, String::new()), |(base, query)| (base, format!("?{query}")));
    let authority = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority..]
        .find('/')
        .map_or(base.len(), |at| authority + at);
    format!("{}/{name}{query}", &base[..end])
}

fn fresh() -> (Location, Database) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = server();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("snippex_test_{}_{number}", std::process::id());
    let database = Database {
        server: Location::Postgres(server.clone()),
        name,
    };
    let create = format!("CREATE DATABASE {}", database.name);
    suite::execute(&database.server, create.leak());
    (
        Location::Postgres(with_database(&server, &database.name)),
        database,
    )
}

every_test!(fresh);

#[test]
fn a_server_that_is_not_there_is_told_at_once() {
    let location = Location::Postgres("postgres://nobody@127.0.0.1:1/nothing".to_owned());
    let error = StoreHandle::open(&location).unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("host and port"));
}

#[test]
fn a_database_that_is_not_there_is_refused() {
    let location = Location::Postgres(with_database(&server(), "no_such_database"));
    let error = StoreHandle::open(&location).unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    // Without the line in the server's source that it is from.
    let said = std::error::Error::source(&error).unwrap();
    assert_eq!(said.to_string(), "database \"no_such_database\" does not exist");
    assert!(said.source().is_none());
}

#[test]
fn tables_of_another_program_are_left_alone() {
    let (location, _guard) = fresh();
    suite::execute(&location, "CREATE TABLE runs (id BIGINT)");
    let error = StoreHandle::open(&location).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error:?}");
    // Nothing of ours was left behind.
    suite::execute(&location, "CREATE TABLE blocks (id BIGINT)");
}
