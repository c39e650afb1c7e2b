//! The audit log.

use axum::Json;
use axum::extract::{Query, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ListResponse, Page};
use crate::access::Access;
use crate::database::audit;
use crate::domain::Role;
use crate::problem::Problem;
use crate::state::AppState;

/// A change of configuration, tokens or baselines.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditItem {
    /// When.
    at: String,
    /// Who.
    actor: String,
    /// What was done.
    action: String,
    /// To what.
    subject: String,
    /// The new value, as JSON.
    detail: String,
}

/// Lists changes, newest first. Needs an admin token for all repositories.
#[utoipa::path(
    get, path = "/v1/audit", tag = "reading", params(Page),
    responses(
        (status = 200, description = "A page of changes", body = ListResponse<AuditItem>),
        (status = 400, description = "A parameter that cannot be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "No admin token for all repositories", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
    ),
    security(("token" = []))
)]
pub(super) async fn get_audit_entries(
    State(state): State<AppState>,
    access: Access,
    Query(page): Query<Page>,
) -> Result<Json<ListResponse<AuditItem>>, Problem> {
    access.require_all(Role::Admin)?;
    let (limit, before) = (page.limit()?, page.cursor(i64::MAX)?);
    let mut connection = state.database.acquire_reader().await?;
    let rows = audit::list_audit_entries(&mut connection, before, limit).await?;
    let item = |entry: audit::AuditEntry| AuditItem {
        at: entry.at.to_string(),
        actor: entry.actor,
        action: entry.action,
        subject: entry.subject,
        detail: entry.detail,
    };
    Ok(Json(ListResponse::of(rows, limit, |entry| entry.id, item)))
}
