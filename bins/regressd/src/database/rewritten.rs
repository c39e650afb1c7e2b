//! Commits that a forced push took off a branch.

use sqlx::AnyConnection;

use crate::domain::{RepositoryId, UnixMillis};

/// Takes what was measured of these commits out of the history of `branch`, and keeps what is measured of them yet out of
/// it. Returns how many runs left.
///
/// # Errors
/// The driver's.
pub async fn remove_from_branch(
    connection: &mut AnyConnection,
    repository: RepositoryId,
    branch: &str,
    commits: &[String],
) -> sqlx::Result<u64> {
    let mut left = 0;
    for commit in commits {
        let sql = "INSERT INTO rewritten (repository_id, branch, commit_sha, at) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (repository_id, branch, commit_sha) DO NOTHING";
        let query = sqlx::query(sql)
            .bind(repository.0)
            .bind(branch.to_owned())
            .bind(commit.clone())
            .bind(UnixMillis::now().0);
        query.execute(&mut *connection).await?;
        let sql = "UPDATE judgements SET accepted = 0 WHERE branch = $2 AND accepted = 1
                   AND run_id IN (SELECT id FROM runs WHERE repository_id = $1 AND commit_sha = $3)";
        let query = sqlx::query(sql)
            .bind(repository.0)
            .bind(branch.to_owned())
            .bind(commit.clone());
        left += query.execute(&mut *connection).await?.rows_affected();
    }
    Ok(left)
}

/// Forgets that a commit was taken off a branch: a push has made it the head again. Returns whether it had been.
///
/// # Errors
/// The driver's.
pub async fn restore_to_branch(
    connection: &mut AnyConnection,
    repository: RepositoryId,
    branch: &str,
    commit: &str,
) -> sqlx::Result<bool> {
    let sql = "DELETE FROM rewritten WHERE repository_id = $1 AND branch = $2 AND commit_sha = $3";
    let query = sqlx::query(sql)
        .bind(repository.0)
        .bind(branch.to_owned())
        .bind(commit.to_owned());
    Ok(query.execute(connection).await?.rows_affected() > 0)
}

/// Forgets what was taken off before `moment` and has no runs any more.
///
/// # Errors
/// The driver's.
pub async fn remove_older(connection: &mut AnyConnection, moment: UnixMillis) -> sqlx::Result<()> {
    let sql = "DELETE FROM rewritten WHERE at < $1 AND NOT EXISTS (
                   SELECT 1 FROM streams t JOIN runs r ON r.stream_id = t.id
                   WHERE t.repository_id = rewritten.repository_id AND r.commit_sha = rewritten.commit_sha)";
    sqlx::query(sql).bind(moment.0).execute(connection).await?;
    Ok(())
}
