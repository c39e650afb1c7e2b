//! Keeping a cache small: what is too old goes, then what was not used for the longest time.

use sqlx::Row;

use super::CacheFile;
use crate::column;
use crate::error::StoreError;
use crate::ids::UnixMillis;

/// Segments that are removed in one statement.
const AT_ONCE: usize = 256;

/// How much of a cache may stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneLimits {
    /// What was made before goes.
    pub created_since: Option<UnixMillis>,
    /// Largest size of all entries in bytes.
    pub max_bytes: Option<u64>,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Entries.
    pub entries: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

impl CacheFile {
    /// Removes what is over the limits, with contexts that are left without entries, and gives the space back to the file
    /// system when nobody else is using the file.
    ///
    /// # Errors
    /// When the cache cannot be written; it is as it was then.
    pub fn prune_segments(&self, limits: PruneLimits) -> Result<Pruned, StoreError> {
        let pruned = self.run("prune", self.remove_surplus(limits))?;
        if pruned.entries > 0 {
            // Another process may be at work: the space is used again, or given back next time.
            let _ = self.run("give back space in", async {
                let sql = "PRAGMA wal_checkpoint(TRUNCATE); VACUUM; PRAGMA wal_checkpoint(TRUNCATE)";
                sqlx::raw_sql(sql).execute(&self.pool).await
            });
        }
        Ok(pruned)
    }

    async fn remove_surplus(&self, limits: PruneLimits) -> sqlx::Result<Pruned> {
        let mut transaction = self
            .pool
            .begin_with(database_kit::Dialect::Sqlite.begin_statement())
            .await?;
        let sql = "SELECT id, created, entries, size FROM segments ORDER BY used DESC, id DESC";
        let rows = sqlx::query(sql).fetch_all(&mut *transaction).await?;
        let since = limits.created_since.map_or(i64::MIN, |since| since.0);
        let mut room = limits.max_bytes.unwrap_or(u64::MAX);
        let mut pruned = Pruned::default();
        let mut surplus: Vec<i64> = Vec::new();
        for row in &rows {
            let (size, created): (u64, i64) = (column::read_u64(row, "size")?, row.try_get("created")?);
            if created >= since && size <= room {
                room -= size;
                continue;
            }
            if created >= since {
                // What was used longer ago must not stay in its place.
                room = 0;
            }
            surplus.push(row.try_get("id")?);
            pruned.entries += column::read_u64(row, "entries")?;
            pruned.bytes += size;
        }
        for ids in surplus.chunks(AT_ONCE) {
            let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
            // Safe: the text is made of numbers only.
            let sql = format!("DELETE FROM segments WHERE id IN ({})", ids.join(","));
            sqlx::query(sqlx::AssertSqlSafe(sql))
                .execute(&mut *transaction)
                .await?;
        }
        let sql = "DELETE FROM contexts WHERE id NOT IN (SELECT context_id FROM segments)";
        sqlx::query(sql).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(pruned)
    }
}
