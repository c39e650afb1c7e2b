//! Opening a database: the checks that must come before anything is written, and the pool.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use database_kit::{Dialect, Location};
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, Transaction};

use crate::error::StoreError;
use crate::schema::SCHEMA;

/// How long an operation waits for another process's lock before it gives up.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

/// Who may use a new file: whom the umask lets.
const FILE_MODE: u32 = 0o666;

pub(crate) const CONNECTIONS: u32 = 4;

/// An open database. Cheap to clone; the clones share their connections.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pool: AnyPool,
    pub(crate) location: Location,
}

impl Store {
    /// Opens the database and creates it, with its directory, when it is not there. Brings an older schema up
    /// to date. A database that a killed process left behind needs nothing special.
    ///
    /// # Errors
    /// When the place cannot be used: see the variants of [`StoreError`].
    pub async fn open(location: &Location) -> Result<Self, StoreError> {
        location
            .create_file(FILE_MODE)
            .map_err(|source| StoreError::File {
                location: location.clone(),
                source,
            })?;
        Self::connect(location, "").await
    }

    /// Opens the database if there is one. One that may not be written, with a schema that is up to date, can be
    /// read; what would write to it ends in [`StoreError::ReadOnly`].
    ///
    /// # Errors
    /// [`StoreError::NoDatabase`] when there is none, otherwise as [`Store::open`].
    pub async fn open_existing(location: &Location) -> Result<Self, StoreError> {
        let Location::Sqlite(path) = location else {
            return Self::connect(location, "").await;
        };
        if let Err(source) = OpenOptions::new().read(true).write(true).open(path) {
            let location = location.clone();
            match source.kind() {
                io::ErrorKind::NotFound => return Err(StoreError::NoDatabase { location }),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                    if File::open(path).is_ok() => {}
                _ => return Err(StoreError::File { location, source }),
            }
        }
        match Self::connect(location, "").await {
            // In a folder where it cannot make files, SQLite reads a file only if that is said to stay as it is:
            // without a log beside it nobody is writing.
            Err(StoreError::ReadOnly { .. }) if !log_of(path).exists() => {
                Self::connect(location, "?immutable=true").await
            }
            answer => answer,
        }
    }

    /// Where the database is.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Waits for the connections to end. Dropping the store is as safe, it only leaves the log of a SQLite file
    /// to the next process.
    pub async fn close(self) {
        self.pool.close().await;
    }

    /// With `query` behind the driver's URL.
    async fn connect(location: &Location, query: &str) -> Result<Self, StoreError> {
        let options = location.connect_options(query)?;
        SCHEMA.bring_up_to_date(location, &options, BUSY_TIMEOUT).await?;

        let setup = SCHEMA.setup.statements_for(Dialect::of_location(location));
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(BUSY_TIMEOUT)
            .after_connect(move |connection, _| Box::pin(run(connection, setup)))
            .connect_with(options)
            .await
            .map_err(|source| StoreError::of_driver(location, "open", source))?;
        Ok(Self {
            pool,
            location: location.clone(),
        })
    }

    /// Starts a transaction that will write.
    pub(crate) async fn begin_transaction(
        &self,
        doing: &'static str,
    ) -> Result<Transaction<'static, sqlx::Any>, StoreError> {
        self.pool
            .begin_with(Dialect::of_location(&self.location).begin_statement())
            .await
            .map_err(self.failed_to(doing))
    }

    /// Turns an answer of the driver into the error of an operation.
    pub(crate) fn failed_to(&self, doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
        move |source| StoreError::of_driver(&self.location, doing, source)
    }

    pub(crate) fn missing_row(&self, what: &'static str, number: i64) -> StoreError {
        StoreError::Missing {
            what,
            number,
            location: self.location.clone(),
        }
    }
}

/// The write-ahead log of a SQLite file.
fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

async fn run(connection: &mut AnyConnection, statements: &'static str) -> sqlx::Result<()> {
    sqlx::raw_sql(statements).execute(connection).await?;
    Ok(())
}
