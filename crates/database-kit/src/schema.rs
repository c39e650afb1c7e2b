//! The version of a program's tables: every migration is embedded, and applied when a database is opened.
//!
//! The version stands in the table `PROGRAM_schema`, a row for each time that migrations were applied; the largest
//! number counts. A SQLite file carries the program's `application_id`, and one that does not is left alone.

use std::time::{Duration, Instant};

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use tokio::time::sleep;

use crate::{Dialect, Location, MigrationError};

const TRY_AGAIN: Duration = Duration::from_millis(20);

/// The tables of one program, and how it opens them.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// The program's name, which is a word of SQL: the version's table is named for it.
    pub program: &'static str,
    /// Marks a SQLite file as the program's (`PRAGMA application_id`), and names the lock that keeps two processes from
    /// creating the tables of a PostgreSQL database at the same time.
    pub application_id: u32,
    /// What each new connection starts with.
    pub setup: ConnectionSetup,
    /// Type words of the migrations, which are written for PostgreSQL, and those that SQLite gets instead.
    pub sqlite_types: &'static [(&'static str, &'static str)],
    /// The migrations in order; the schema version is the number of those applied. Entries are never changed after a
    /// release, only added.
    pub migrations: &'static [&'static str],
}

/// Statements that are run once on every new connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionSetup {
    /// On one of SQLite.
    pub sqlite: &'static str,
    /// On one of PostgreSQL.
    pub postgres: &'static str,
}

impl ConnectionSetup {
    /// The statements for a dialect.
    #[must_use]
    pub fn statements_for(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }
}

impl Schema {
    /// The newest schema version that this build knows.
    #[must_use]
    pub const fn latest_version(&self) -> i64 {
        self.migrations.len() as i64
    }

    /// Makes sure that the database is the program's before anything in it is changed, then applies the migrations that
    /// are missing. Several processes may do this at the same time; each tries for as long as `patience` while another
    /// one has the database locked. Returns the version before, 0 for a new database.
    ///
    /// # Errors
    /// When the database is another program's or a newer version's, or the driver fails.
    pub async fn bring_up_to_date(
        &self,
        location: &Location,
        options: &AnyConnectOptions,
        patience: Duration,
    ) -> Result<i64, MigrationError> {
        let migration = Migration {
            schema: self,
            location,
            dialect: Dialect::of_location(location),
        };
        let give_up = Instant::now() + patience;
        loop {
            match migration.connect_and_migrate(options).await {
                // SQLite does not wait when two processes turn on the write-ahead log of a new file: one is told at
                // once that the file is busy.
                Err(error) if error.is_busy() && Instant::now() < give_up => sleep(TRY_AGAIN).await,
                answer => return answer,
            }
        }
    }
}

/// A schema on its way into a database.
struct Migration<'a> {
    schema: &'a Schema,
    location: &'a Location,
    dialect: Dialect,
}

