//! Runs and their verdicts.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::{BranchPage, KNOWN_BRANCHES, ListResponse, no_such_branch};
use crate::access::Access;
use crate::database::judgements::{self, Judgement};
use crate::database::repositories;
use crate::database::runs::{self, MeasuredRun};
use crate::database::streams;
use crate::domain::{Role, RunId, SeriesId, StreamId};
use crate::judging::{RegressionResult, RunVerdicts};
use crate::problem::Problem;
use crate::server::repo_path::RepoPath;
use crate::state::AppState;

/// Streams whose branches are named to somebody who asked for another.
const SEARCHED_STREAMS: usize = 12;

/// A run without its verdicts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunItem {
    /// Its number.
    run: i64,
    /// The branch that was measured.
    branch: String,
    /// The branch whose history it is judged by.
    target_branch: String,
    /// The commit.
    commit: String,
    /// The pull request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_request: Option<u32>,
    /// The component.
    component: String,
    /// The environment, as one text.
    environment: String,
    /// What tells it from other uploads of the commit.
    run_id: String,
    /// When it arrived.
    received: String,
    /// `judged` or `queued`.
    state: &'static str,
    /// `regression`, `improvement`, `mixed`, `unchanged` or `not-judged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    /// Whether it is part of the history of its branch.
    accepted: bool,
}

/// A run with its verdicts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunWithVerdicts {
    /// The run.
    run: RunItem,
    /// Its verdicts; empty while it is queued.
    results: Vec<RegressionResult>,
    /// Measures of which most benchmarks moved at once, each with what says that it was the machine, or that nothing does.
    shifts: Vec<String>,
    /// What was wrong with single entries.
    problems: Vec<String>,
}

/// Lists the runs of a repository, newest first.
#[utoipa::path(
    get, path = "/v1/repositories/{owner}/{repo}/runs", tag = "reading", params(RepoPath, BranchPage),
    responses(
        (status = 200, description = "A page of runs", body = ListResponse<RunItem>),
        (status = 400, description = "A parameter that cannot be", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token is for another repository", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such repository", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
    ),
    security(("token" = []))
)]
pub(super) async fn get_runs(
    State(state): State<AppState>,
    access: Access,
    Path(path): Path<RepoPath>,
    Query(query): Query<BranchPage>,
) -> Result<Json<ListResponse<RunItem>>, Problem> {
    let page = query.page();
    let (limit, before, branch) = (page.limit()?, page.cursor(i64::MAX)?, query.branch()?);
    let known = path.find_readable_repository(&state, &access).await?;
    let mut connection = state.database.acquire_reader().await?;
    let id = known.repository.id;
    let rows = runs::of_repository(&mut connection, id, branch, RunId(before), limit).await?;
    let streams = streams::of_repository(&mut connection, id).await?;
    if let Some(branch) = branch.filter(|_| rows.is_empty() && query.cursor.is_none()) {
        let mut known = Vec::new();
        for stream in streams.iter().rev().take(SEARCHED_STREAMS) {
            known.extend(judgements::list_branches(&mut connection, stream.id, KNOWN_BRANCHES).await?);
        }
        return Err(no_such_branch(branch, known));
    }
    let streams: HashMap<StreamId, streams::Stream> = streams.into_iter().map(|one| (one.id, one)).collect();
    let mut judged = HashMap::new();
    for run in &rows {
        judged.extend(
            judgements::of_run(&mut connection, run.id)
                .await?
                .map(|one| (run.id, one)),
        );
    }
    let show = |run: MeasuredRun| item(&run, streams.get(&run.run.stream), judged.get(&run.id));
    Ok(Json(ListResponse::of(rows, limit, |run| run.id.0, show)))
}

/// One run with its verdicts.
#[utoipa::path(
    get, path = "/v1/runs/{run}", tag = "reading", params(("run" = i64, Path, description = "The run's number")),
    responses(
        (status = 200, description = "The run and its verdicts", body = RunWithVerdicts),
        (status = 400, description = "Not a number", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such run, or not for this token", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
    ),
    security(("token" = []))
)]
pub(super) async fn get_run(
    State(state): State<AppState>,
    access: Access,
    Path(number): Path<i64>,
) -> Result<Json<RunWithVerdicts>, Problem> {
    let missing = || Problem::not_found(format!("there is no run {number}"));
    let mut connection = state.database.acquire_reader().await?;
    let run = runs::by_id(&mut connection, RunId(number))
        .await?
        .ok_or_else(missing)?;
    let repository = repositories::by_id(&mut connection, run.run.repository)
        .await?
        .ok_or_else(missing)?;
    // Whether a run of another repository exists is nobody's business.
    if !access.0.has_role_in(Role::Read, &repository.name) {
        return Err(missing());
    }
    let stream = streams::by_id(&mut connection, run.run.stream).await?;
    let judgement = judgements::of_run(&mut connection, run.id).await?;
    let series = streams::series_of(&mut connection, run.run.stream).await?;
    let names: HashMap<SeriesId, _> = series
        .into_iter()
        .map(|series| (series.id, series.name))
        .collect();
    let verdicts = judgement
        .as_ref()
        .and_then(|one| RunVerdicts::from_json(&one.verdicts).ok());
    let shifts = verdicts
        .iter()
        .flat_map(|verdicts| &verdicts.shifts)
        .map(ToString::to_string)
        .collect();
    let stored = verdicts.into_iter().flat_map(|verdicts| verdicts.verdicts);
    let results =
        stored.filter_map(|verdict| Some(verdict.to_regression_result(names.get(&verdict.series)?)));
    let problems = run
        .run
        .problems
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok());
    Ok(Json(RunWithVerdicts {
        run: item(&run, stream.as_ref(), judgement.as_ref()),
        results: results.collect(),
        shifts,
        problems: problems.unwrap_or_default(),
    }))
}

fn item(run: &MeasuredRun, stream: Option<&streams::Stream>, judgement: Option<&Judgement>) -> RunItem {
    RunItem {
        run: run.id.0,
        branch: run.run.branch.clone(),
        target_branch: run.run.target.clone(),
        commit: run.run.commit.clone(),
        pull_request: run.run.pull_request,
        component: stream.map(|stream| stream.component.clone()).unwrap_or_default(),
        environment: stream
            .map(|stream| stream.environment.clone())
            .unwrap_or_default(),
        run_id: run.run.key.clone(),
        received: run.run.received.to_string(),
        state: if judgement.is_some() { "judged" } else { "queued" },
        outcome: judgement.map(|judgement| judgement.outcome.to_string()),
        accepted: judgement.is_some_and(|judgement| judgement.accepted),
    }
}
