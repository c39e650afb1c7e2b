//! Shifts that people accept: a baseline begins anew, and why is kept.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use regress_core::baseline::Justification;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::series::find_accessible_series;
use crate::access::Access;
use crate::database::judgements::{self, JudgedEpoch};
use crate::database::repositories::StoredRepository;
use crate::database::{DatabaseError, audit, jobs as job_table, streams};
use crate::domain::{BranchName, Role, RunId, UnixMillis};
use crate::job_requests::{self, AboutRegression};
use crate::judging::{Histories, load_baseline_input};
use crate::problem::Problem;
use crate::server::body;
use crate::server::correlation::Correlation;
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
    let mut connection = state.database.acquire_reader().await?;
    let (series, repository) = find_accessible_series(&mut connection, &access, Role::Read, number).await?;
    access.require_role(Role::Admin, &repository.name)?;
    let request: AcceptRequest = body::read_json_object(&bytes)?;
    let justification = Justification::new(&request.justification)
        .map_err(|error| Problem::unprocessable(error.to_string()))?;
    let run = RunId(request.from_run);
    let judgement = judgements::of_run(&mut connection, run).await?;
    drop(connection);
    let of_history = judgement.is_some_and(|judgement| {
        judgement.accepted && judgement.stream == series.stream && judgement.branch == request.branch.as_str()
    });
    if !of_history {
        let detail = format!(
            "run {} is not in the history of this series on {}",
            request.from_run, request.branch
        );
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let epoch = JudgedEpoch {
        series: series.id,
        branch: request.branch.as_str().to_owned(),
        from_run: run,
        justification: justification.as_str().to_owned(),
        actor: access.0.name.clone(),
        at: UnixMillis::now(),
    };
    save(&state, &epoch, &repository, &correlation).await?;
    Ok(Json(epoch.into()))
}

/// The commit that made the series slower, as far as that is not accepted yet.
async fn slower_since(state: &AppState, epoch: &JudgedEpoch) -> Result<Option<String>, DatabaseError> {
    let mut connection = state.database.acquire_reader().await?;
    let Some(series) = streams::find_series(&mut connection, epoch.series).await? else {
        return Ok(None);
    };
    let histories = Histories {
        run_cache: &state.run_cache,
        baseline_runs: state.settings.load().judging.baseline_runs,
    };
    let input = load_baseline_input(&mut connection, histories, series.stream, &epoch.branch).await?;
    Ok(input.slower_since_commit(epoch.series).map(str::to_owned))
}

async fn save(
    state: &AppState,
    epoch: &JudgedEpoch,
    repository: &StoredRepository,
    correlation: &str,
) -> Result<(), Problem> {
    let subject = format!(
        "{} series {} on {}",
        repository.name, epoch.series.0, epoch.branch
    );
    let detail = serde_json::json!({ "from_run": epoch.from_run.0, "justification": epoch.justification });
    // An issue that was opened for this is done with.
    let commit = slower_since(state, epoch).await?;
    let settings = state.settings.load_full();
    let close = commit.filter(|_| settings.github.app_id.is_some()).map(|commit| {
        let about = AboutRegression {
            repository: repository.id,
            branch: epoch.branch.clone(),
            commit,
        };
        job_requests::update_issue(&about, correlation)
    });
    let (epoch, detail) = (epoch.clone(), detail.to_string());
    let write = state.database.run_in_transaction(move |connection| {
        let (epoch, subject, detail, close) = (epoch.clone(), subject.clone(), detail.clone(), close.clone());
        Box::pin(async move {
            judgements::insert_epoch(connection, &epoch).await?;
            judgements::unreject_from(connection, epoch.series, epoch.from_run).await?;
            audit::insert_audit_entry(connection, &epoch.actor, "baseline.accept", &subject, &detail).await?;
            if let Some(close) = &close {
                job_table::enqueue_job(connection, close).await?;
            }
            Ok(())
        })
    });
    write.await?;
    state.work.notify_one();
    Ok(())
}
