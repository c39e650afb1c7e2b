//! The removal of runs that are old and that no baseline needs.

use sqlx::AnyConnection;

use super::{Database, DatabaseError};
use crate::domain::{RepositoryId, UnixMillis};

/// Runs of one transaction, so that uploads never wait long.
const AT_ONCE: i64 = 200;

/// Removes the runs that arrived before `moment`, but for those that a baseline of `baseline_runs` may need: runs of a
/// history stay until so many newer ones without a rejected value follow them. What regressed and was never accepted
/// thus keeps the values it is judged by. Returns how many were removed.
///
/// # Errors
/// When the database does not answer.
pub async fn remove_old_runs(
    database: &Database,
    moment: UnixMillis,
    baseline_runs: u32,
) -> Result<u64, DatabaseError> {
    let (mut after, mut removed) = (0, 0);
    loop {
        // Looked for on a connection that reads: writers do not wait for the search.
        let mut connection = database.acquire_reader().await?;
        let old = removable(&mut connection, after, moment, baseline_runs).await?;
        drop(connection);
        let Some(last) = old.last() else {
            return Ok(removed);
        };
        after = *last;
        let gone = database.run_in_transaction(move |connection| {
            let old = old.clone();
            Box::pin(async move {
                let mut gone = 0;
                for id in old {
                    let query = sqlx::query("DELETE FROM runs WHERE id = $1").bind(id);
                    gone += query.execute(&mut *connection).await?.rows_affected();
                }
                Ok(gone)
            })
        });
        removed += gone.await?;
    }
}

/// Removes all runs of a repository. Returns how many there were.
///
/// # Errors
/// When the database does not answer.
pub async fn remove_runs_of(database: &Database, repository: RepositoryId) -> Result<u64, DatabaseError> {
    let mut removed = 0;
    loop {
        let gone = database.run_in_transaction(move |connection| {
            Box::pin(async move {
                let sql = "DELETE FROM runs WHERE id IN (
                               SELECT id FROM runs WHERE repository_id = $1 ORDER BY id LIMIT $2)";
                let query = sqlx::query(sql).bind(repository.0).bind(AT_ONCE);
                Ok(query.execute(connection).await?.rows_affected())
            })
        });
        match gone.await? {
            0 => return Ok(removed),
            gone => removed += gone,
        }
    }
}

async fn removable(
    connection: &mut AnyConnection,
    after: i64,
    moment: UnixMillis,
    baseline_runs: u32,
) -> sqlx::Result<Vec<i64>> {
    let sql = "SELECT r.id FROM runs r LEFT JOIN judgements own ON own.run_id = r.id AND own.accepted = 1
               WHERE r.id > $1 AND r.received < $2 AND (
                   own.run_id IS NULL
                   OR EXISTS (
                       SELECT 1 FROM judgements j
                       WHERE j.stream_id = r.stream_id AND j.branch = own.branch AND j.accepted = 1
                           AND (j.at, j.run_id) > (own.at, own.run_id)
                           AND NOT EXISTS (SELECT 1 FROM rejections x WHERE x.run_id = j.run_id)
                       ORDER BY j.at, j.run_id LIMIT 1 OFFSET $3))
               ORDER BY r.id LIMIT $4";
    let query = sqlx::query_scalar(sql)
        .bind(after)
        .bind(moment.0)
        .bind(i64::from(baseline_runs.max(1)) - 1)
        .bind(AT_ONCE);
    query.fetch_all(connection).await
}
