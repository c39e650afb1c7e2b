//! Series: their histories and their baselines.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use regress_core::stats;
use serde::Serialize;
use utoipa::ToSchema;

use super::accept::EpochItem;
use super::{BranchChoice, BranchPage, KNOWN_BRANCHES, ListResponse, Page, no_such_branch};
use crate::accepting::find_accessible_series;
use crate::access::Access;
use crate::database::judgements;
use crate::database::repositories::StoredRepository;
use crate::database::runs;
use crate::database::streams::{self, StoredSeries};
use crate::domain::{HistoryPlace, Results, Role, RunId, SeriesId};
use crate::judging::{Histories, load_baseline_input};
use crate::problem::Problem;
use crate::server::repo_path::RepoPath;
use crate::state::AppState;

/// A series.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SeriesItem {
    /// Its number.
    series: i64,
    /// The benchmark.
    benchmark: String,
    /// What is measured about it.
    measure: String,
    /// The base unit.
    unit: String,
    /// `smaller-is-better` or `bigger-is-better`.
    direction: String,
    /// The component.
    component: String,
    /// The environment, as one text.
    environment: String,
}

/// One value of a history.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HistoryItem {
    /// The run.
    run: i64,
    /// Its commit.
    commit: String,
    /// The median over the process runs, in the base unit.
    value: f64,
}

/// What a new run of the series would be judged by.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BaselineResponse {
    /// The series.
    series: SeriesItem,
    /// The branch.
    branch: String,
    /// Values that count.
    sample_size: usize,
    /// Their median.
    median: Option<f64>,
    /// Their mean.
    mean: Option<f64>,
    /// Their standard deviation.
    standard_deviation: Option<f64>,
    /// The lowest of them.
    lowest: Option<f64>,
    /// The highest of them.
    highest: Option<f64>,
    /// The run from which on values count, if a shift was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<EpochItem>,
    /// The values, oldest first, with their runs.
    values: Vec<BaselineValue>,
}

/// One value of a baseline.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BaselineValue {
    /// The run.
    run: i64,
    /// Its value.
    value: f64,
}

/// Lists the series of a repository.
#[utoipa::path(
    get, path = "/v1/repositories/{owner}/{repo}/series", tag = "reading", params(RepoPath, Page),
    responses(
        (status = 200, description = "A page of series", body = ListResponse<SeriesItem>),
        (status = 400, description = "A parameter that cannot be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token is for another repository", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such repository", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
    ),
    security(("token" = []))
)]
pub(super) async fn get_series(
    State(state): State<AppState>,
    access: Access,
    Path(path): Path<RepoPath>,
    Query(page): Query<Page>,
) -> Result<Json<ListResponse<SeriesItem>>, Problem> {
    let (limit, after) = (page.limit()?, page.cursor(0)?);
    let known = path.find_readable_repository(&state, &access).await?;
    let mut connection = state.database.acquire_reader().await?;
    let id = known.repository.id;
    let rows = streams::series_of_repository(&mut connection, id, SeriesId(after), limit).await?;
    let all = streams::of_repository(&mut connection, id).await?;
    let streams: HashMap<_, _> = all.into_iter().map(|stream| (stream.id, stream)).collect();
    let show = |series: StoredSeries| item(&series, streams.get(&series.stream));
    Ok(Json(ListResponse::of(rows, limit, |series| series.id.0, show)))
}

