//! The audit log: who changed which configuration, token or baseline, and when.

use sqlx::{AnyConnection, Row};

use crate::domain::UnixMillis;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number; 0 before it is stored.
    pub id: i64,
    /// When.
    pub at: UnixMillis,
    /// Who: a token by its id, a repository's workflow, or a user of the machine.
    pub actor: String,
    /// What was done: `token.create`, `config.put`, `baseline.accept`.
    pub action: String,
    /// To what.
    pub subject: String,
    /// The new value, as JSON; never a secret.
    pub detail: String,
}

/// Adds an entry.
///
/// # Errors
/// The driver's.
pub async fn insert_audit_entry(
    connection: &mut AnyConnection,
    actor: &str,
    action: &'static str,
    subject: &str,
    detail: &str,
) -> sqlx::Result<()> {
    let sql = "INSERT INTO audit (at, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5)";
    let query = sqlx::query(sql)
        .bind(UnixMillis::now().0)
        .bind(actor.to_owned())
        .bind(action)
        .bind(subject.to_owned())
        .bind(detail.to_owned());
    query.execute(connection).await?;
    Ok(())
}

/// The newest `limit` entries with a number below `before`.
///
/// # Errors
/// The driver's.
pub async fn list_audit_entries(
    connection: &mut AnyConnection,
    before: i64,
    limit: u32,
) -> sqlx::Result<Vec<AuditEntry>> {
    let sql =
        "SELECT id, at, actor, action, subject, detail FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2";
    let query = sqlx::query(sql).bind(before).bind(i64::from(limit));
    let read = |row: &sqlx::any::AnyRow| {
        Ok(AuditEntry {
            id: row.try_get("id")?,
            at: UnixMillis(row.try_get("at")?),
            actor: row.try_get("actor")?,
            action: row.try_get("action")?,
            subject: row.try_get("subject")?,
            detail: row.try_get("detail")?,
        })
    };
    query.fetch_all(connection).await?.iter().map(read).collect()
}
