//! Environments, streams and series: what a value is compared with.

use crate::domain::{RepositoryId, SeriesId, StreamId};
use regress_core::measurement::Direction;
use sqlx::{AnyConnection, Row};

/// What a series is about, as text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesName {
    /// The benchmark's full name.
    pub benchmark: String,
    /// What is measured about it.
    pub measure: String,
    /// The base unit.
    pub unit: String,
    /// Which way is better.
    pub direction: Direction,
}

/// A stored stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its number.
    pub id: StreamId,
    /// Its repository.
    pub repository: RepositoryId,
    /// The component; `default` when none was named.
    pub component: String,
    /// The environment's canonical text.
    pub environment: String,
}

/// A stored series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSeries {
    /// Its number.
    pub id: SeriesId,
    /// Its stream.
    pub stream: StreamId,
    /// What it is about.
    pub name: SeriesName,
}

/// Adds an environment if it is new; its number either way.
///
/// # Errors
/// The driver's.
pub async fn insert_environment(
    connection: &mut AnyConnection,
    canonical: &str,
    parts: &str,
) -> sqlx::Result<i64> {
    let sql = "INSERT INTO environments (canonical, parts) VALUES ($1, $2)
               ON CONFLICT (canonical) DO UPDATE SET parts = environments.parts RETURNING id";
    let query = sqlx::query_scalar(sql)
        .bind(canonical.to_owned())
        .bind(parts.to_owned());
    query.fetch_one(connection).await
}

/// Adds a stream if it is new; its number either way.
///
/// # Errors
/// The driver's.
pub async fn insert_stream(
    connection: &mut AnyConnection,
    repository: RepositoryId,
    environment: i64,
    component: &str,
) -> sqlx::Result<StreamId> {
    let sql = "INSERT INTO streams (repository_id, environment_id, component) VALUES ($1, $2, $3)
               ON CONFLICT (repository_id, environment_id, component) DO UPDATE SET component = excluded.component
               RETURNING id";
    let query = sqlx::query_scalar(sql)
        .bind(repository.0)
        .bind(environment)
        .bind(component.to_owned());
    query.fetch_one(connection).await.map(StreamId)
}

/// Adds a series if it is new; its number either way.
///
/// # Errors
/// The driver's.
pub async fn insert_series(
    connection: &mut AnyConnection,
    stream: StreamId,
    name: &SeriesName,
) -> sqlx::Result<SeriesId> {
    let sql =
        "INSERT INTO series (stream_id, benchmark, measure, unit, direction) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (stream_id, benchmark, measure, unit, direction) DO UPDATE SET unit = excluded.unit
               RETURNING id";
    let query = sqlx::query_scalar(sql)
        .bind(stream.0)
        .bind(name.benchmark.clone())
        .bind(name.measure.clone())
        .bind(name.unit.clone())
        .bind(name.direction.as_str());
    query.fetch_one(connection).await.map(SeriesId)
}

/// All series of a stream.
///
/// # Errors
/// The driver's.
pub async fn series_of(connection: &mut AnyConnection, stream: StreamId) -> sqlx::Result<Vec<StoredSeries>> {
    let sql = "SELECT id, stream_id, benchmark, measure, unit, direction FROM series WHERE stream_id = $1 ORDER BY id";
    let rows = sqlx::query(sql).bind(stream.0).fetch_all(connection).await?;
    rows.iter().map(read_series).collect()
}

/// The series of this number.
///
/// # Errors
/// The driver's.
pub async fn find_series(connection: &mut AnyConnection, id: SeriesId) -> sqlx::Result<Option<StoredSeries>> {
    let sql = "SELECT id, stream_id, benchmark, measure, unit, direction FROM series WHERE id = $1";
    let row = sqlx::query(sql).bind(id.0).fetch_optional(connection).await?;
    row.as_ref().map(read_series).transpose()
}

/// At most `limit` series of a repository with a number above `after`, in their order.
///
/// # Errors
/// The driver's.
pub async fn series_of_repository(
    connection: &mut AnyConnection,
    repository: RepositoryId,
    after: SeriesId,
    limit: u32,
) -> sqlx::Result<Vec<StoredSeries>> {
    let sql = "SELECT s.id, s.stream_id, s.benchmark, s.measure, s.unit, s.direction
               FROM series s JOIN streams t ON t.id = s.stream_id
               WHERE t.repository_id = $1 AND s.id > $2 ORDER BY s.id LIMIT $3";
    let query = sqlx::query(sql)
        .bind(repository.0)
        .bind(after.0)
        .bind(i64::from(limit));
    query
        .fetch_all(connection)
        .await?
        .iter()
        .map(read_series)
        .collect()
}

/// All streams of a repository.
///
/// # Errors
/// The driver's.
pub async fn of_repository(
    connection: &mut AnyConnection,
    repository: RepositoryId,
) -> sqlx::Result<Vec<Stream>> {
    let sql = "SELECT t.id, t.repository_id, t.component, e.canonical FROM streams t
               JOIN environments e ON e.id = t.environment_id WHERE t.repository_id = $1 ORDER BY t.id";
    let rows = sqlx::query(sql).bind(repository.0).fetch_all(connection).await?;
    rows.iter().map(read_stream).collect()
}

/// The stream of this number.
///
/// # Errors
/// The driver's.
pub async fn by_id(connection: &mut AnyConnection, id: StreamId) -> sqlx::Result<Option<Stream>> {
    let sql = "SELECT t.id, t.repository_id, t.component, e.canonical FROM streams t
               JOIN environments e ON e.id = t.environment_id WHERE t.id = $1";
    let row = sqlx::query(sql).bind(id.0).fetch_optional(connection).await?;
    row.as_ref().map(read_stream).transpose()
}

fn read_direction(row: &sqlx::any::AnyRow) -> sqlx::Result<Direction> {
    let stored: String = row.try_get("direction")?;
    stored
        .parse()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

pub(super) fn read_series(row: &sqlx::any::AnyRow) -> sqlx::Result<StoredSeries> {
    Ok(StoredSeries {
        id: SeriesId(row.try_get("id")?),
        stream: StreamId(row.try_get("stream_id")?),
        name: SeriesName {
            benchmark: row.try_get("benchmark")?,
            measure: row.try_get("measure")?,
            unit: row.try_get("unit")?,
            direction: read_direction(row)?,
        },
    })
}

fn read_stream(row: &sqlx::any::AnyRow) -> sqlx::Result<Stream> {
    Ok(Stream {
        id: StreamId(row.try_get("id")?),
        repository: RepositoryId(row.try_get("repository_id")?),
        component: row.try_get("component")?,
        environment: row.try_get("canonical")?,
    })
}
