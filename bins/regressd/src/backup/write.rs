//! From the database to the file.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use sqlx::any::{AnyRow, AnyTypeInfoKind};
use sqlx::{AnyConnection, AssertSqlSafe, Column as _, Connection as _, Row as _, ValueRef as _};

use super::file::Whole;
use super::{BackupError, FORM, TABLES};
use crate::database::{Database, Dialect, LATEST};
use crate::domain::UnixMillis;

/// Writes a backup of `database` to `path`, from one snapshot. Returns how many rows it has.
///
/// # Errors
/// When the database does not answer, or the file cannot be written; then nothing is left of it.
pub async fn write_backup(database: &Database, path: &Path) -> Result<u64, BackupError> {
    let mut file = Whole::create(path)?;
    let head = json!({
        "regressd_backup": FORM,
        "schema": LATEST,
        "version": env!("CARGO_PKG_VERSION"),
        "created": UnixMillis::now().to_string(),
    });
    file.write_line(&head.to_string())?;
    let mut connection = database.acquire_reader().await?;
    // SQLite's snapshot is taken by the first read.
    let begin = match database.dialect() {
        Dialect::Sqlite => "BEGIN",
        Dialect::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    };
    let mut snapshot = connection.begin_with(begin).await?;
    let mut counts = BTreeMap::new();
    for table in TABLES {
        counts.insert(table, table_lines(&mut snapshot, table, &mut file).await?);
    }
    snapshot.rollback().await?;
    let checksum = file.checksum();
    file.finish_with_line(&json!({"end": counts, "sha256": checksum}).to_string())?;
    Ok(counts.values().sum())
}

async fn table_lines(
    connection: &mut AnyConnection,
    table: &str,
    file: &mut Whole,
) -> Result<u64, BackupError> {
    // Safe: the names are constants.
    let sql = format!("SELECT * FROM {table}");
    let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(connection);
    let mut count = 0;
    while let Some(row) = rows.try_next().await? {
        if count == 0 {
            let columns: Vec<&str> = row.columns().iter().map(sqlx::Column::name).collect();
            file.write_line(&json!({"table": table, "columns": columns}).to_string())?;
        }
        let values: Result<Vec<Value>, sqlx::Error> =
            (0..row.len()).map(|index| value(&row, index)).collect();
        file.write_line(&Value::Array(values?).to_string())?;
        count += 1;
    }
    Ok(count)
}

fn value(row: &AnyRow, index: usize) -> sqlx::Result<Value> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let kind = raw.type_info().kind();
    match kind {
        AnyTypeInfoKind::SmallInt | AnyTypeInfoKind::Integer | AnyTypeInfoKind::BigInt => {
            Ok(Value::from(row.try_get::<i64, _>(index)?))
        }
        AnyTypeInfoKind::Text => Ok(Value::from(row.try_get::<String, _>(index)?)),
        other => {
            let column = row.column(index).name();
            let reason = format!("the column {column} holds {other:?}, which no table of regressd does");
            Err(sqlx::Error::Decode(reason.into()))
        }
    }
}