impl Migration<'_> {
    /// Over one connection of its own: a pool would try again until its time is over, this one tells at once.
    async fn connect_and_migrate(&self, options: &AnyConnectOptions) -> Result<i64, MigrationError> {
        let failed = self.failed("open");
        let mut connection = AnyConnection::connect_with(options).await.map_err(&failed)?;
        let setup = self.schema.setup.statements_for(self.dialect);
        sqlx::raw_sql(setup)
            .execute(&mut connection)
            .await
            .map_err(&failed)?;
        if self.dialect == Dialect::Sqlite {
            self.claim_file(&mut connection).await?;
        }
        let before = self.migrate(&mut connection).await?;
        connection.close().await.map_err(&failed)?;
        Ok(before)
    }

    /// Marks an empty SQLite file as the program's, and refuses the file of another one. In this order: whoever creates
    /// the tables at this moment has marked the file before. Of two that mark it, the second does again what is so.
    async fn claim_file(&self, connection: &mut AnyConnection) -> Result<(), MigrationError> {
        let failed = self.failed("open");
        let id = self.schema.application_id;
        if count_all(connection).await.map_err(&failed)? == 0 {
            let mark = format!("PRAGMA journal_mode = WAL; PRAGMA application_id = {id}");
            execute(connection, mark).await.map_err(&failed)?;
        } else if application_id(connection).await.map_err(&failed)? != i64::from(id) {
            return Err(MigrationError::Foreign {
                location: self.location.clone(),
            });
        }
        Ok(())
    }

    /// Brings the tables to the newest version; one that is there already is found out by reading alone.
    async fn migrate(&self, connection: &mut AnyConnection) -> Result<i64, MigrationError> {
        let failed = self.failed("read the schema version");
        if self.has_version(connection).await.map_err(&failed)? {
            let found = self.version(connection).await.map_err(&failed)?;
            if self.is_current(found)? {
                return Ok(found);
            }
        }
        let failed = self.failed("create the tables");
        let mut transaction = connection
            .begin_with(self.dialect.begin_statement())
            .await
            .map_err(&failed)?;
        self.lock_and_create_version(&mut transaction)
            .await
            .map_err(&failed)?;
        // Another process may have been quicker.
        let found = self.version(&mut transaction).await.map_err(&failed)?;
        if !self.is_current(found)? {
            self.apply_missing(&mut transaction, found)
                .await
                .map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)?;
        Ok(found)
    }

    fn is_current(&self, found: i64) -> Result<bool, MigrationError> {
        let latest = self.schema.latest_version();
        if found > latest {
            return Err(MigrationError::Newer {
                location: self.location.clone(),
                found,
                latest,
            });
        }
        Ok(found == latest)
    }

    /// The lock of PostgreSQL is held until the transaction ends; SQLite's transaction is one.
    async fn lock_and_create_version(&self, connection: &mut AnyConnection) -> sqlx::Result<()> {
        if self.dialect == Dialect::Postgres {
            let lock = "SELECT pg_advisory_xact_lock($1)";
            let id = i64::from(self.schema.application_id);
            sqlx::query(lock).bind(id).execute(&mut *connection).await?;
        }
        let table = self.version_table();
        let create = format!("CREATE TABLE IF NOT EXISTS {table} (version BIGINT NOT NULL)");
        execute(connection, create).await
    }

    async fn apply_missing(&self, connection: &mut AnyConnection, found: i64) -> sqlx::Result<()> {
        let applied = usize::try_from(found).unwrap_or(0);
        for migration in self.schema.migrations.iter().skip(applied) {
            execute(&mut *connection, self.translate(migration)).await?;
        }
        let insert = format!("INSERT INTO {} (version) VALUES ($1)", self.version_table());
        let insert = sqlx::query(AssertSqlSafe(insert)).bind(self.schema.latest_version());
        insert.execute(connection).await.map(drop)
    }

    /// A migration with the type words of this database.
    fn translate(&self, migration: &str) -> String {
        let types = match self.dialect {
            Dialect::Sqlite => self.schema.sqlite_types,
            Dialect::Postgres => &[],
        };
        types
            .iter()
            .fold(migration.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    async fn has_version(&self, connection: &mut AnyConnection) -> sqlx::Result<bool> {
        let count: i64 = sqlx::query_scalar(self.dialect.count_named())
            .bind(self.version_table())
            .fetch_one(connection)
            .await?;
        Ok(count > 0)
    }

    async fn version(&self, connection: &mut AnyConnection) -> sqlx::Result<i64> {
        let sql = format!("SELECT COALESCE(MAX(version), 0) FROM {}", self.version_table());
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await
    }

    fn version_table(&self) -> String {
        format!("{}_schema", self.schema.program)
    }

    /// Turns an answer of the driver into the error of an operation.
    fn failed(&self, doing: &'static str) -> impl Fn(sqlx::Error) -> MigrationError {
        move |source| MigrationError::Driver {
            doing,
            location: self.location.clone(),
            source,
        }
    }
}

/// Statements without parameters, made of the program's own words only.
async fn execute(connection: &mut AnyConnection, statements: String) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(connection)
        .await
        .map(drop)
}

async fn count_all(connection: &mut AnyConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master")
        .fetch_one(connection)
        .await
}

async fn application_id(connection: &mut AnyConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(connection)
        .await
}
