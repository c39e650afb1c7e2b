//! Statements about many rows at once. A statement costs a change of threads or a way to the server, however little it
//! does; so what is done for many runs is done with few. Every statement keeps its text, and so stays prepared: places
//! that are not needed repeat the last value.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::{AnyConnection, AssertSqlSafe};

use super::jobs::QueuedJob;
use super::judgements::Judgement;
use super::runs::{self, MeasuredRun};
use super::streams::{self, SeriesName, StoredSeries};
use crate::domain::{RunId, SeriesId, StreamId};

/// Numbers in one statement.
const NUMBERS: usize = 64;
/// Judgements in one statement.
const ROWS: usize = 16;

/// `$1, $2, ... $count`
fn places(count: usize) -> String {
    places_from(1, count)
}

/// `$first, ...`: `count` of them.
fn places_from(first: usize, count: usize) -> String {
    let places: Vec<String> = (first..first + count)
        .map(|number| format!("${number}"))
        .collect();
    places.join(", ")
}

/// The values, the last one repeated up to [`NUMBERS`].
fn filled<T: Clone>(values: &[T]) -> impl Iterator<Item = T> + '_ {
    let last = values.last().into_iter().cycle();
    values.iter().chain(last).take(NUMBERS).cloned()
}

/// A run that was asked for, or an earlier one of its commit.
#[derive(Clone, Debug)]
pub struct RunOfCommit {
    /// The number that was asked for.
    pub asked: RunId,
    /// The run.
    pub run: MeasuredRun,
    /// Whether a forced push took the commit off the target branch of the run that was asked for.
    pub left_branch: bool,
}

/// Each of these runs with all earlier ones of its commit in its stream.
///
/// # Errors
/// The driver's.
pub async fn with_earlier(connection: &mut AnyConnection, ids: &[RunId]) -> sqlx::Result<Vec<RunOfCommit>> {
    let columns = runs::columns_of("r");
    let sql = format!(
        "SELECT own.id AS asked, {columns},
             (SELECT COUNT(*) FROM rewritten w WHERE w.repository_id = own.repository_id
                 AND w.branch = own.target AND w.commit_sha = own.commit_sha) AS rewritten
         FROM runs own
         JOIN runs r ON r.stream_id = own.stream_id AND r.commit_sha = own.commit_sha AND r.id <= own.id
         WHERE own.id IN ({}) ORDER BY own.id, r.id",
        places(NUMBERS)
    );
    let mut found = Vec::new();
    for some in ids.chunks(NUMBERS) {
        // Safe: the text is made of constants.
        let mut query = sqlx::query(AssertSqlSafe(sql.clone()));
        for id in filled(some) {
            query = query.bind(id.0);
        }
        for row in query.fetch_all(&mut *connection).await? {
            found.push(RunOfCommit {
                asked: RunId(sqlx::Row::try_get(&row, "asked")?),
                left_branch: sqlx::Row::try_get::<i64, _>(&row, "rewritten")? > 0,
                run: runs::read_run_row(&row)?,
            });
        }
    }
    Ok(found)
}

/// How many bytes of results each of these runs has; those that are gone are left out.
///
/// # Errors
/// The driver's.
pub async fn list_result_sizes(
    connection: &mut AnyConnection,
    ids: &[RunId],
) -> sqlx::Result<Vec<(RunId, usize)>> {
    let sql = format!(
        "SELECT id, CAST(LENGTH(results) AS BIGINT) AS bytes FROM runs WHERE id IN ({}) ORDER BY id",
        places(NUMBERS)
    );
    let mut found = Vec::new();
    for some in ids.chunks(NUMBERS) {
        // Safe: the text is made of constants.
        let mut query = sqlx::query(AssertSqlSafe(sql.clone()));
        for id in filled(some) {
            query = query.bind(id.0);
        }
        for row in query.fetch_all(&mut *connection).await? {
            let bytes: i64 = sqlx::Row::try_get(&row, "bytes")?;
            let id = RunId(sqlx::Row::try_get(&row, "id")?);
            found.push((id, usize::try_from(bytes).unwrap_or(usize::MAX)));
        }
    }
    Ok(found)
}

