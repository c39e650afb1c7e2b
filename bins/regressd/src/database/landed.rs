//! Commits that became the head of a branch: a fast-forward brings what a pull request measured into the history.

use sqlx::AnyConnection;

use crate::domain::{RepositoryId, UnixMillis};

/// Notes that a push made `commit` the head of `branch`.
///
/// # Errors
/// The driver's.
pub async fn insert_landed_commit(
    connection: &mut AnyConnection,
    repository: RepositoryId,
    branch: &str,
    commit: &str,
) -> sqlx::Result<()> {
    let sql = "INSERT INTO landed (repository_id, branch, commit_sha, at) VALUES ($1, $2, $3, $4)
               ON CONFLICT (repository_id, branch, commit_sha) DO NOTHING";
    let query = sqlx::query(sql)
        .bind(repository.0)
        .bind(branch.to_owned())
        .bind(commit.to_owned())
        .bind(UnixMillis::now().0);
    query.execute(connection).await?;
    Ok(())
}

/// Whether what was measured of `commit` counts for `branch`: the commit is on it, its pull request (if the run says
/// one) is known to come from the repository itself, and no fork has this head. A fork's workflow runs a stranger's
/// code; what that reports must not become what others are judged by.
///
/// # Errors
/// The driver's.
pub async fn counts_as_history(
    connection: &mut AnyConnection,
    repository: RepositoryId,
    branch: &str,
    commit: &str,
    pull_request: Option<u32>,
) -> sqlx::Result<bool> {
    let sql = "SELECT COUNT(*) FROM landed l WHERE l.repository_id = $1 AND l.branch = $2 AND l.commit_sha = $3
                   AND NOT EXISTS (SELECT 1 FROM pull_requests p WHERE p.repository_id = l.repository_id
                       AND p.head_sha = l.commit_sha AND COALESCE(p.from_fork, 1) <> 0)
                   AND ($4 = 0 OR EXISTS (SELECT 1 FROM pull_requests p WHERE p.repository_id = l.repository_id
                       AND p.number = $4 AND p.from_fork = 0))";
    let query = sqlx::query_scalar(sql)
        .bind(repository.0)
        .bind(branch.to_owned())
        .bind(commit.to_owned())
        .bind(i64::from(pull_request.unwrap_or(0)));
    let count: i64 = query.fetch_one(connection).await?;
    Ok(count > 0)
}

/// Whether a push made `commit` the head of `branch`.
///
/// # Errors
/// The driver's.
pub async fn is_on(
    connection: &mut AnyConnection,
    repository: RepositoryId,
    branch: &str,
    commit: &str,
) -> sqlx::Result<bool> {
    let sql = "SELECT COUNT(*) FROM landed WHERE repository_id = $1 AND branch = $2 AND commit_sha = $3";
    let query = sqlx::query_scalar(sql)
        .bind(repository.0)
        .bind(branch.to_owned())
        .bind(commit.to_owned());
    let count: i64 = query.fetch_one(connection).await?;
    Ok(count > 0)
}

/// Forgets what landed before `moment` and has no runs any more.
///
/// # Errors
/// The driver's.
pub async fn remove_older(connection: &mut AnyConnection, moment: UnixMillis) -> sqlx::Result<()> {
    let sql = "DELETE FROM landed WHERE at < $1 AND NOT EXISTS (
                   SELECT 1 FROM streams t JOIN runs r ON r.stream_id = t.id
                   WHERE t.repository_id = landed.repository_id AND r.commit_sha = landed.commit_sha)";
    sqlx::query(sql).bind(moment.0).execute(connection).await?;
    Ok(())
}
