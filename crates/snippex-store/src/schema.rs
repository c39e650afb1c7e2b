//! The schema and its versions: every migration is embedded, and applied when a database is opened.

use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::location::Location;

/// The migrations in order; the schema version is the number of those applied. Entries are never changed after
/// a release, only added.
const MIGRATIONS: [&str; 3] = [
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_bugs.sql"),
    include_str!("migrations/0003_causes.sql"),
];

/// Newest schema version that this build knows.
pub(crate) const LATEST: i64 = MIGRATIONS.len() as i64;

/// Brings the database to [`LATEST`]. Several processes may do this at the same time.
pub(crate) async fn migrate(connection: &mut AnyConnection, location: &Location) -> Result<(), StoreError> {
    let failed = |source| StoreError::of_driver(location, "read the schema version", source);
    let dialect = Dialect::of(location);
    if has_version(connection, dialect).await.map_err(failed)? {
        let found = version(connection).await.map_err(failed)?;
        if is_current(found, location)? {
            return Ok(());
        }
    }
    let failed = |source| StoreError::of_driver(location, "create the tables", source);
    let mut transaction = connection.begin_with(dialect.begin()).await.map_err(failed)?;
    if let Some(lock) = dialect.lock_schema() {
        sqlx::query(lock)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
    }
    create_version(&mut transaction).await.map_err(failed)?;
    let found = version(&mut transaction).await.map_err(failed)?;
    if !is_current(found, location)? {
        let applied = usize::try_from(found).unwrap_or(0);
        for migration in &MIGRATIONS[applied..] {
            apply(&mut transaction, dialect.translate(migration))
                .await
                .map_err(failed)?;
        }
        set_version(&mut transaction).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}

fn is_current(found: i64, location: &Location) -> Result<bool, StoreError> {
    if found > LATEST {
        return Err(StoreError::NewerSchema {
            location: location.clone(),
            found,
        });
    }
    Ok(found == LATEST)
}

async fn has_version(connection: &mut AnyConnection, dialect: Dialect) -> sqlx::Result<bool> {
    let count: i64 = sqlx::query_scalar(dialect.count_schema_tables())
        .fetch_one(connection)
        .await?;
    Ok(count > 0)
}

async fn create_version(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let sql = "CREATE TABLE IF NOT EXISTS snippex_schema (version BIGINT NOT NULL)";
    sqlx::query(sql).execute(connection).await?;
    Ok(())
}

async fn version(connection: &mut AnyConnection) -> sqlx::Result<i64> {
    let sql = "SELECT COALESCE(MAX(version), 0) FROM snippex_schema";
    sqlx::query_scalar(sql).fetch_one(connection).await
}

async fn set_version(connection: &mut AnyConnection) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO snippex_schema (version) VALUES ($1)")
        .bind(LATEST)
        .execute(connection)
        .await?;
    Ok(())
}

async fn apply(connection: &mut AnyConnection, migration: String) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(migration))
        .execute(connection)
        .await?;
    Ok(())
}
