//! Access tokens. Only a hash of each is stored; nothing here can give a token back.

use sqlx::{AnyConnection, Row};

use super::columns::parse_column;
use crate::domain::{Grant, Role, UnixMillis};

/// A stored token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    /// Its public id, for lists, logs and revocation.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// SHA-256 of the token, in hexadecimal.
    pub hash: String,
    /// The repositories that it is for.
    pub grant: Grant,
    /// What it may do there.
    pub role: Role,
    /// When it was made.
    pub created: UnixMillis,
    /// From when on it is refused.
    pub expires: Option<UnixMillis>,
    /// When it was revoked.
    pub revoked: Option<UnixMillis>,
}

/// Stores a token.
///
/// # Errors
/// The driver's.
pub async fn insert_token(connection: &mut AnyConnection, token: &StoredToken) -> sqlx::Result<()> {
    let sql = "INSERT INTO tokens (id, name, hash, repository, role, created, expires)
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let query = sqlx::query(sql)
        .bind(token.id.clone())
        .bind(token.name.clone())
        .bind(token.hash.clone())
        .bind(token.grant.to_string())
        .bind(token.role.as_str())
        .bind(token.created.0)
        .bind(token.expires.map(|moment| moment.0));
    query.execute(connection).await?;
    Ok(())
}

/// The token with this hash, revoked and expired ones too.
///
/// # Errors
/// The driver's.
pub async fn by_hash(connection: &mut AnyConnection, hash: &str) -> sqlx::Result<Option<StoredToken>> {
    let sql =
        "SELECT id, name, hash, repository, role, created, expires, revoked FROM tokens WHERE hash = $1";
    let row = sqlx::query(sql)
        .bind(hash.to_owned())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read).transpose()
}

/// All tokens, oldest first.
///
/// # Errors
/// The driver's.
pub async fn list_tokens(connection: &mut AnyConnection) -> sqlx::Result<Vec<StoredToken>> {
    let sql =
        "SELECT id, name, hash, repository, role, created, expires, revoked FROM tokens ORDER BY created, id";
    sqlx::query(sql)
        .fetch_all(connection)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Revokes a token. Whether there was one that was not revoked.
///
/// # Errors
/// The driver's.
pub async fn revoke_token(connection: &mut AnyConnection, id: &str) -> sqlx::Result<bool> {
    let sql = "UPDATE tokens SET revoked = $1 WHERE id = $2 AND revoked IS NULL";
    let query = sqlx::query(sql).bind(UnixMillis::now().0).bind(id.to_owned());
    Ok(query.execute(connection).await?.rows_affected() > 0)
}

fn read(row: &sqlx::any::AnyRow) -> sqlx::Result<StoredToken> {
    Ok(StoredToken {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        hash: row.try_get("hash")?,
        grant: parse_column(row, "repository")?,
        role: parse_column(row, "role")?,
        created: UnixMillis(row.try_get("created")?),
        expires: row.try_get::<Option<i64>, _>("expires")?.map(UnixMillis),
        revoked: row.try_get::<Option<i64>, _>("revoked")?.map(UnixMillis),
    })
}
