//! Giving the space of what was removed back to the file system.

use std::fs;

use sqlx::raw_sql;

use crate::Location;
use crate::error::StoreError;
use crate::open::Store;

impl Store {
    /// Makes the file of a SQLite database as small as its content, and returns by how many bytes it shrank. Needs
    /// as much free space as the content takes, for as long as it works. A PostgreSQL database does this by itself
    /// (autovacuum), so nothing is done there.
    ///
    /// # Errors
    /// When another process is using the database, or the disk is full; the database is as it was then.
    pub async fn give_back_space(&self) -> Result<u64, StoreError> {
        let Location::Sqlite(path) = &self.location else {
            return Ok(0);
        };
        let failed = self.failed_to("give back space in");
        let size = || fs::metadata(path).map_or(0, |metadata| metadata.len());
        let mut connection = self.pool.acquire().await.map_err(&failed)?;
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        raw_sql(checkpoint)
            .execute(&mut *connection)
            .await
            .map_err(&failed)?;
        let before = size();
        raw_sql("VACUUM")
            .execute(&mut *connection)
            .await
            .map_err(&failed)?;
        raw_sql(checkpoint)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        Ok(before.saturating_sub(size()))
    }
}
