//! The database: SQLite by default, PostgreSQL by URL, the same statements for both.
//!
//! One file a table; each function is one SQL statement over a connection. [`Database::acquire_reader`] gives a connection to
//! read with, [`Database::run_in_transaction`] runs a few of them in a transaction that is committed together with whatever else is
//! being written (see `writer`).

mod columns;
mod error;
mod writer;

pub mod audit;
pub mod bulk;
pub mod deliveries;
pub mod identity;
pub mod jobs;
pub mod judgements;
pub mod landed;
mod leases;
mod paces;
pub mod pull_requests;
pub mod repositories;
pub mod retention;
pub mod rewritten;
pub mod runs;
mod schema;
pub mod streams;
pub mod tokens;

use std::time::Duration;

pub use database_kit::{Dialect, Location};
pub use error::DatabaseError;
pub use schema::LATEST;
use schema::SCHEMA;
use sqlx::any::AnyPoolOptions;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool};
use writer::Writer;
pub use writer::Written;

/// The file may hold the results of private repositories: nobody else reads it.
const FILE_MODE: u32 = 0o600;
/// How long an operation waits for a connection or a lock.
const PATIENCE: Duration = Duration::from_secs(30);
/// Connections that read.
const READERS: u32 = 8;
/// Transactions that may write at once on PostgreSQL.
const LANES: u32 = 4;

/// An open database. Cheap to clone; the clones share their connections.
#[derive(Clone, Debug)]
pub struct Database {
    readers: AnyPool,
    writers: AnyPool,
    writer: Writer,
    location: Location,
}

impl Database {
    /// Opens the database, creates it when it is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// When the place cannot be used.
    pub async fn open(location: &Location) -> Result<Self, DatabaseError> {
        migrate_database(location).await?;
        let dialect = Dialect::of_location(location);
        let lanes = match dialect {
            Dialect::Sqlite => 1,
            Dialect::Postgres => LANES,
        };
        let readers = pool(location, READERS).await?;
        let writers = pool(location, lanes).await?;
        let writer = Writer::start_lanes(&writers, dialect, lanes);
        Ok(Self {
            readers,
            writers,
            writer,
            location: location.clone(),
        })
    }

    /// Where the database is.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Which database it is.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        Dialect::of_location(&self.location)
    }

    /// A connection to read with.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn acquire_reader(&self) -> Result<PoolConnection<Any>, DatabaseError> {
        Ok(self.readers.acquire().await?)
    }

    /// Runs `work` in a transaction, and returns when that is durable. `work` may be called a second time when another
    /// operation of the same commit failed, so it owns what it needs and gives the same again.
    ///
    /// # Errors
    /// When the database does not answer, or refuses the operation.
    pub async fn run_in_transaction<T, F>(&self, work: F) -> Result<T, DatabaseError>
    where
        F: for<'c> Fn(&'c mut AnyConnection) -> Written<'c, T> + Send + 'static,
        T: Send + 'static,
    {
        self.writer.run_in_transaction(work).await
    }

    /// Whether the last write failed for a reason that concerns all of them, as a full disk does.
    #[must_use]
    pub fn is_failing_to_write(&self) -> bool {
        self.writer.is_failing()
    }

    /// Waits for the connections to end.
    pub async fn close(self) {
        self.writers.close().await;
        self.readers.close().await;
    }
}

/// Brings the schema of a database up to date, creating it when it is not there. Returns the version before.
///
/// # Errors
/// When the place cannot be used.
pub async fn migrate_database(location: &Location) -> Result<i64, DatabaseError> {
    location
        .create_file(FILE_MODE)
        .map_err(|source| DatabaseError::File {
            location: location.to_string(),
            source: source.into(),
        })?;
    let options = location.connect_options("")?;
    Ok(SCHEMA.bring_up_to_date(location, &options, PATIENCE).await?)
}

async fn pool(location: &Location, connections: u32) -> Result<AnyPool, DatabaseError> {
    let dialect = Dialect::of_location(location);
    let pool = AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        // A file does not go away; a server does.
        .test_before_acquire(dialect == Dialect::Postgres)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                sqlx::raw_sql(SCHEMA.setup.statements_for(dialect))
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .connect_with(location.connect_options("")?)
        .await?;
    Ok(pool)
}
