//! Pull requests, as far as webhooks told of them.

use crate::domain::RepositoryId;
use sqlx::{AnyConnection, Row};

/// A stored pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: u32,
    /// Its newest commit.
    pub head_sha: String,
    /// The branch it is to go into.
    pub base_branch: String,
    /// The commit of that branch it was made against; `None` for what older versions stored.
    pub base_sha: Option<String>,
    /// Whether it is open.
    pub open: bool,
    /// Whether its head lies in another repository; `None` when version 1 of the schema did not ask.
    pub from_fork: Option<bool>,
}

/// Stores what a webhook said.
///
/// # Errors
/// The driver's.
pub async fn put_pull_request(
    connection: &mut AnyConnection,
    repository: RepositoryId,
    pull_request: &PullRequest,
) -> sqlx::Result<()> {
    let sql =
        "INSERT INTO pull_requests (repository_id, number, head_sha, base_branch, open, from_fork, base_sha)
               VALUES ($1, $2, $3, $4, $5, $6, $7)
               ON CONFLICT (repository_id, number) DO UPDATE SET head_sha = excluded.head_sha,
                   base_branch = excluded.base_branch, open = excluded.open, from_fork = excluded.from_fork,
                   base_sha = excluded.base_sha";
    let query = sqlx::query(sql)
        .bind(repository.0)
        .bind(i64::from(pull_request.number))
        .bind(pull_request.head_sha.clone())
        .bind(pull_request.base_branch.clone())
        .bind(i64::from(pull_request.open))
        .bind(pull_request.from_fork.map(i64::from))
        .bind(pull_request.base_sha.clone());
    query.execute(connection).await?;
    Ok(())
}

/// The pull request of this number.
///
/// # Errors
/// The driver's.
pub async fn find_pull_request(
    connection: &mut AnyConnection,
    repository: RepositoryId,
    number: u32,
) -> sqlx::Result<Option<PullRequest>> {
    let sql = "SELECT number, head_sha, base_branch, base_sha, open, from_fork FROM pull_requests
               WHERE repository_id = $1 AND number = $2";
    let query = sqlx::query(sql).bind(repository.0).bind(i64::from(number));
    query
        .fetch_optional(connection)
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// The newest open pull request with this head commit: how a push of a fork is told to belong to one.
///
/// # Errors
/// The driver's.
pub async fn by_head(
    connection: &mut AnyConnection,
    repository: RepositoryId,
    head_sha: &str,
) -> sqlx::Result<Option<PullRequest>> {
    let sql = "SELECT number, head_sha, base_branch, base_sha, open, from_fork FROM pull_requests
               WHERE repository_id = $1 AND head_sha = $2 AND open = 1 ORDER BY number DESC LIMIT 1";
    let query = sqlx::query(sql).bind(repository.0).bind(head_sha.to_owned());
    query
        .fetch_optional(connection)
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

fn read(row: &sqlx::any::AnyRow) -> sqlx::Result<PullRequest> {
    let number: i64 = row.try_get("number")?;
    Ok(PullRequest {
        number: u32::try_from(number).map_err(|error| sqlx::Error::Decode(error.into()))?,
        head_sha: row.try_get("head_sha")?,
        base_branch: row.try_get("base_branch")?,
        base_sha: row.try_get("base_sha")?,
        open: row.try_get::<i64, _>("open")? != 0,
        from_fork: row.try_get::<Option<i64>, _>("from_fork")?.map(|fork| fork != 0),
    })
}
