//! Makes a token: its hash is stored, with a line in the audit log; the token itself is given out once.

use std::time::Duration;

use super::{hash_token, new_token};
use crate::database::tokens::{self, StoredToken};
use crate::database::{Database, DatabaseError, audit};
use crate::domain::{Grant, Role, UnixMillis};

/// A new token for the repositories of `grant`, made by `actor`.
///
/// # Errors
/// When the database does not answer.
pub async fn issue_token(
    database: &Database,
    grant: Grant,
    role: Role,
    name: &str,
    life: Option<Duration>,
    actor: &str,
) -> Result<String, DatabaseError> {
    let secret = new_token();
    let created = UnixMillis::now();
    let detail = serde_json::json!({ "repository": grant.to_string(), "role": role.as_str(), "name": name });
    let detail = detail.to_string();
    let id = uuid::Uuid::now_v7().simple().to_string();
    let token = StoredToken {
        // The end of a UUID is chance; its start is the time.
        id: id[20..].to_owned(),
        name: name.to_owned(),
        hash: hash_token(&secret),
        grant,
        role,
        created,
        expires: life.map(|life| created.saturating_add(life)),
        revoked: None,
    };
    let actor = actor.to_owned();
    let write = database.run_in_transaction(move |connection| {
        let (token, detail, actor) = (token.clone(), detail.clone(), actor.clone());
        Box::pin(async move {
            tokens::insert_token(connection, &token).await?;
            audit::insert_audit_entry(connection, &actor, "token.create", &token.id, &detail).await
        })
    });
    write.await?;
    Ok(secret)
}