/// The numbers of those of these series that a stream has.
///
/// # Errors
/// The driver's.
pub async fn find_series(
    connection: &mut AnyConnection,
    stream: StreamId,
    names: &[Arc<SeriesName>],
) -> sqlx::Result<HashMap<Arc<SeriesName>, SeriesId>> {
    let sql = format!(
        "SELECT id, stream_id, benchmark, measure, unit, direction FROM series
         WHERE stream_id = $1 AND benchmark IN ({})",
        places_from(2, NUMBERS)
    );
    let mut found = HashMap::with_capacity(names.len());
    for some in names.chunks(NUMBERS) {
        // Safe: the text is made of constants.
        let mut query = sqlx::query(AssertSqlSafe(sql.clone())).bind(stream.0);
        for name in filled(some) {
            query = query.bind(name.benchmark.clone());
        }
        for row in query.fetch_all(&mut *connection).await? {
            let series = streams::read_series(&row)?;
            found.insert(Arc::new(series.name), series.id);
        }
    }
    Ok(found)
}

/// The series of these numbers; those that are gone are left out.
///
/// # Errors
/// The driver's.
pub async fn list_series(
    connection: &mut AnyConnection,
    numbers: &[SeriesId],
) -> sqlx::Result<Vec<StoredSeries>> {
    let sql = format!(
        "SELECT id, stream_id, benchmark, measure, unit, direction FROM series WHERE id IN ({})",
        places(NUMBERS)
    );
    let mut found = Vec::with_capacity(numbers.len());
    for some in numbers.chunks(NUMBERS) {
        // Safe: the text is made of constants.
        let mut query = sqlx::query(AssertSqlSafe(sql.clone()));
        for number in filled(some) {
            query = query.bind(number.0);
        }
        for row in query.fetch_all(&mut *connection).await? {
            found.push(streams::read_series(&row)?);
        }
    }
    Ok(found)
}

/// Stores judgements on different runs; one on a run that has one already replaces it.
///
/// # Errors
/// The driver's.
pub async fn put_judgements(connection: &mut AnyConnection, judgements: &[&Judgement]) -> sqlx::Result<()> {
    let (many, rest) = judgements.as_chunks::<ROWS>();
    for some in many {
        put(connection, some).await?;
    }
    for one in rest {
        put(connection, std::slice::from_ref(one)).await?;
    }
    Ok(())
}

async fn put(connection: &mut AnyConnection, judgements: &[&Judgement]) -> sqlx::Result<()> {
    let row = |row: usize| {
        let first = 8 * row;
        let places: Vec<String> = (first + 1..=first + 8)
            .map(|number| format!("${number}"))
            .collect();
        format!("({})", places.join(", "))
    };
    let rows: Vec<String> = (0..judgements.len()).map(row).collect();
    let sql = format!(
        "INSERT INTO judgements (run_id, stream_id, branch, accepted, at, outcome, judged, verdicts) VALUES {}
         ON CONFLICT (run_id) DO UPDATE SET branch = excluded.branch, accepted = excluded.accepted, at = excluded.at,
             outcome = excluded.outcome, judged = excluded.judged, verdicts = excluded.verdicts",
        rows.join(", ")
    );
    // Safe: the text is made of constants.
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for judgement in judgements {
        query = query
            .bind(judgement.run.0)
            .bind(judgement.stream.0)
            .bind(judgement.branch.clone())
            .bind(i64::from(judgement.accepted))
            .bind(judgement.at.0)
            .bind(judgement.outcome.as_str())
            .bind(judgement.judged.0)
            .bind(judgement.verdicts.clone());
    }
    query.execute(connection).await?;
    Ok(())
}

/// Removes jobs that are done, and dead letters of the same work.
///
/// # Errors
/// The driver's.
pub async fn finish_jobs(connection: &mut AnyConnection, jobs: &[&QueuedJob]) -> sqlx::Result<()> {
    let done = format!("DELETE FROM jobs WHERE id IN ({})", places(NUMBERS));
    let dead = format!(
        "DELETE FROM jobs WHERE state = 'dead' AND key IN ({})",
        places(NUMBERS)
    );
    for some in jobs.chunks(NUMBERS) {
        // Safe: the texts are made of constants.
        let mut query = sqlx::query(AssertSqlSafe(done.clone()));
        for job in filled(some) {
            query = query.bind(job.id);
        }
        query.execute(&mut *connection).await?;
        let mut query = sqlx::query(AssertSqlSafe(dead.clone()));
        for job in filled(some) {
            query = query.bind(job.key.clone());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}
