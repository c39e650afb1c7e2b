//! When content was made on GitHub, shared by all processes on this database: see [`ContentRateLimiter`].

use futures_util::future::BoxFuture;
use sqlx::AnyConnection;

use super::Database;
use crate::domain::UnixMillis;
use crate::github::{ContentLimits, ContentRateLimiter, SharedStateError, reserve_request};

impl ContentRateLimiter for Database {
    fn reserve_content_request(
        &self,
        installation: u64,
        limits: ContentLimits,
    ) -> BoxFuture<'_, Result<Option<u64>, SharedStateError>> {
        Box::pin(async move {
            let taken =
                self.run_in_transaction(move |connection| Box::pin(take(connection, installation, limits)));
            taken.await.map_err(|error| SharedStateError(Box::new(error)))
        })
    }
}

/// Takes a place, or says how many milliseconds there is none.
async fn take(
    connection: &mut AnyConnection,
    installation: u64,
    limits: ContentLimits,
) -> sqlx::Result<Option<u64>> {
    // An update that changes nothing, and holds the row until the end of the transaction.
    let sql = "INSERT INTO paces (installation, made) VALUES ($1, '[]')
               ON CONFLICT (installation) DO UPDATE SET made = paces.made RETURNING made";
    let installation = installation.cast_signed();
    let text: String = sqlx::query_scalar(sql)
        .bind(installation)
        .fetch_one(&mut *connection)
        .await?;
    let mut made: Vec<i64> = serde_json::from_str(&text).unwrap_or_default();
    let wait = reserve_request(&mut made, limits, UnixMillis::now().0);
    if wait.is_none() {
        let text = serde_json::to_string(&made).unwrap_or_default();
        sqlx::query("UPDATE paces SET made = $1 WHERE installation = $2")
            .bind(text)
            .bind(installation)
            .execute(connection)
            .await?;
    }
    Ok(wait)
}
