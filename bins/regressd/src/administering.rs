//! What admins do to a repository as a whole: put it away, and remove it. Programs ask for it by the interface, people by a
//! page; who did it is in the audit log.

use crate::access::Access;
use crate::database::{audit, repositories, retention};
use crate::directory::ConfiguredRepository;
use crate::domain::{RepoConfig, Role};
use crate::problem::Problem;
use crate::state::AppState;

/// Archives a repository, so that it takes no more results, or takes that back. What it has stays to be looked at.
///
/// # Errors
/// When `access` is no admin of it, or the database does not answer.
pub(crate) async fn set_archived(
    state: &AppState,
    access: &Access,
    known: &ConfiguredRepository,
    archived: bool,
) -> Result<(), Problem> {
    let (id, name) = (known.repository.id, known.repository.name.clone());
    access.require_role(Role::Admin, &name)?;
    let config = RepoConfig {
        archived,
        ..known.config.clone()
    };
    let text = serde_json::to_string(&config).map_err(|error| Problem::unprocessable(error.to_string()))?;
    let action = if archived {
        "repository.archive"
    } else {
        "repository.unarchive"
    };
    let (actor, subject) = (access.0.name.clone(), name.to_string());
    let write = state.database.run_in_transaction(move |connection| {
        let (actor, subject, text) = (actor.clone(), subject.clone(), text.clone());
        Box::pin(async move {
            repositories::set_config(connection, id, &text).await?;
            audit::insert_audit_entry(connection, &actor, action, &subject, "{}").await
        })
    });
    write.await?;
    state.directory.forget_repository(&name);
    Ok(())
}

/// Removes a repository, its runs first and some at a time, so that uploads of others never wait long.
///
/// # Errors
/// When `access` is no admin of it, or the database does not answer.
pub(crate) async fn remove_repository(
    state: &AppState,
    access: &Access,
    known: &ConfiguredRepository,
) -> Result<(), Problem> {
    let (id, name) = (known.repository.id, known.repository.name.clone());
    access.require_role(Role::Admin, &name)?;
    let runs = retention::remove_runs_of(&state.database, id).await?;
    let (actor, subject) = (access.0.name.clone(), name.to_string());
    let detail = serde_json::json!({ "runs": runs }).to_string();
    let remove = state.database.run_in_transaction(move |connection| {
        let (actor, subject, detail) = (actor.clone(), subject.clone(), detail.clone());
        Box::pin(async move {
            repositories::delete_repository(connection, id).await?;
            audit::insert_audit_entry(connection, &actor, "repository.delete", &subject, &detail).await
        })
    });
    remove.await?;
    tracing::warn!(repository = %name, runs, actor = %access.0.name, "a repository was removed");
    state.directory.forget_all();
    Ok(())
}
