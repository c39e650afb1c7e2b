//! `/config/{owner}/{repo}`: what a repository's owner decides.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::body;
use super::repo_path::RepoPath;
use crate::access::Access;
use crate::database::{audit, repositories};
use crate::domain::{RepoConfig, RepoName, Role};
use crate::problem::Problem;
use crate::state::AppState;

/// Largest configuration.
const LIMIT: usize = 1 << 20;

/// A configuration and what it means together with the service's settings.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConfigResponse {
    /// The repository.
    repository: String,
    /// The configuration as it was put.
    config: RepoConfig,
    /// The threshold that applies where nothing else is said.
    effective_threshold_percent: f64,
    /// The runs of history that are needed where nothing else is said.
    effective_min_samples: usize,
}

fn respond(state: &AppState, name: &RepoName, config: RepoConfig) -> Json<ConfigResponse> {
    let judging = &state.settings.load().judging;
    Json(ConfigResponse {
        repository: name.to_string(),
        effective_threshold_percent: config.threshold_percent.unwrap_or(judging.threshold_percent),
        effective_min_samples: config.min_samples.unwrap_or(judging.min_samples),
        config,
    })
}

/// Reads the configuration of a repository.
#[utoipa::path(
    get, path = "/config/{owner}/{repo}", tag = "configuration", params(RepoPath),
    responses(
        (status = 200, description = "The configuration as it holds now", body = ConfigResponse),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token is for another repository", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such repository", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
    ),
    security(("token" = []))
)]
pub(super) async fn get_config(
    State(state): State<AppState>,
    access: Access,
    Path(path): Path<RepoPath>,
) -> Result<Json<ConfigResponse>, Problem> {
    let known = path.find_readable_repository(&state, &access).await?;
    Ok(respond(&state, &known.repository.name, known.config.clone()))
}

/// Replaces the configuration of a repository. What is left out is as if it had never been said.
#[utoipa::path(
    put, path = "/config/{owner}/{repo}", tag = "configuration", params(RepoPath), request_body = RepoConfig,
    responses(
        (status = 200, description = "The configuration as it holds now", body = ConfigResponse),
        (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token has no admin role here", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "Not the name of a repository", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Larger than 1 MiB", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A value that cannot be", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
    ),
    security(("token" = []))
)]
pub(super) async fn put_config(
    State(state): State<AppState>,
    access: Access,
    Path(path): Path<RepoPath>,
    body: Body,
) -> Result<Json<ConfigResponse>, Problem> {
    let name = path.name()?;
    access.require_role(Role::Admin, &name)?;
    let bytes = body::read_body(body, LIMIT, "1 MiB is enough for a configuration").await?;
    let config: RepoConfig = body::read_json_object(&bytes)?;
    config
        .validate_values()
        .map_err(|error| Problem::unprocessable(error.to_string()))?;
    let text = serde_json::to_string(&config).map_err(|error| Problem::unprocessable(error.to_string()))?;
    let (repository, actor) = (name.clone(), access.0.name.clone());
    let write = state.database.run_in_transaction(move |connection| {
        let (repository, actor, text) = (repository.clone(), actor.clone(), text.clone());
        Box::pin(async move {
            let id = match repositories::find_repository(connection, &repository).await? {
                Some(known) => known.id,
                None => repositories::insert_repository(connection, &repository).await?,
            };
            repositories::set_config(connection, id, &text).await?;
            audit::insert_audit_entry(connection, &actor, "config.put", &repository.to_string(), &text).await
        })
    });
    write.await?;
    state.directory.forget_repository(&name);
    Ok(respond(&state, &name, config))
}
