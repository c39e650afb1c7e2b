//! Repositories by the number that GitHub gave them: it stays when a repository is renamed or goes to another owner, and
//! its history with it.

use sqlx::AnyConnection;

use super::repositories::{self, StoredRepository};
use crate::domain::{RepoName, RepositoryId};

/// What a name and a number of GitHub's come to together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The repository that has both.
    Known(RepositoryId),
    /// It was called otherwise until now.
    Renamed(RepositoryId, RepoName),
    /// Another repository of GitHub's has this name here.
    Taken,
}

/// What may be done when the name belongs to another repository of GitHub's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameConflict {
    /// The other one is set aside under a name of its own: GitHub itself says who has the name now.
    SetAside,
    /// Nothing: whoever made a repository of this name must not get the history of the one that was there.
    Refuse,
}

/// The repository that GitHub knows by `github_id` and calls `name`. It is added if it is new, and renamed if it was
/// called otherwise.
///
/// # Errors
/// The driver's.
pub async fn identify_repository(
    connection: &mut AnyConnection,
    name: &RepoName,
    github_id: u64,
    conflict: NameConflict,
) -> sqlx::Result<Identity> {
    let named = repositories::find_by_name(connection, name).await?;
    let is_taken = |row: &StoredRepository| row.github_id.is_some_and(|other| other != github_id);
    if conflict == NameConflict::Refuse && named.as_ref().is_some_and(is_taken) {
        return Ok(Identity::Taken);
    }
    if let Some(own) = repositories::find_by_github_id(connection, github_id).await? {
        if own.name == *name {
            return Ok(Identity::Known(own.id));
        }
        if let Some(other) = named {
            make_room(connection, &other, own.id).await?;
        }
        rename(connection, &own, name).await?;
        return Ok(Identity::Renamed(own.id, own.name));
    }
    let id = match named {
        Some(row) if is_taken(&row) => {
            set_aside(connection, &row).await?;
            repositories::insert_repository(connection, name).await?
        }
        Some(row) => row.id,
        None => repositories::insert_repository(connection, name).await?,
    };
    let sql = "UPDATE repositories SET github_id = $1 WHERE id = $2";
    let query = sqlx::query(sql).bind(github_id.cast_signed()).bind(id.0);
    query.execute(connection).await?;
    Ok(Identity::Known(id))
}

/// Gives a repository that is known by a former name its number, so that what it is called now finds it.
///
/// # Errors
/// The driver's.
pub async fn adopt_former_name(
    connection: &mut AnyConnection,
    former: &RepoName,
    github_id: u64,
) -> sqlx::Result<()> {
    if repositories::find_by_github_id(connection, github_id)
        .await?
        .is_some()
    {
        return Ok(());
    }
    let sql = "UPDATE repositories SET github_id = $1 WHERE owner = $2 AND name = $3 AND github_id IS NULL";
    let query = sqlx::query(sql)
        .bind(github_id.cast_signed())
        .bind(former.owner().to_owned())
        .bind(former.name().to_owned());
    query.execute(connection).await?;
    Ok(())
}

async fn rename(connection: &mut AnyConnection, row: &StoredRepository, name: &RepoName) -> sqlx::Result<()> {
    let sql = "UPDATE repositories SET owner = $1, name = $2 WHERE id = $3";
    let query = sqlx::query(sql)
        .bind(name.owner().to_owned())
        .bind(name.name().to_owned())
        .bind(row.id.0);
    query.execute(&mut *connection).await?;
    let sql = "INSERT INTO former_names (owner, name, repository_id) VALUES ($1, $2, $3)
               ON CONFLICT (owner, name) DO UPDATE SET repository_id = excluded.repository_id";
    let query = sqlx::query(sql)
        .bind(row.name.owner().to_owned())
        .bind(row.name.name().to_owned())
        .bind(row.id.0);
    query.execute(&mut *connection).await?;
    let sql = "DELETE FROM former_names WHERE owner = $1 AND name = $2";
    let query = sqlx::query(sql)
        .bind(name.owner().to_owned())
        .bind(name.name().to_owned());
    query.execute(connection).await?;
    Ok(())
}

/// Frees a name that another row has. One without a number of GitHub's was made by uploads that came under the new name
/// before anybody told of the renaming: what it holds goes to the repository, as far as that has no such stream itself.
async fn make_room(
    connection: &mut AnyConnection,
    other: &StoredRepository,
    own: RepositoryId,
) -> sqlx::Result<()> {
    if other.github_id.is_some() {
        return set_aside(connection, other).await;
    }
    let free = "repository_id = $2 AND NOT EXISTS (SELECT 1 FROM streams mine WHERE mine.repository_id = $1
                    AND mine.environment_id = streams.environment_id AND mine.component = streams.component)";
    let runs = format!(
        "UPDATE runs SET repository_id = $1 WHERE stream_id IN (SELECT streams.id FROM streams WHERE {free})"
    );
    let streams = format!("UPDATE streams SET repository_id = $1 WHERE {free}");
    for sql in [runs, streams] {
        // Safe: the text is made of constants.
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(own.0).bind(other.id.0);
        query.execute(&mut *connection).await?;
    }
    let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM streams WHERE repository_id = $1")
        .bind(other.id.0)
        .fetch_one(&mut *connection)
        .await?;
    if left > 0 {
        return set_aside(connection, other).await;
    }
    let remove = sqlx::query("DELETE FROM repositories WHERE id = $1").bind(other.id.0);
    remove.execute(connection).await?;
    Ok(())
}

/// Keeps what a repository measured under a name that nobody has.
async fn set_aside(connection: &mut AnyConnection, row: &StoredRepository) -> sqlx::Result<()> {
    let start: String = row.name.name().chars().take(70).collect();
    let aside = format!("{start}-formerly-{}", row.id.0);
    tracing::warn!(repository = %row.name, %aside, "the name belongs to another repository of GitHub's now");
    let sql = "UPDATE repositories SET name = $1, installation = NULL WHERE id = $2";
    let query = sqlx::query(sql).bind(aside).bind(row.id.0);
    query.execute(connection).await?;
    Ok(())
}
