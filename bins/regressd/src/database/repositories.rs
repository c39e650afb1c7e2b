//! Repositories, as far as the service knows them.

use sqlx::{AnyConnection, Row};

use crate::domain::{RepoName, RepositoryId, UnixMillis};

/// A stored repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRepository {
    /// Its number.
    pub id: RepositoryId,
    /// Its name.
    pub name: RepoName,
    /// The installation of the GitHub App that may act on it.
    pub installation: Option<u64>,
    /// The branch that pull requests go to, as far as known.
    pub default_branch: Option<String>,
    /// Its configuration as JSON; `{}` when nothing was configured.
    pub config: String,
    /// The number by which GitHub knows it, as far as known: it stays when the repository is renamed.
    pub github_id: Option<u64>,
}

/// Adds the repository if it is new; its number either way.
///
/// # Errors
/// The driver's.
pub async fn insert_repository(
    connection: &mut AnyConnection,
    name: &RepoName,
) -> sqlx::Result<RepositoryId> {
    // An update that changes nothing, so that the row is returned either way.
    let sql = "INSERT INTO repositories (owner, name, created) VALUES ($1, $2, $3)
               ON CONFLICT (owner, name) DO UPDATE SET name = excluded.name RETURNING id";
    let query = sqlx::query_scalar(sql)
        .bind(name.owner().to_owned())
        .bind(name.name().to_owned())
        .bind(UnixMillis::now().0);
    query.fetch_one(connection).await.map(RepositoryId)
}

/// The repository of this name, else the one that was called so before it was renamed.
///
/// # Errors
/// The driver's.
pub async fn find_repository(
    connection: &mut AnyConnection,
    name: &RepoName,
) -> sqlx::Result<Option<StoredRepository>> {
    if let Some(found) = find_by_name(connection, name).await? {
        return Ok(Some(found));
    }
    let sql = "SELECT r.id, r.owner, r.name, r.installation, r.default_branch, r.config, r.github_id
               FROM former_names f JOIN repositories r ON r.id = f.repository_id
               WHERE f.owner = $1 AND f.name = $2";
    let query = sqlx::query(sql)
        .bind(name.owner().to_owned())
        .bind(name.name().to_owned());
    let row = query.fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// The repository that GitHub knows by this number.
///
/// # Errors
/// The driver's.
pub async fn find_by_github_id(
    connection: &mut AnyConnection,
    github_id: u64,
) -> sqlx::Result<Option<StoredRepository>> {
    let sql = "SELECT id, owner, name, installation, default_branch, config, github_id FROM repositories
               WHERE github_id = $1";
    let query = sqlx::query(sql).bind(github_id.cast_signed());
    let row = query.fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// The repository that has this name now.
///
/// # Errors
/// The driver's.
pub async fn find_by_name(
    connection: &mut AnyConnection,
    name: &RepoName,
) -> sqlx::Result<Option<StoredRepository>> {
    let sql = "SELECT id, owner, name, installation, default_branch, config, github_id FROM repositories
               WHERE owner = $1 AND name = $2";
    let query = sqlx::query(sql)
        .bind(name.owner().to_owned())
        .bind(name.name().to_owned());
    query
        .fetch_optional(connection)
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// The repository of this number.
///
/// # Errors
/// The driver's.
pub async fn by_id(
    connection: &mut AnyConnection,
    id: RepositoryId,
) -> sqlx::Result<Option<StoredRepository>> {
    let sql = "SELECT id, owner, name, installation, default_branch, config, github_id FROM repositories WHERE id = $1";
    let row = sqlx::query(sql).bind(id.0).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// At most `limit` repositories with a number above `after`, in their order.
///
/// # Errors
/// The driver's.
pub async fn list_repositories(
    connection: &mut AnyConnection,
    after: RepositoryId,
    limit: u32,
) -> sqlx::Result<Vec<StoredRepository>> {
    let sql = "SELECT id, owner, name, installation, default_branch, config, github_id FROM repositories
               WHERE id > $1 ORDER BY id LIMIT $2";
    let query = sqlx::query(sql).bind(after.0).bind(i64::from(limit));
    query.fetch_all(connection).await?.iter().map(read).collect()
}

/// Notes which installation acts on the repository, and its default branch; what is `None` stays as it is.
///
/// # Errors
/// The driver's.
pub async fn set_github(
    connection: &mut AnyConnection,
    id: RepositoryId,
    installation: Option<u64>,
    default_branch: Option<&str>,
) -> sqlx::Result<()> {
    let sql = "UPDATE repositories SET installation = COALESCE($1, installation),
                   default_branch = COALESCE($2, default_branch) WHERE id = $3";
    let query = sqlx::query(sql)
        .bind(installation.map(u64::cast_signed))
        .bind(default_branch.map(str::to_owned))
        .bind(id.0);
    query.execute(connection).await?;
    Ok(())
}

/// Forgets an installation that was removed.
///
/// # Errors
/// The driver's.
pub async fn forget_installation(connection: &mut AnyConnection, installation: u64) -> sqlx::Result<()> {
    let sql = "UPDATE repositories SET installation = NULL WHERE installation = $1";
    sqlx::query(sql)
        .bind(installation.cast_signed())
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets the installation of one repository.
///
/// # Errors
/// The driver's.
pub async fn forget_installation_of(connection: &mut AnyConnection, name: &RepoName) -> sqlx::Result<()> {
    let sql = "UPDATE repositories SET installation = NULL WHERE owner = $1 AND name = $2";
    let query = sqlx::query(sql)
        .bind(name.owner().to_owned())
        .bind(name.name().to_owned());
    query.execute(connection).await?;
    Ok(())
}

/// Removes a repository, and with it what is left that refers to it.
///
/// # Errors
/// The driver's.
pub async fn delete_repository(connection: &mut AnyConnection, id: RepositoryId) -> sqlx::Result<()> {
    let query = sqlx::query("DELETE FROM repositories WHERE id = $1").bind(id.0);
    query.execute(connection).await?;
    Ok(())
}

/// Replaces the configuration.
///
/// # Errors
/// The driver's.
pub async fn set_config(connection: &mut AnyConnection, id: RepositoryId, config: &str) -> sqlx::Result<()> {
    let sql = "UPDATE repositories SET config = $1 WHERE id = $2";
    sqlx::query(sql)
        .bind(config.to_owned())
        .bind(id.0)
        .execute(connection)
        .await?;
    Ok(())
}

fn read(row: &sqlx::any::AnyRow) -> sqlx::Result<StoredRepository> {
    let (owner, name): (String, String) = (row.try_get("owner")?, row.try_get("name")?);
    Ok(StoredRepository {
        id: RepositoryId(row.try_get("id")?),
        name: RepoName::new(&owner, &name).map_err(|error| sqlx::Error::Decode(error.into()))?,
        installation: row
            .try_get::<Option<i64>, _>("installation")?
            .map(i64::cast_unsigned),
        default_branch: row.try_get("default_branch")?,
        config: row.try_get("config")?,
        github_id: row
            .try_get::<Option<i64>, _>("github_id")?
            .map(i64::cast_unsigned),
    })
}
