//! The schema and its versions: every migration is embedded.

use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use super::dialect::APPLICATION_ID;
use super::{DatabaseError, Dialect, Location};

/// The migrations in order; the schema version is the number of those applied. Entries are never changed after a
/// release, only added.
const MIGRATIONS: [&str; 2] = [
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_landed_and_pace.sql"),
];

/// Newest schema version that this build knows.
pub const LATEST: i64 = MIGRATIONS.len() as i64;

/// Makes sure that the database is ours, then brings the schema to [`LATEST`]. Several processes may do this at the
/// same time. Returns the version before.
pub(super) async fn migrate(
    connection: &mut AnyConnection,
    location: &Location,
) -> Result<i64, DatabaseError> {
    let dialect = Dialect::of(location);
    if dialect == Dialect::Sqlite {
        claim(connection, location).await?;
    }
    if has_version(connection, dialect).await? {
        let found = version(connection).await?;
        if is_current(found, location)? {
            return Ok(found);
        }
    }
    let mut transaction = connection.begin_with(dialect.begin()).await?;
    if let Some(lock) = dialect.lock_schema() {
        sqlx::query(lock).execute(&mut *transaction).await?;
    }
    create_version(&mut transaction).await?;
    let found = version(&mut transaction).await?;
    if !is_current(found, location)? {
        let applied = usize::try_from(found).unwrap_or(0);
        for migration in MIGRATIONS.iter().skip(applied) {
            apply(&mut transaction, dialect.translate(migration)).await?;
        }
        set_version(&mut transaction).await?;
    }
    transaction.commit().await?;
    Ok(found)
}

/// Marks an empty SQLite file as ours, and refuses a file of another program.
async fn claim(connection: &mut AnyConnection, location: &Location) -> Result<(), DatabaseError> {
    if tables(connection).await? == 0 {
        let mark = "PRAGMA journal_mode = WAL; PRAGMA application_id = 1380405828";
        sqlx::raw_sql(mark).execute(connection).await?;
    } else if application(connection).await? != APPLICATION_ID {
        return Err(DatabaseError::Foreign {
            location: location.to_string(),
        });
    }
    Ok(())
}

fn is_current(found: i64, location: &Location) -> Result<bool, DatabaseError> {
    if found > LATEST {
        return Err(DatabaseError::Newer {
            location: location.to_string(),
            found,
            latest: LATEST,
        });
    }
    Ok(found == LATEST)
}

async fn tables(connection: &mut AnyConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master")
        .fetch_one(connection)
        .await
}

async fn application(connection: &mut AnyConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(connection)
        .await
}

async fn has_version(connection: &mut AnyConnection, dialect: Dialect) -> sqlx::Result<bool> {
    let count: i64 = sqlx::query_scalar(dialect.count_schema_tables())
        .fetch_one(connection)
        .await?;
    Ok(count > 0)
}

async fn create_version(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let sql = "CREATE TABLE IF NOT EXISTS regressd_schema (version BIGINT NOT NULL)";
    sqlx::query(sql).execute(connection).await?;
    Ok(())
}

async fn version(connection: &mut AnyConnection) -> sqlx::Result<i64> {
    let sql = "SELECT COALESCE(MAX(version), 0) FROM regressd_schema";
    sqlx::query_scalar(sql).fetch_one(connection).await
}

async fn set_version(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let sql = "INSERT INTO regressd_schema (version) VALUES ($1)";
    sqlx::query(sql).bind(LATEST).execute(connection).await?;
    Ok(())
}

async fn apply(connection: &mut AnyConnection, migration: String) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(migration))
        .execute(connection)
        .await?;
    Ok(())
}