/// The history of a series on a branch, newest first.
#[utoipa::path(
    get, path = "/v1/series/{series}/history", tag = "reading",
    params(("series" = i64, Path, description = "The series' number"), BranchPage),
    responses(
        (status = 200, description = "A page of its values", body = ListResponse<HistoryItem>),
        (status = 400, description = "A parameter that cannot be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such series, or not for this token; or nothing of the branch", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
    ),
    security(("token" = []))
)]
pub(super) async fn get_series_history(
    State(state): State<AppState>,
    access: Access,
    Path(number): Path<i64>,
    Query(query): Query<BranchPage>,
) -> Result<Json<ListResponse<HistoryItem>>, Problem> {
    let page = query.page();
    let (limit, before, branch) = (page.limit()?, page.cursor(i64::MAX)?, query.branch()?);
    let mut connection = state.database.acquire_reader().await?;
    let (series, repository) = find_accessible_series(&mut connection, &access, Role::Read, number).await?;
    let branch = branch.unwrap_or_else(|| default_branch(&repository));
    let before = match before {
        i64::MAX => HistoryPlace::LAST,
        number => {
            let run = runs::by_id(&mut connection, RunId(number)).await?;
            let gone = || Problem::bad_request("the run that the page ended with is gone; begin anew");
            run.ok_or_else(gone)?.place()
        }
    };
    let rows = runs::list_history_runs(&mut connection, series.stream, branch, before, limit).await?;
    if rows.is_empty() && query.branch.is_some() && query.cursor.is_none() {
        let known = judgements::list_branches(&mut connection, series.stream, KNOWN_BRANCHES).await?;
        return Err(no_such_branch(branch, known));
    }
    let value = |results: &str| {
        Results::from_json(results)
            .ok()
            .and_then(|results| results.median(series.id))
    };
    let listed = ListResponse::of(
        rows,
        limit,
        |(run, ..)| run.0,
        |(RunId(run), commit, results)| value(&results).map(|value| HistoryItem { run, commit, value }),
    );
    Ok(Json(ListResponse {
        // Runs without the benchmark have no value of it.
        items: listed.items.into_iter().flatten().collect(),
        next: listed.next,
    }))
}

/// What a new run of the series would be judged by.
#[utoipa::path(
    get, path = "/v1/series/{series}/baseline", tag = "reading",
    params(("series" = i64, Path, description = "The series' number"), BranchChoice),
    responses(
        (status = 200, description = "What a new value is compared with", body = BaselineResponse),
        (status = 400, description = "A parameter that cannot be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such series, or not for this token; or nothing of the branch", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
    ),
    security(("token" = []))
)]
pub(super) async fn get_series_baseline(
    State(state): State<AppState>,
    access: Access,
    Path(number): Path<i64>,
    Query(query): Query<BranchChoice>,
) -> Result<Json<BaselineResponse>, Problem> {
    let branch = query.branch()?;
    let mut connection = state.database.acquire_reader().await?;
    let (series, repository) = find_accessible_series(&mut connection, &access, Role::Read, number).await?;
    if let Some(branch) = branch {
        let last = HistoryPlace::LAST;
        let newest = runs::list_history_runs(&mut connection, series.stream, branch, last, 1).await?;
        if newest.is_empty() {
            let known = judgements::list_branches(&mut connection, series.stream, KNOWN_BRANCHES).await?;
            return Err(no_such_branch(branch, known));
        }
    }
    let branch = branch.unwrap_or_else(|| default_branch(&repository)).to_owned();
    let histories = Histories {
        run_cache: &state.run_cache,
        baseline_runs: state.settings.load().judging.baseline_runs,
    };
    let case = load_baseline_input(&mut connection, histories, series.stream, &branch).await?;
    let epochs = judgements::list_epochs(&mut connection, series.stream, &branch).await?;
    let epoch = epochs.into_iter().rfind(|epoch| epoch.series == series.id);
    let stream = streams::by_id(&mut connection, series.stream).await?;
    let values = case.baseline(series.id);
    let plain: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
    Ok(Json(BaselineResponse {
        series: item(&series, stream.as_ref()),
        branch,
        sample_size: plain.len(),
        median: stats::median(&plain),
        mean: stats::mean(&plain),
        standard_deviation: stats::std_dev(&plain),
        lowest: plain.iter().copied().reduce(f64::min),
        highest: plain.iter().copied().reduce(f64::max),
        epoch: epoch.map(EpochItem::from),
        values: values
            .into_iter()
            .map(|(run, value)| BaselineValue { run: run.0, value })
            .collect(),
    }))
}

fn default_branch(repository: &StoredRepository) -> &str {
    repository.default_branch.as_deref().unwrap_or("main")
}

fn item(series: &StoredSeries, stream: Option<&streams::Stream>) -> SeriesItem {
    SeriesItem {
        series: series.id.0,
        benchmark: series.name.benchmark.clone(),
        measure: series.name.measure.clone(),
        unit: series.name.unit.clone(),
        direction: series.name.direction.as_str().to_owned(),
        component: stream.map(|stream| stream.component.clone()).unwrap_or_default(),
        environment: stream
            .map(|stream| stream.environment.clone())
            .unwrap_or_default(),
    }
}
