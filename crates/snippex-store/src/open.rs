//! Opening a database: the checks that must come before anything is written, and the pool.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, ConnectOptions, Connection, Transaction};
use tokio::time::sleep;

use crate::dialect::{APPLICATION_ID, Dialect};
use crate::error::StoreError;
use crate::location::Location;
use crate::schema;

/// How long an operation waits for another process's lock before it gives up.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

const TRY_AGAIN: Duration = Duration::from_millis(20);

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
        if let Location::Sqlite(path) = location {
            let file = |source| StoreError::File {
                location: location.clone(),
                source,
            };
            if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                fs::create_dir_all(parent).map_err(file)?;
            }
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .map_err(file)?;
        }
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
        sqlx::any::install_default_drivers();
        let failed = |source| StoreError::of_driver(location, "open", source);
        let options: AnyConnectOptions =
            (location.driver_url()? + query)
                .parse()
                .map_err(|_| StoreError::BadLocation {
                    location: location.to_string(),
                    reason: "the URL cannot be read",
                })?;
        // What goes wrong comes back as an error; logged statements would only drown it.
        let options = options.disable_statement_logging();
        // The pool would try again until its time is over; one connection of our own tells at once.
        let mut first = AnyConnection::connect_with(&options).await.map_err(failed)?;
        prepare_patiently(&mut first, location).await?;
        first.close().await.map_err(failed)?;

        let setup = Dialect::of(location).connection_setup();
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(BUSY_TIMEOUT)
            .after_connect(move |connection, _| Box::pin(run(connection, setup)))
            .connect_with(options)
            .await
            .map_err(failed)?;
        Ok(Self {
            pool,
            location: location.clone(),
        })
    }

    /// Starts a transaction that will write.
    pub(crate) async fn begin(
        &self,
        doing: &'static str,
    ) -> Result<Transaction<'static, sqlx::Any>, StoreError> {
        self.pool
            .begin_with(Dialect::of(&self.location).begin())
            .await
            .map_err(self.failed(doing))
    }

    /// Turns an answer of the driver into the error of an operation.
    pub(crate) fn failed(&self, doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
        move |source| StoreError::of_driver(&self.location, doing, source)
    }

    pub(crate) fn missing(&self, what: &'static str, number: i64) -> StoreError {
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

/// SQLite does not wait when two processes turn on the write-ahead log of a new file: one is told at once that
/// the file is busy. It tries again.
async fn prepare_patiently(connection: &mut AnyConnection, location: &Location) -> Result<(), StoreError> {
    let give_up = Instant::now() + BUSY_TIMEOUT;
    loop {
        match prepare(connection, location).await {
            Err(StoreError::Busy { .. }) if Instant::now() < give_up => sleep(TRY_AGAIN).await,
            answer => return answer,
        }
    }
}

/// Makes sure that the database is ours before anything in it is changed, then brings the schema up to date.
async fn prepare(connection: &mut AnyConnection, location: &Location) -> Result<(), StoreError> {
    let failed = |source| StoreError::of_driver(location, "open", source);
    let dialect = Dialect::of(location);
    run(connection, dialect.connection_setup())
        .await
        .map_err(failed)?;
    if dialect == Dialect::Sqlite {
        // In this order: whoever creates the tables at this moment has marked the file before.
        if is_empty(connection).await.map_err(failed)? {
            mark(connection).await.map_err(failed)?;
        } else if !is_marked(connection).await.map_err(failed)? {
            return Err(StoreError::Foreign {
                location: location.clone(),
            });
        }
    }
    schema::migrate(connection, location).await
}

async fn run(connection: &mut AnyConnection, statements: &'static str) -> sqlx::Result<()> {
    sqlx::raw_sql(statements).execute(connection).await?;
    Ok(())
}

async fn is_marked(connection: &mut AnyConnection) -> sqlx::Result<bool> {
    let id: i64 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(connection)
        .await?;
    Ok(id == APPLICATION_ID)
}

async fn is_empty(connection: &mut AnyConnection) -> sqlx::Result<bool> {
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master")
        .fetch_one(connection)
        .await?;
    Ok(count == 0)
}

/// Two processes may come here at once; the second one does again what is already so.
async fn mark(connection: &mut AnyConnection) -> sqlx::Result<()> {
    run(
        connection,
        "PRAGMA journal_mode = WAL; PRAGMA application_id = 1397641304",
    )
    .await
}
