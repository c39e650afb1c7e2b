//! The repositories that a token may look at.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ListResponse, Page};
use crate::access::Access;
use crate::administering;
use crate::database::repositories;
use crate::domain::{RepositoryId, Role};
use crate::problem::Problem;
use crate::server::repo_path::RepoPath;
use crate::state::AppState;

/// A repository.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RepositoryItem {
    /// `owner/name`.
    repository: String,
    /// Its default branch, as far as known.
    #[serde(skip_serializing_if = "Option::is_none")]
    default_branch: Option<String>,
}

/// Lists the repositories that the token may read.
#[utoipa::path(
    get, path = "/v1/repositories", tag = "reading", params(Page),
    responses(
        (status = 200, description = "A page of the repositories that the token may read", body = ListResponse<RepositoryItem>),
        (status = 400, description = "A parameter that cannot be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
    ),
    security(("token" = []))
)]
pub(super) async fn get_repositories(
    State(state): State<AppState>,
    access: Access,
    Query(page): Query<Page>,
) -> Result<Json<ListResponse<RepositoryItem>>, Problem> {
    let (limit, after) = (page.limit()?, page.cursor(0)?);
    let mut connection = state.database.acquire_reader().await?;
    let rows = repositories::list_repositories(&mut connection, RepositoryId(after), limit).await?;
    let mut listed = ListResponse::of(rows, limit, |row| row.id.0, |row| row);
    listed
        .items
        .retain(|row| access.0.has_role_in(Role::Read, &row.name));
    let item = |row: repositories::StoredRepository| RepositoryItem {
        repository: row.name.to_string(),
        default_branch: row.default_branch,
    };
    Ok(Json(ListResponse {
        items: listed.items.into_iter().map(item).collect(),
        next: listed.next,
    }))
}

/// Removes a repository with all that was measured of it. Who did it is kept in the audit log.
#[utoipa::path(
    delete, path = "/v1/repositories/{owner}/{repo}", tag = "configuration", params(RepoPath),
    responses(
        (status = 204, description = "It is gone"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token has no admin role here", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such repository", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
    ),
    security(("token" = []))
)]
pub(super) async fn delete_repository(
    State(state): State<AppState>,
    access: Access,
    Path(path): Path<RepoPath>,
) -> Result<StatusCode, Problem> {
    access.require_role(Role::Admin, &path.name()?)?;
    let known = path.find_readable_repository(&state, &access).await?;
    administering::remove_repository(&state, &access, &known).await?;
    Ok(StatusCode::NO_CONTENT)
}
