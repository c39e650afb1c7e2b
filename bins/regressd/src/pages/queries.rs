//! What only the pages ask the database for. Every statement is bounded and led by an index, however many runs are
//! stored: `judgements_history` (stream, branch, time, run), `runs_of_repository`, and primary keys.

use sqlx::{AnyConnection, Row as _};

use crate::database::streams::StoredSeries;
use crate::domain::{RepositoryId, Results, RunId, SeriesId, StreamId, UnixMillis};

/// A run of a history.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Past {
    /// Its number.
    pub(super) id: RunId,
    /// Its commit.
    pub(super) commit: String,
    /// When its commit was made, where that is known, else when it arrived.
    pub(super) at: UnixMillis,
    /// Its values.
    pub(super) results: Results,
}

/// The newest `limit` runs in the history of a branch, oldest first.
pub(super) async fn list_past_runs(
    connection: &mut AnyConnection,
    stream: StreamId,
    branch: &str,
    limit: u32,
) -> sqlx::Result<Vec<Past>> {
    let always = (UnixMillis(0), UnixMillis(i64::MAX));
    list_past_runs_between(connection, stream, branch, limit, always).await
}

/// The same of those from a moment on and before another.
pub(super) async fn list_past_runs_between(
    connection: &mut AnyConnection,
    stream: StreamId,
    branch: &str,
    limit: u32,
    (from, to): (UnixMillis, UnixMillis),
) -> sqlx::Result<Vec<Past>> {
    let sql = "SELECT r.id, r.commit_sha, j.at, r.results FROM judgements j JOIN runs r ON r.id = j.run_id
               WHERE j.stream_id = $1 AND j.branch = $2 AND j.accepted = 1 AND j.at >= $4 AND j.at < $5
               ORDER BY j.at DESC, j.run_id DESC LIMIT $3";
    let query = sqlx::query(sql)
        .bind(stream.0)
        .bind(branch.to_owned())
        .bind(i64::from(limit))
        .bind(from.0)
        .bind(to.0);
    let mut rows = query.fetch_all(connection).await?;
    rows.reverse();
    let read = |row: &sqlx::any::AnyRow| {
        let text: String = row.try_get("results")?;
        Ok(Past {
            id: RunId(row.try_get("id")?),
            commit: row.try_get("commit_sha")?,
            at: UnixMillis(row.try_get("at")?),
            results: Results::from_json(&text).map_err(|error| sqlx::Error::Decode(error.into()))?,
        })
    };
    rows.iter().map(read).collect()
}

/// When the newest run of a repository arrived.
pub(super) async fn newest_run(
    connection: &mut AnyConnection,
    repository: RepositoryId,
) -> sqlx::Result<Option<UnixMillis>> {
    let sql = "SELECT received FROM runs WHERE repository_id = $1 ORDER BY id DESC LIMIT 1";
    let query = sqlx::query_scalar(sql).bind(repository.0);
    Ok(query.fetch_optional(connection).await?.map(UnixMillis))
}

/// The same benchmark and measure in other streams of the repository: number, component, environment.
pub(super) async fn same_benchmark(
    connection: &mut AnyConnection,
    repository: RepositoryId,
    series: &StoredSeries,
    limit: u32,
) -> sqlx::Result<Vec<(SeriesId, String, String)>> {
    let sql = "SELECT s.id, t.component, e.canonical FROM streams t
               JOIN series s ON s.stream_id = t.id JOIN environments e ON e.id = t.environment_id
               WHERE t.repository_id = $1 AND s.benchmark = $2 AND s.measure = $3 AND s.id <> $4
               ORDER BY s.id DESC LIMIT $5";
    let query = sqlx::query(sql)
        .bind(repository.0)
        .bind(series.name.benchmark.clone())
        .bind(series.name.measure.clone())
        .bind(series.id.0)
        .bind(i64::from(limit));
    let read = |row: &sqlx::any::AnyRow| {
        Ok((
            SeriesId(row.try_get("id")?),
            row.try_get("component")?,
            row.try_get("canonical")?,
        ))
    };
    query.fetch_all(connection).await?.iter().map(read).collect()
}
