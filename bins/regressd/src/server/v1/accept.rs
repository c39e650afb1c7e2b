//! Shifts that people accept: a baseline begins anew, and why is kept.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accepting::{WantedEpoch, accept_shift, find_accessible_series};
use crate::access::Access;
use crate::correlation::Correlation;
use crate::database::judgements::JudgedEpoch;
use crate::domain::{BranchName, Role};
use crate::problem::Problem;
use crate::server::body;
use crate::state::AppState;

/// An accepted shift.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EpochItem {
    /// The first run of the new level.
    from_run: i64,
    /// Why it was accepted.
    justification: String,
    /// Who accepted it.
    actor: String,
    /// When.
    at: String,
}

impl From<JudgedEpoch> for EpochItem {
    fn from(epoch: JudgedEpoch) -> Self {
        Self {
            from_run: epoch.from_run.0,
            justification: epoch.justification,
            actor: epoch.actor,
            at: epoch.at.to_string(),
        }
    }
}

/// Which shift is accepted, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AcceptRequest {
    /// The branch whose baseline begins anew.
    #[schema(value_type = String, min_length = 1, max_length = 255, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    branch: BranchName,
    /// The first run of the new level.
    from_run: i64,
    /// Why the change is meant, in words.
    #[schema(pattern = "[A-Za-z0-9]")]
    justification: String,
}

/// Accepts a shift: the baseline of the series begins anew with a run.
#[utoipa::path(
    post, path = "/v1/series/{series}/accept", tag = "configuration", request_body = AcceptRequest,
    params(("series" = i64, Path, description = "The series' number")),
    responses(
        (status = 200, description = "From where the new baseline counts", body = EpochItem),
        (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token has no admin role here", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such series, or not for this token", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The run is not in the history of this branch", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Larger than 64 KiB", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A value that cannot be", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
    ),
    security(("token" = []))
)]
pub(super) async fn accept_baseline(
    State(state): State<AppState>,
    access: Access,
    Correlation(correlation): Correlation,
    Path(number): Path<i64>,
    body: Body,
) -> Result<Json<EpochItem>, Problem> {
    let bytes = body::read_body(body, 64 << 10, "64 KiB is enough for a justification").await?;
    {
        // Who may not is told so before anything is said of the request.
        let mut connection = state.database.acquire_reader().await?;
        let (_, repository) = find_accessible_series(&mut connection, &access, Role::Read, number).await?;
        access.require_role(Role::Admin, &repository.name)?;
    }
    let request: AcceptRequest = body::read_json_object(&bytes)?;
    let shift = WantedEpoch {
        series: number,
        branch: &request.branch,
        from_run: request.from_run,
        justification: &request.justification,
    };
    let epoch = accept_shift(&state, &access, shift, &correlation).await?;
    Ok(Json(epoch.into()))
}
