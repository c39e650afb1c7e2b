//! From the file into an empty database, of either kind.

use std::path::Path;

use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

use super::read::{BackupLine, BackupReader, verify_backup};
use super::{BackupError, BackupSummary, NUMBERED, TABLES};
use crate::database::{Database, Dialect, Location};

/// Rows of one statement; SQLite takes 32,766 values.
const ROWS: usize = 100;

/// Restores the backup at `path` into `database`, which must be empty. All or nothing: a backup that turns out damaged,
/// or an interruption, leaves the database empty.
///
/// # Errors
/// When the backup is not good, the database is not empty, or does not answer.
pub async fn restore_backup(database: &Database, path: &Path) -> Result<BackupSummary, BackupError> {
    // First all of it is looked at, so that a damaged file fails before hours of work.
    verify_backup(path)?;
    let mut connection = database.acquire_reader().await?;
    let dialect = database.dialect();
    let mut transaction = connection.begin_with(dialect.begin_statement()).await?;
    for table in TABLES {
        if count(&mut transaction, table).await? > 0 {
            return Err(BackupError::NotEmpty {
                location: database.location().to_string(),
            });
        }
    }
    let mut reader = BackupReader::open(path)?;
    let mut batch = Batch::default();
    while let Some(line) = reader.next()? {
        match line {
            BackupLine::Table { table, columns } => {
                batch.flush(&mut transaction).await?;
                (batch.table, batch.columns) = (table, columns);
            }
            BackupLine::Values(values) => {
                batch.rows.push(values);
                if batch.rows.len() >= ROWS {
                    batch.flush(&mut transaction).await?;
                }
            }
        }
    }
    batch.flush(&mut transaction).await?;
    let summary = reader.summary();
    for (table, rows) in &summary.rows {
        let stored = count(&mut transaction, table).await?;
        if u64::try_from(stored).ok() != Some(*rows) {
            let reason = format!("{table} has {stored} rows after the restore instead of {rows}");
            return Err(BackupError::damaged(path, reason));
        }
    }
    if dialect == Dialect::Postgres {
        number_on(&mut transaction).await?;
    }
    transaction.commit().await?;
    Ok(summary)
}

/// Restores the backup into a database that is thrown away: the proof that it can be.
///
/// # Errors
/// When it cannot.
pub async fn verify_by_restoring(path: &Path) -> Result<BackupSummary, BackupError> {
    let folder = tempfile::tempdir().map_err(|source| BackupError::Write {
        path: std::env::temp_dir(),
        source,
    })?;
    let scratch = Database::open(&Location::Sqlite(folder.path().join("verify.db"))).await?;
    let restored = restore_backup(&scratch, path).await;
    scratch.close().await;
    restored
}

#[derive(Default)]
struct Batch {
    table: String,
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Batch {
    async fn flush(&mut self, connection: &mut AnyConnection) -> Result<(), BackupError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        // Values that are missing are written as such: an untyped parameter without a value has no type on PostgreSQL.
        let mut number = 0;
        let mut place = |value: &Value| {
            if value.is_null() {
                return "NULL".to_owned();
            }
            number += 1;
            format!("${number}")
        };
        let rows: Vec<String> = self
            .rows
            .iter()
            .map(|row| format!("({})", row.iter().map(&mut place).collect::<Vec<_>>().join(",")))
            .collect();
        // Safe: the reader lets only our tables and plain names through.
        let sql = format!(
            "INSERT INTO {} ({}) VALUES {}",
            self.table,
            self.columns.join(","),
            rows.join(",")
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for value in self.rows.drain(..).flatten() {
            query = match value {
                Value::Null => query,
                Value::Number(number) => query.bind(number.as_i64().unwrap_or_default()),
                Value::String(text) => query.bind(text),
                other => query.bind(other.to_string()),
            };
        }
        query.execute(connection).await?;
        Ok(())
    }
}

async fn count(connection: &mut AnyConnection, table: &str) -> sqlx::Result<i64> {
    // Safe: the names are constants.
    let sql = format!("SELECT COUNT(*) FROM {table}");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await
}

/// New rows get numbers after those that were restored. SQLite sees to that by itself.
async fn number_on(connection: &mut AnyConnection) -> sqlx::Result<()> {
    for table in NUMBERED {
        // Safe: the names are constants.
        let sql = format!(
            "SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT COALESCE(MAX(id), 0) + 1 FROM {table}), false)"
        );
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    Ok(())
}
